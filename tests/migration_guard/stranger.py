"""A project that has never heard of the trading book: settings, one app and the guard, with a database of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from tests.project import CHECKOUT, Project, fresh_database

MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
"""
# The server that the environment names, for the settings of a project that knows no other way to it.
SERVER = """
import os
SERVER = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": os.environ["POSTGRES_SERVER"],
    "PORT": os.environ["POSTGRES_PORT"],
    "USER": os.environ["POSTGRES_USER"],
    "PASSWORD": os.environ["POSTGRES_PASSWORD"],
    "NAME": os.environ["POSTGRES_DB"],
    "OPTIONS": {},
}
SECRET_KEY = "a-key-for-tests"
"""
SETTINGS = f"""{SERVER}
DATABASES = {{"default": SERVER}}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["migration_guard", "shop"]
"""
HEADER = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from migration_guard.operations import RunSQLOnce

"""
MODELS = """
from django.db import models

class Item(models.Model):
    name = models.CharField(max_length=40)
"""
INITIAL = """
class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=40)),
            ],
        ),
    ]
"""
# The first migration as somebody edits it later, a second one, and the squash of the two.
EDITED = INITIAL.replace("max_length=40", "max_length=50")
ADD_COLUMN = "migrations.AddField('Item', 'v', models.IntegerField(null=True))"
SQUASH = INITIAL.replace(
    "initial = True", "initial = True\n    replaces = [('shop', '0001_initial'), ('shop', '0002_v')]"
).replace(
    '("name", models.CharField(max_length=40)),',
    '("name", models.CharField(max_length=40)), ("v", models.IntegerField(null=True)),',
)
RUNS = "SELECT action, outcome, name FROM migration_guard_run WHERE app = 'shop' ORDER BY id"


class Stranger(Project):
    """A Django project in a folder of its own, whose app `shop` begins with one model and one migration."""

    def begin(self) -> None:
        self.write("manage.py", MANAGE)
        self.write("settings.py", SETTINGS)
        self.write("shop/__init__.py", "")
        self.write("shop/models.py", MODELS)
        self.write("shop/migrations/__init__.py", "")
        self.migration("0001_initial", INITIAL)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        # An edit within the same second could be taken for the compiled file that is there.
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
        return path

    def configure(self, text: str) -> None:
        """Add lines to the settings."""
        with (self.path / "settings.py").open("a") as settings:
            settings.write(f"\n{dedent(text)}\n")

    def use_plain_django(self) -> None:
        self.configure("INSTALLED_APPS.remove('migration_guard')")

    def use_guard(self) -> None:
        self.configure("INSTALLED_APPS.insert(0, 'migration_guard')")

    def migration(self, name: str, text: str, app: str = "shop") -> Path:
        """Write a migration whose module begins with the usual imports."""
        return self.write(f"{app}/migrations/{name}.py", HEADER + dedent(text))

    def operations(self, name: str, *operations: str, atomic: bool = True, after: str | None = None) -> Path:
        """Write a migration of these operations, depending on the one before it or on `after`."""
        existing = sorted(path.stem for path in (self.path / "shop/migrations").glob("0*.py") if path.stem < name)
        listed = "".join(f"        {operation},\n" for operation in operations)
        return self.migration(
            name,
            f"class Migration(migrations.Migration):\n"
            f"    atomic = {atomic}\n"
            f"    dependencies = [('shop', '{after or existing[-1]}')]\n"
            f"    operations = [\n{listed}    ]\n",
        )

    def sql(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run one statement in the project's database, in a session of its own; its rows, where it gives some."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def applied(self) -> list[str]:
        """The names of the shop's applied migrations, in the order of their application."""
        rows = self.sql("SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id")
        return [str(name) for (name,) in rows]

    def columns(self, table: str = "shop_item") -> set[str]:
        found = self.sql("SELECT column_name FROM information_schema.columns WHERE table_name = %s", table)
        return {str(column) for (column,) in found}


@contextmanager
def stranger(path: Path) -> Iterator[Stranger]:
    with fresh_database() as variables:
        yield begin(path, variables)


def begin(path: Path, variables: dict[str, str]) -> Stranger:
    """The project in that folder, on the database that the variables lead to."""
    project = Stranger(path, variables | {"PYTHONPATH": str(CHECKOUT)})
    project.begin()
    return project
