"""`makemigrations` of a project with the guard: names, files, and the database that it asks."""

from pathlib import Path

import pytest

from tests.migration_guard.stranger import MODELS, Stranger, begin

pytestmark = pytest.mark.endurance

TWO_COLUMNS = (
    MODELS + '    price = models.IntegerField(null=True)\n    code = models.CharField(max_length=9, default="")\n'
)
INDEXED = MODELS + (
    "    price = models.IntegerField(null=True)\n\n"
    "    class Meta:\n"
    "        indexes = [models.Index(fields=['price'], name='item_price')]\n"
)
SHELF = """
from django.db import models

RELATED = {"on_delete": models.CASCADE, "related_name": "+"}

class Shelf(models.Model):
    label = models.TextField()
"""
BOX = """

class Box(models.Model):
    shelf = models.ForeignKey('stock.Shelf', models.CASCADE, related_name="+")
"""
NOBODY = {"POSTGRES_PORT": "1"}
NOWHERE = {f"POSTGRES_{name}": "" for name in ("SERVER", "PORT", "DB", "USER", "PASSWORD")}


def files(project: Stranger, app: str = "shop") -> list[str]:
    return sorted(path.stem for path in (project.path / app / "migrations").glob("0*.py"))


@pytest.fixture
def changed(shop: Stranger) -> Stranger:
    shop.manage("migrate")
    shop.write("shop/models.py", INDEXED)
    return shop


def test_index_goes_into_a_migration_of_its_own(changed: Stranger) -> None:
    made = changed.manage("makemigrations", "--name", "item_price")
    migrated = changed.manage("migrate")

    assert made.returncode == 0, made.stdout
    assert files(changed) == ["0001_initial", "0002_item_price", "0003_item_price_index"]
    assert "atomic = False" in (changed.path / "shop/migrations/0003_item_price_index.py").read_text()
    assert "CREATE INDEX CONCURRENTLY" in made.stdout
    assert "DROP INDEX CONCURRENTLY" in made.stdout
    assert made.stdout.splitlines()[-1] == "Next: python manage.py migrate"
    assert migrated.returncode == 0, migrated.stdout
    assert changed.manage("makemigrations", "--check").returncode == 0


@pytest.mark.parametrize("arguments", [(), ("--name", "auto"), ("--name", "price_and_more")])
def test_name_that_says_nothing_is_refused_with_one_that_does(changed: Stranger, arguments: tuple[str, ...]) -> None:
    changed.write("shop/models.py", TWO_COLUMNS.replace("name =", "title = models.TextField(default='')\n    name ="))

    made = changed.manage("makemigrations", *arguments)

    if arguments:
        assert made.returncode == 2, made.stdout
        assert "python manage.py makemigrations shop --name item_code_price_title" in made.stdout
        assert files(changed) == ["0001_initial"]
    else:
        assert "item_code" in files(changed)[1]


def test_name_that_django_gives_up_on_is_refused(changed: Stranger) -> None:
    columns = "".join(f"    a_rather_long_column_{number} = models.IntegerField(null=True)\n" for number in range(5))
    changed.write("shop/models.py", MODELS + columns)

    made = changed.manage("makemigrations", "--noinput")

    assert made.returncode == 2, made.stdout
    assert "python manage.py makemigrations shop --noinput --name item_a_rather_long_column_0" in made.stdout
    assert files(changed) == ["0001_initial"]


def test_empty_migration_needs_a_name(changed: Stranger) -> None:
    refused = changed.manage("makemigrations", "shop", "--empty")
    named = changed.manage("makemigrations", "shop", "--empty", "--name", "fill_prices")

    assert refused.returncode == 2
    assert "python manage.py makemigrations shop --empty --name what_it_does" in refused.stdout
    assert named.returncode == 0, named.stdout
    assert files(changed) == ["0001_initial", "0002_fill_prices"]


def test_silent_database_stops_it(changed: Stranger) -> None:
    made = changed.run("python", "manage.py", "makemigrations", "--name", "item_price", env=NOBODY)

    assert made.returncode == 2, made.stdout
    assert "The database 'default' does not answer" in made.stdout
    assert "makemigrations --offline" in made.stdout
    assert files(changed) == ["0001_initial"]


def test_offline_asks_nobody(changed: Stranger) -> None:
    """The port of the settings leads nowhere, and an attempt would warn."""
    made = changed.run(
        "python", "-W", "error", "manage.py", "makemigrations", "--name", "item_price", "--offline", env=NOBODY
    )

    assert made.returncode == 0, made.stdout
    assert files(changed) == ["0001_initial", "0002_item_price", "0003_item_price_index"]
    assert "CREATE INDEX CONCURRENTLY" in made.stdout


@pytest.mark.parametrize(("option", "code"), [("--check", 1), ("--dry-run", 0)])
def test_what_only_shows_warns_of_a_silent_database_as_django_does(changed: Stranger, option: str, code: int) -> None:
    made = changed.run("python", "manage.py", "makemigrations", option, env=NOBODY)

    assert made.returncode == code, made.stdout
    assert "Got an error checking a consistent migration history" in made.stdout
    assert files(changed) == ["0001_initial"]


def test_dry_run_shows_the_files_and_writes_none(changed: Stranger) -> None:
    made = changed.manage("makemigrations", "--dry-run", "--name", "item_price")

    assert made.returncode == 0, made.stdout
    assert "0003_item_price_index.py" in made.stdout
    assert files(changed) == ["0001_initial"]


def test_as_written_keeps_djangos_form(changed: Stranger) -> None:
    made = changed.manage("makemigrations", "--name", "item_price", "--as-written")

    assert made.returncode == 0, made.stdout
    assert files(changed) == ["0001_initial", "0002_item_price"]
    assert "migrations.AddIndex(" in (changed.path / "shop/migrations/0002_item_price.py").read_text()


@pytest.mark.parametrize("first", [True, False])
def test_linear_migrations_file_names_the_last_one(changed: Stranger, first: bool) -> None:
    """Its command writes the file; the guard's, which is listed first, runs it."""
    place = 1 if first else 2
    changed.configure(f"INSTALLED_APPS.insert({place}, 'django_linear_migrations')")
    changed.write("shop/migrations/max_migration.txt", "0001_initial\n")

    made = changed.manage("makemigrations", "--name", "item_price")

    assert made.returncode == 0, made.stdout
    assert (changed.path / "shop/migrations/max_migration.txt").read_text() == "0003_item_price_index\n"
    assert changed.manage("check").returncode == 0


def test_other_apps_migration_depends_on_the_last_piece(changed: Stranger) -> None:
    changed.configure("INSTALLED_APPS.append('stock')")
    changed.write("stock/__init__.py", "")
    changed.write("stock/migrations/__init__.py", "")
    changed.write("stock/models.py", SHELF)
    changed.manage("makemigrations", "stock")
    changed.manage("migrate")
    changed.write("stock/models.py", SHELF + "    box = models.ForeignKey('shop.Box', null=True, **RELATED)\n")
    changed.write("shop/models.py", INDEXED + BOX)

    made = changed.manage("makemigrations", "--name", "box")
    migrated = changed.manage("migrate")

    assert made.returncode == 0, made.stdout
    written = (changed.path / "stock/migrations/0002_box.py").read_text()
    assert f"('shop', '{files(changed)[-1]}')" in written
    assert files(changed)[1:] == ["0002_box", "0003_box_index", "0004_box_box_shelf"]
    assert migrated.returncode == 0, migrated.stdout
    assert changed.manage("makemigrations", "--check").returncode == 0


def test_unwritable_value_leaves_no_file(changed: Stranger) -> None:
    """A default that cannot be written is in the second file; the first is not written either."""
    changed.write(
        "shop/models.py", INDEXED + "\n\nclass Box(models.Model):\n    a = models.TextField(default=object())\n"
    )

    made = changed.manage("makemigrations", "--name", "box")

    assert made.returncode == 1
    assert "Cannot serialize" in made.stdout
    assert files(changed) == ["0001_initial"]


def test_contract_says_when_nothing_is_outstanding(changed: Stranger) -> None:
    made = changed.manage("makemigrations", "--contract")

    assert made.returncode == 0, made.stdout
    assert "No second step is outstanding" in made.stdout
    assert files(changed) == ["0001_initial"]


def test_other_vendors_database_gets_djangos_form(tmp_path: Path) -> None:
    project = begin(tmp_path / "lite", NOWHERE)
    project.configure('DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "lite.db"}')
    project.write("shop/models.py", INDEXED)

    made = project.manage("makemigrations", "--name", "item_price")

    assert made.returncode == 0, made.stdout
    assert files(project) == ["0001_initial", "0002_item_price"]
