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

from benchmarks.measure import compared, interleaved, machine
from benchmarks.scratch import CHECKOUT, Scratch, create, drop, server
from config.postgres import Address

DATABASE = "migration_guard_benchmark"
APPS, MIGRATIONS = 10, 20
ROUNDS = 20

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
    address = server(DATABASE)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_django_project(project, address)
        write_alembic_project(project, address)
        candidates = {
            "Django": runner(project, "manage.py", "migrate"),
            "guard": runner(project, "manage.py", "migrate", SCRATCH_APPS="migration_guard"),
        }
        alembic = {"Alembic": runner(project, "-m", "alembic", "upgrade", "head")}
        try:
            create(address)
            for run in [*candidates.values(), *alembic.values()]:
                run()
            nothing = interleaved(candidates | alembic, rounds=ROUNDS)
            print(f"nothing to do: {compared(nothing, 'guard', 'Django')}")
            from_zero = interleaved(candidates, rounds=ROUNDS, before_each=lambda: create(address))
            print(f"{APPS * MIGRATIONS} migrations from zero: {compared(from_zero, 'guard', 'Django')}")
        finally:
            drop(address)


def write_django_project(path: Path, address: Address) -> None:
    apps = [f"app{number}" for number in range(APPS)]
    project = Scratch(path, address, apps)
    for app in apps:
        previous = "0001_initial"
        project.write(f"{app}/migrations/{previous}.py", INITIAL)
        for number in range(2, MIGRATIONS + 1):
            operation = OPERATIONS[number % len(OPERATIONS)].format(app=app, n=number)
            name = f"{number:04}_step"
            later = LATER.format(app=app, previous=previous, operation=operation)
            project.write(f"{app}/migrations/{name}.py", later)
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


def runner(project: Path, *arguments: str, **variables: str) -> Callable[[], object]:
    paths = {"PYTHONPATH": f"{project}{os.pathsep}{CHECKOUT}", "SCRATCH_DATABASE": DATABASE}
    environment = os.environ | paths | variables
    return lambda: subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, check=True
    )


if __name__ == "__main__":
    main()
