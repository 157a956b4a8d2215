"""What `migrate` makes of a database and a code that have gone different ways: edits, renames, squashes, releases."""

import pytest

from tests.migration_guard.stranger import ADD_COLUMN, EDITED, RUNS, SQUASH, Stranger

pytestmark = pytest.mark.endurance


def test_what_plain_django_did_meanwhile_is_adopted(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.use_plain_django()
    shop.manage("migrate", "shop", "zero")
    shop.migration("0001_initial", EDITED)
    shop.manage("migrate")
    shop.use_guard()

    migration = shop.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert shop.sql(RUNS)[-1] == ("adopt", "done", "0001_initial")


def test_accepted_edit_needs_a_reason_and_is_remembered(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.migration("0001_initial", EDITED)
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
    shop.migration("0001_initial", EDITED)

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
    shop.use_plain_django()
    shop.manage("migrate")
    shop.use_guard()
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
