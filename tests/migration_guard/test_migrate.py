"""`migrate` compares what is applied with what the code says, and remembers what it does."""

from textwrap import dedent

from tests.migration_guard.stranger import INITIAL, Stranger

ADD_COLUMN = "migrations.AddField('Item', 'v', models.IntegerField(null=True))"
RUNS = "SELECT action, outcome, name FROM migration_guard_run WHERE app = 'shop' ORDER BY id"
ITEM_AGAIN = INITIAL.replace("CharField(max_length=40)", "CharField(max_length=50)")
SQUASH = INITIAL.replace(
    "initial = True", "initial = True\n    replaces = [('shop', '0001_initial'), ('shop', '0002_v')]"
).replace(
    '("name", models.CharField(max_length=40)),',
    '("name", models.CharField(max_length=40)), ("v", models.IntegerField(null=True)),',
)


def use_plain_django(project: Stranger) -> None:
    project.configure("INSTALLED_APPS.remove('migration_guard')")


def use_guard(project: Stranger) -> None:
    project.configure("INSTALLED_APPS.insert(0, 'migration_guard')")


def test_each_application_is_a_row_of_the_ledger(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_COLUMN)

    shop.manage("migrate")

    assert shop.sql(RUNS) == [("apply", "done", "0001_initial"), ("apply", "done", "0002_v")]
    assert shop.sql("SELECT count(*) FROM migration_guard_run WHERE finished_at >= started_at AND record_id > 0") == [
        (2,)
    ]


def test_nothing_to_do_writes_nothing(shop: Stranger) -> None:
    shop.manage("migrate")
    before = shop.sql("SELECT * FROM migration_guard_run")

    again = shop.manage("migrate")

    assert "No migrations to apply" in again.stdout
    assert shop.sql("SELECT * FROM migration_guard_run") == before


def test_foreign_key_and_record_are_one_transaction(shop: Stranger) -> None:
    """Django runs the deferred SQL of a foreign key in the transaction, and records the migration after it."""
    shop.manage("migrate")
    shop.operations(
        "0002_order",
        "migrations.CreateModel('Order', fields=[('id', models.BigAutoField(primary_key=True)),"
        "('item', models.ForeignKey('shop.Item', models.CASCADE))])",
    )
    shop.sql("CREATE TABLE seen (xid xid8)")
    shop.sql(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO seen SELECT xmin::text::xid8 FROM pg_class WHERE relname = ''shop_order''; RETURN NEW; END'"
    )
    shop.sql("CREATE TRIGGER note BEFORE INSERT ON django_migrations FOR EACH ROW EXECUTE FUNCTION note()")

    shop.manage("migrate")

    assert shop.sql(
        "SELECT seen.xid = m.xmin::text::xid8 FROM seen, django_migrations AS m WHERE name = '0002_order'"
    ) == [(True,)]


def test_failed_migration_is_rolled_back_and_its_error_kept(shop: Stranger) -> None:
    shop.operations("0002_wrong", ADD_COLUMN, "migrations.RunSQL('SELECT 1 / 0')")

    migration = shop.manage("migrate")

    assert migration.returncode == 1
    assert "v" not in shop.columns()
    assert shop.applied() == ["0001_initial"]
    assert shop.sql("SELECT error FROM migration_guard_run WHERE outcome = 'failed'") == [
        ("DataError: division by zero",)
    ]


def test_database_migrated_by_plain_django_is_adopted(shop: Stranger) -> None:
    use_plain_django(shop)
    shop.manage("migrate")
    use_guard(shop)

    first, second = shop.manage("migrate"), shop.manage("migrate")

    assert first.returncode == 0
    assert "Adopted 1 migrations that were applied without the guard." in first.stdout
    assert "Adopted" not in second.stdout
    assert shop.sql(RUNS) == [("adopt", "done", "0001_initial")]


def test_what_plain_django_did_meanwhile_is_adopted(shop: Stranger) -> None:
    shop.manage("migrate")
    use_plain_django(shop)
    shop.manage("migrate", "shop", "zero")
    shop.migration("0001_initial", ITEM_AGAIN)
    shop.manage("migrate")
    use_guard(shop)

    migration = shop.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert shop.sql(RUNS)[-1] == ("adopt", "done", "0001_initial")


def test_edit_of_an_applied_migration_is_shown_and_refused(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.migration("0001_initial", ITEM_AGAIN)
    shop.operations("0002_v", ADD_COLUMN)

    for arguments in (["migrate"], ["migrate", "--plan"]):
        migration = shop.manage(*arguments)

        assert migration.returncode == 2
        assert "shop.0001_initial was edited after it was applied" in migration.stdout
        assert "--- operation 1: CreateModel" in migration.stdout
        assert '-        ("name", models.CharField(max_length=40)),' in migration.stdout
        assert '+        ("name", models.CharField(max_length=50)),' in migration.stdout
        assert "migrate --accept-edited shop 0001_initial --reason" in migration.stdout
    assert shop.applied() == ["0001_initial"]


def test_accepted_edit_needs_a_reason_and_is_remembered(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.migration("0001_initial", ITEM_AGAIN)
    accept = ["migrate", "--accept-edited", "shop", "0001_initial"]

    without_reason, with_reason = shop.manage(*accept), shop.manage(*accept, "--reason", "the column is 40 wide")

    assert (without_reason.returncode, with_reason.returncode) == (2, 0)
    assert shop.manage("migrate").returncode == 0
    assert shop.sql("SELECT reason FROM migration_guard_run WHERE action = 'accept edit'") == [
        ("the column is 40 wide",)
    ]


def test_accepting_what_was_not_edited_is_refused(shop: Stranger) -> None:
    shop.manage("migrate")

    migration = shop.manage("migrate", "--accept-edited", "shop", "0001", "--reason", "why not")

    assert migration.returncode == 2
    assert "shop.0001 is neither edited nor missing" in migration.stdout


def test_formatted_migration_is_the_same(shop: Stranger) -> None:
    shop.manage("migrate")
    path = shop.path / "shop/migrations/0001_initial.py"
    shop.write("shop/migrations/0001_initial.py", path.read_text().replace("(\n", "(  # a comment\n"))

    migration = shop.manage("migrate")

    assert migration.returncode == 0
    assert len(shop.sql(RUNS)) == 1


def test_edit_of_an_installed_package_is_noted_once(shop: Stranger) -> None:
    shop.configure("MIGRATION_GUARD = {'APPS': []}")
    shop.manage("migrate")
    shop.migration("0001_initial", ITEM_AGAIN)

    first, second = shop.manage("migrate"), shop.manage("migrate")

    assert first.returncode == 0
    assert "shop.0001_initial was edited by its package" in first.stdout
    assert "edited" not in second.stdout
    assert shop.sql(RUNS)[1:] == [("edited upstream", "done", "0001_initial")]


def test_renamed_migration_is_recognised(shop: Stranger) -> None:
    path = shop.operations("0002_v", ADD_COLUMN)
    shop.manage("migrate")
    path.rename(path.with_stem("0002_value"))

    migration = shop.manage("migrate")

    assert migration.returncode == 2
    assert "shop.0002_value does what shop.0002_v did" in migration.stdout
    assert "replaces = [('shop', '0002_v')]" in migration.stdout

    renamed = path.with_stem("0002_value")
    renamed.write_text(renamed.read_text().replace("    atomic", "    replaces = [('shop', '0002_v')]\n    atomic"))
    recorded = shop.manage("migrate")

    assert recorded.returncode == 0, recorded.stdout
    assert shop.applied() == ["0001_initial", "0002_v", "0002_value"]
    assert [action for action, _, _ in shop.sql(RUNS)] == ["apply", "apply", "replace"]


def test_older_release_starts_on_a_newer_database_and_says_so(shop: Stranger) -> None:
    path = shop.operations("0002_v", ADD_COLUMN)
    shop.manage("migrate")
    path.unlink()

    migration = shop.manage("migrate")

    assert migration.returncode == 0
    assert "shop.0002_v is applied in this database" in migration.stdout
    assert "not declared to serve this code" in migration.stdout


def test_older_release_refuses_a_database_that_is_declared_not_to_serve_it(shop: Stranger) -> None:
    path = shop.operations("0002_v", ADD_COLUMN)
    path.write_text(path.read_text().replace("    atomic = True", "    serves_previous_release = False"))
    shop.manage("migrate")
    path.unlink()

    migration = shop.manage("migrate")

    assert migration.returncode == 2
    assert "declared not to serve" in migration.stdout


def test_two_histories_are_refused(shop: Stranger) -> None:
    path = shop.operations("0002_v", ADD_COLUMN)
    shop.manage("migrate")
    path.unlink()
    shop.operations("0002_w", "migrations.AddField('Item', 'w', models.IntegerField(null=True))")

    refused = shop.manage("migrate")
    accepted = shop.manage("migrate", "--accept-edited", "shop", "0002_v", "--reason", "dropped by hand")

    assert refused.returncode == 2
    assert "Two histories of shop: applied in this database and not in this code: shop.0002_v;" in refused.stdout
    assert accepted.returncode == 0, accepted.stdout
    assert "w" in shop.columns()


def test_squash_takes_the_place_of_what_is_applied(shop: Stranger) -> None:
    replaced = [shop.path / "shop/migrations/0001_initial.py", shop.operations("0002_v", ADD_COLUMN)]
    shop.manage("migrate")
    squash = shop.migration("0001_squashed_0002_v", SQUASH)

    recorded = shop.manage("migrate")
    for path in replaced:
        path.unlink()
    squash.write_text("".join(line for line in squash.read_text().splitlines(keepends=True) if "replaces" not in line))
    cleaned = shop.manage("migrate")

    assert recorded.returncode == cleaned.returncode == 0
    assert shop.sql(RUNS)[-1] == ("replace", "done", "0001_squashed_0002_v")
    assert "not known to this code" not in cleaned.stdout
    assert "edited" not in cleaned.stdout


def test_squash_of_an_adopted_database_can_be_finished(shop: Stranger) -> None:
    replaced = [shop.path / "shop/migrations/0001_initial.py", shop.operations("0002_v", ADD_COLUMN)]
    squash = shop.migration("0001_squashed_0002_v", SQUASH)
    use_plain_django(shop)
    shop.manage("migrate")
    use_guard(shop)
    adopted = shop.manage("migrate")
    for path in replaced:
        path.unlink()
    squash.write_text("".join(line for line in squash.read_text().splitlines(keepends=True) if "replaces" not in line))
    shop.operations("0003_w", ADD_COLUMN.replace("'v'", "'w'"), after="0001_squashed_0002_v")

    migration = shop.manage("migrate")

    assert "Adopted 3 migrations" in adopted.stdout
    assert migration.returncode == 0, migration.stdout
    assert "w" in shop.columns()


def test_edit_of_an_applied_squash_is_refused(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_COLUMN)
    shop.migration("0001_squashed_0002_v", SQUASH)
    shop.manage("migrate")
    shop.migration("0001_squashed_0002_v", SQUASH.replace("max_length=40", "max_length=50"))

    migration = shop.manage("migrate")

    assert migration.returncode == 2
    assert "shop.0001_squashed_0002_v was edited" in migration.stdout


def test_packages_reached_through_a_link_are_not_the_projects_own(shop: Stranger) -> None:
    packages = shop.path.parent / "site-packages"
    packages.mkdir()
    (shop.path / "shop").rename(packages / "shop")
    (shop.path / "linked").symlink_to(packages)
    shop.write("manage.py", f"import sys\nsys.path.insert(0, 'linked')\n{(shop.path / 'manage.py').read_text()}")
    shop.manage("migrate")
    edited = packages / "shop/migrations/0001_initial.py"
    edited.write_text(edited.read_text().replace("max_length=40", "max_length=50"))

    migration = shop.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert "was edited by its package" in migration.stdout


def test_migration_may_call_migrate_itself(shop: Stranger) -> None:
    """For another database with that one's own executor; for the same one under the timeouts that hold already."""
    shop.configure("DATABASES['lite'] = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'lite.sqlite3'}")
    shop.configure("INSTALLED_APPS += ['django.contrib.sessions']")
    path = shop.operations("0002_nested", "migrations.RunPython(nested)", atomic=False)
    body = """
        def nested(apps, editor):
            from django.core.management import call_command
            if editor.connection.alias == "default":
                call_command("migrate", "sessions", database="lite", verbosity=0)
                call_command("migrate", "sessions", verbosity=0)
                with editor.connection.cursor() as cursor:
                    cursor.execute("SHOW lock_timeout")
                    print("lock_timeout", cursor.fetchone())


        class Migration"""
    path.write_text(path.read_text().replace("class Migration", dedent(body).lstrip()))

    migration = shop.manage("migrate", "shop")

    assert migration.returncode == 0, migration.stdout
    assert "lock_timeout ('1s',)" in migration.stdout
    assert shop.sql("SELECT count(*) FROM django_session") == [(0,)]


def test_squash_on_an_empty_database_records_what_it_replaces(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_COLUMN)
    shop.migration("0001_squashed_0002_v", SQUASH)

    first, second = shop.manage("migrate"), shop.manage("migrate")

    assert first.returncode == 0, first.stdout
    assert "Adopted" not in second.stdout
    assert set(shop.applied()) == {"0001_initial", "0002_v", "0001_squashed_0002_v"}


def test_fake_and_fake_initial_are_recorded_as_such(shop: Stranger) -> None:
    use_plain_django(shop)
    shop.manage("migrate")
    shop.sql("DELETE FROM django_migrations")
    use_guard(shop)
    shop.operations("0002_v", ADD_COLUMN)

    shop.manage("migrate", "--fake-initial", "shop", "0001")
    shop.manage("migrate", "--fake")
    shop.manage("migrate", "--fake", "shop", "0001")

    assert [action for action, _, _ in shop.sql(RUNS)] == ["fake apply", "fake apply", "fake undo"]
    assert shop.applied() == ["0001_initial"]


def test_other_database_of_another_vendor_is_left_to_django(shop: Stranger) -> None:
    shop.configure("DATABASES['lite'] = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'lite.sqlite3'}")

    migration = shop.manage("migrate", "--database", "lite")

    assert migration.returncode == 0
    assert "Applying shop.0001_initial... OK" in migration.stdout
