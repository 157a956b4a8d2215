"""What the guard adds to `migrate`: with nothing to do, and from zero, over 200 migrations; Alembic beside it.

The project has ten apps with twenty migrations each: tables, columns, foreign keys, indexes, changes of data. It is run
as Django alone and with the guard, and Alembic has as many revisions. Needs a server: uv run python manage.py db start,
then

    uv run --with alembic --with sqlalchemy python -m benchmarks.guard
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import config.settings
from benchmarks.measure import compared, interleaved, machine
from config.postgres import Address

CHECKOUT = Path(__file__).resolve().parent.parent
DATABASE = "migration_guard_benchmark"
APPS, MIGRATIONS = 10, 20
ROUNDS = 20

MANAGE = """\
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
SETTINGS = """\
import os
DATABASES = {{"default": {database!r}}}
SECRET_KEY = "a-key-for-a-benchmark"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = {apps!r}
if os.environ.get("GUARDED"):
    INSTALLED_APPS.insert(0, "migration_guard")
"""
INITIAL = """\
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())]),
    ]
"""
LATER = """\
from django.db import migrations, models

def fill(apps, schema_editor):
    apps.get_model("{app}", "Thing").objects.filter(name="").update(name="none")

class Migration(migrations.Migration):
    dependencies = [("{app}", "{previous}")]
    operations = [{operation}]
"""
OPERATIONS = [
    'migrations.AddField("Thing", "field{n}", models.IntegerField(default=0))',
    'migrations.CreateModel("Part{n}", [("thing", models.ForeignKey("{app}.Thing", models.CASCADE))])',
    'migrations.AddIndex("Thing", models.Index(fields=["name"], name="{app}_{n}"))',
    "migrations.RunPython(fill, migrations.RunPython.noop)",
    "migrations.RunSQL(\"ALTER TABLE {app}_thing ALTER name SET DEFAULT '{n}'\", migrations.RunSQL.noop)",
]
ALEMBIC = """\
[alembic]
script_location = %(here)s/alembic
sqlalchemy.url = {url}
"""
ALEMBIC_ENV = """\
from alembic import context
from sqlalchemy import create_engine

with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """\
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{n:04}", {previous!r}

def upgrade():
    {operation}

def downgrade():
    pass
"""


def main() -> None:
    print(machine())
    default, owner = config.settings.DATABASES["default"], config.settings.POSTGRES_OWNER
    address = Address(default["HOST"], default["PORT"], owner["USER"], owner["PASSWORD"], DATABASE)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_django_project(project, address)
        write_alembic_project(project, address)
        candidates = {
            "Django": runner(project, "manage.py", "migrate"),
            "guard": runner(project, "manage.py", "migrate", GUARDED="1"),
        }
        alembic = {"Alembic": runner(project, "-m", "alembic", "upgrade", "head")}
        try:
            make_anew(address)
            for run in [*candidates.values(), *alembic.values()]:
                run()
            nothing = interleaved(candidates | alembic, rounds=ROUNDS)
            print(f"nothing to do: {compared(nothing, 'guard', 'Django')}")
            from_zero = interleaved(candidates, rounds=ROUNDS, before_each=lambda: make_anew(address))
            print(f"{APPS * MIGRATIONS} migrations from zero: {compared(from_zero, 'guard', 'Django')}")
        finally:
            drop(address)


def write_django_project(project: Path, address: Address) -> None:
    apps = [f"app{number}" for number in range(APPS)]
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address.database,
        "HOST": address.host,
        "PORT": address.port,
        "USER": address.user,
        "PASSWORD": address.password,
    }
    (project / "manage.py").write_text(MANAGE)
    (project / "settings.py").write_text(SETTINGS.format(database=database, apps=apps))
    for app in apps:
        folder = project / app / "migrations"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder / "__init__.py").touch()
        previous = "0001_initial"
        (folder / f"{previous}.py").write_text(INITIAL)
        for number in range(2, MIGRATIONS + 1):
            operation = OPERATIONS[number % len(OPERATIONS)].format(app=app, n=number)
            name = f"{number:04}_step"
            (folder / f"{name}.py").write_text(LATER.format(app=app, previous=previous, operation=operation))
            previous = name


def write_alembic_project(project: Path, address: Address) -> None:
    url = f"postgresql+psycopg://{address.user}:{address.password}@{address.host}:{address.port}/{address.database}"
    versions = project / "alembic" / "versions"
    versions.mkdir(parents=True)
    (project / "alembic.ini").write_text(ALEMBIC.format(url=url.replace("%", "%%")))
    (project / "alembic" / "env.py").write_text(ALEMBIC_ENV)
    create = 'op.create_table("alembic_thing", sa.Column("id", sa.BigInteger, primary_key=True))'
    add = 'op.add_column("alembic_thing", sa.Column("field{n}", sa.Integer))'
    for number in range(APPS * MIGRATIONS):
        previous = f"{number - 1:04}" if number else None
        operation = add.format(n=number) if number else create
        revision = REVISION.format(n=number, previous=previous, operation=operation)
        (versions / f"{number:04}_step.py").write_text(revision)


def make_anew(address: Address) -> None:
    drop(address)
    with address.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}".encode())


def drop(address: Address) -> None:
    with address.connect("postgres") as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)".encode())


def runner(project: Path, *arguments: str, **variables: str) -> Callable[[], object]:
    environment = os.environ | {"PYTHONPATH": f"{project}{os.pathsep}{CHECKOUT}"} | variables
    return lambda: subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, check=True
    )


if __name__ == "__main__":
    main()
