"""`migrate` applies each migration once, remembers what it did, and compares it with what the code says."""

import re
import sys
from textwrap import dedent

import pytest

from tests.migration_guard.stranger import ADD_COLUMN, EDITED, RUNS, SQUASH, Stranger


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


def test_nothing_to_do_imports_nothing_of_what_does_it(shop: Stranger) -> None:
    def imported() -> set[str]:
        said = shop.run(sys.executable, "-X", "importtime", "manage.py", "migrate").stdout
        return set(re.findall(r"\| +migration_guard\.(\w+)", said))

    working, idle = imported(), imported()

    assert {"migrating", "executor", "restoring"} <= working
    assert "migrating" in idle
    assert not idle & {"executor", "rehearsal", "restoring", "review", "safer"}


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


@pytest.mark.parametrize("arguments", [("migrate",), ("rollback", "--yes")])
def test_database_that_only_reads_is_refused_in_one_sentence(shop: Stranger, arguments: tuple[str, ...]) -> None:
    shop.manage("migrate")
    shop.operations("0002_v", ADD_COLUMN)
    shop.sql(f"ALTER DATABASE {shop.env['POSTGRES_DB']} SET default_transaction_read_only = on")

    refused = shop.manage(*arguments)

    assert refused.returncode == 2
    assert f"Nothing was changed in the database {shop.env['POSTGRES_DB']}: default_tr" in refused.stdout
    assert "Traceback" not in refused.stdout


def test_database_migrated_by_plain_django_is_adopted(shop: Stranger) -> None:
    shop.use_plain_django()
    shop.manage("migrate")
    shop.use_guard()

    first, second = shop.manage("migrate"), shop.manage("migrate")

    assert first.returncode == 0
    assert "Adopted 1 migrations that were applied without the guard." in first.stdout
    assert "Adopted" not in second.stdout
    assert shop.sql(RUNS) == [("adopt", "done", "0001_initial")]


def test_edit_of_an_applied_migration_is_shown_and_refused(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.migration("0001_initial", EDITED)
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
    shop.use_plain_django()
    shop.manage("migrate")
    shop.sql("DELETE FROM django_migrations")
    shop.use_guard()
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
