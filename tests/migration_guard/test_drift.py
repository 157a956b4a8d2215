"""`drift` tells where a database is not what its applied migrations build, and changes nothing in it."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from migration_guard.databases import prefix_of as _prefix
from tests.migration_guard.operating import shape, succeed
from tests.migration_guard.stranger import ADD_COLUMN, SQUASH, Stranger
from tests.programs import managing
from tests.project import CHECKOUT, Project, database_environment
from tests.server import free_port

SCRATCHES = "SELECT datname, oid FROM pg_database WHERE left(datname, %s) = %s"
DROP = sql.SQL("DROP DATABASE {name} WITH (FORCE)")
CREATE = sql.SQL("CREATE DATABASE {name}")
ROWS = "SELECT id, name, xmin FROM shop_item ORDER BY id"
# Tells how often it was run, and waits while the project has a file of that name.
DATA = """
    import time
    from pathlib import Path
    from django.db import connection

    def fill(apps, schema_editor):
        apps.get_model("shop", "Item").objects.create(name="by the default manager")
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO shop_item (name) VALUES ('by hand')")
        apps.get_model("shop", "Item").objects.using("same").create(name="by another alias")
        print("filled")
        with Path("runs").open("a") as runs:
            runs.write("run ")
        while Path("wait").exists():
            time.sleep(0.05)

    class Migration(migrations.Migration):
        dependencies = [("shop", "0001_initial")]
        operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
"""
ANOTHER_ALIAS = """
    import copy
    DATABASES["same"] = copy.deepcopy(SERVER)
"""


DROP_ALL_BUT_THE_RECORDS = (
    "CREATE SCHEMA kept",
    "ALTER TABLE django_migrations SET SCHEMA kept",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public",
    "ALTER TABLE kept.django_migrations SET SCHEMA public",
)

PARTITIONED = """migrations.RunSQL(
    "CREATE TABLE hour (year int, n int) PARTITION BY RANGE (year);"
    "CREATE TABLE hour_2025 PARTITION OF hour FOR VALUES FROM (2025) TO (2026)"
)"""

endurance = pytest.mark.endurance


@pytest.fixture
def shop(shop: Stranger) -> Iterator[Stranger]:
    """The shop, whose scratch databases are dropped at the end."""
    with dropping_scratches(shop):
        yield shop


@pytest.fixture
def project(project: Project) -> Iterator[Project]:
    with dropping_scratches(project):
        yield project


@contextmanager
def dropping_scratches(project: Project) -> Iterator[None]:
    environment = dict(project.env)
    try:
        yield
    finally:
        project.env = environment
        with project.connect() as connection:
            for name in scratches(project):
                connection.execute(DROP.format(name=sql.Identifier(name)))


def prefix_of(project: Project) -> str:
    return _prefix(project.env["POSTGRES_DB"])


def scratches(project: Project) -> dict[str, int]:
    """The scratch databases of the project's database, each with its oid."""
    prefix = prefix_of(project)
    with project.connect() as connection:
        return dict(connection.execute(SCRATCHES, [len(prefix), prefix]).fetchall())


def drift(project: Project, *arguments: str, code: int) -> str:
    command = project.manage("drift", *arguments)
    assert command.returncode == code, command.stdout
    return command.stdout


def found(project: Project) -> list[dict[str, Any]]:
    report = json.loads(drift(project, "--json", code=1))
    assert report["database"] == project.env["POSTGRES_DB"]
    differences: list[dict[str, Any]] = report["differences"]
    return differences


def run(project: Project, *scripts: str) -> None:
    with project.connect() as connection:
        for script in scripts:
            connection.execute(script.encode())


def wait_until(reached: Path) -> None:
    deadline = time.monotonic() + 30
    while not reached.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_database_as_migrated_has_no_drift_and_is_left_as_it_is(shop: Stranger) -> None:
    shop.configure(ANOTHER_ALIAS)
    shop.migration("0002_data", DATA)
    succeed(shop, "migrate")
    before = shape(shop), shop.sql(ROWS), shop.sql("TABLE django_migrations"), shop.sql("TABLE migration_guard_run")

    first = drift(shop, code=0)
    built = scratches(shop)
    drift(shop, "--database", "same", code=0)

    assert first == f"-- No drift: {shop.env['POSTGRES_DB']} is what its applied migrations build.\n"
    assert len(before[1]) == 3
    assert before == (
        shape(shop),
        shop.sql(ROWS),
        shop.sql("TABLE django_migrations"),
        shop.sql("TABLE migration_guard_run"),
    )
    assert scratches(shop) == built
    assert len(built) == 1
    assert (shop.path / "runs").read_text() == "run run "


def test_differences_are_told_with_what_mends_them(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_COLUMN)
    succeed(shop, "migrate")
    # Not applied: it is no part of what is expected.
    shop.operations("0003_pending", "migrations.RemoveField('Item', 'name')")
    run(shop, "ALTER TABLE shop_item DROP v, ALTER name TYPE text", "CREATE TABLE mine (a int)")

    told = drift(shop, code=1)
    differences = found(shop)
    run(shop, *(one["ddl"] for one in differences))

    assert told.splitlines() == [
        "-- extra table mine",
        'DROP TABLE "mine";',
        "-- different column shop_item.name: text NOT NULL; expected character varying(40) NOT NULL",
        'ALTER TABLE "shop_item" ALTER COLUMN "name" TYPE character varying(40) USING "name"::character varying(40);',
        "-- missing column shop_item.v: integer",
        'ALTER TABLE "shop_item" ADD COLUMN "v" integer;',
        f"-- 3 differences in {shop.env['POSTGRES_DB']}.",
    ]
    assert differences[2] == {
        "kind": "missing",
        "type": "column",
        "table": "shop_item",
        "name": "v",
        "found": "",
        "expected": "integer",
        "ddl": 'ALTER TABLE "shop_item" ADD COLUMN "v" integer;',
    }
    assert json.loads(drift(shop, "--json", code=0)) == {"database": shop.env["POSTGRES_DB"], "differences": []}


def test_partitions_that_were_made_since_are_no_drift_and_detached_ones_are(shop: Stranger) -> None:
    shop.operations("0002_hour", PARTITIONED)
    succeed(shop, "migrate")
    run(
        shop,
        "CREATE TABLE hour_2026 PARTITION OF hour FOR VALUES FROM (2026) TO (2027) PARTITION BY LIST (n)",
        "CREATE TABLE hour_2026_one PARTITION OF hour_2026 FOR VALUES IN (1)",
        "CREATE INDEX ON hour_2026_one (n)",
    )
    drift(shop, code=0)

    run(shop, "CREATE TABLE hour_2027 PARTITION OF hour FOR VALUES FROM (2027) TO (2028)")
    run(shop, "ALTER TABLE hour DETACH PARTITION hour_2027", "DROP TABLE hour_2025")
    run(shop, "CREATE TABLE mine (n int) PARTITION BY LIST (n)", "CREATE TABLE mine_1 PARTITION OF mine DEFAULT")

    assert [(one["kind"], one["name"]) for one in found(shop) if one["type"] == "table"] == [
        ("extra", "mine_1"),
        ("extra", "hour_2027"),
        ("extra", "mine"),
        ("missing", "hour_2025"),
    ]


def test_whole_schema_of_a_project_is_compared_and_made_again_from_nothing(project: Project) -> None:
    assert project.manage("migrate").returncode == 0
    before = drift(project, code=0)
    run(project, *DROP_ALL_BUT_THE_RECORDS)

    differences = found(project)
    run(project, *(one["ddl"] for one in differences))

    assert "No drift" in before
    assert {(one["kind"], one["type"]) for one in differences} == {
        ("missing", type_) for type_ in ("table", "constraint", "index", "trigger", "function")
    }
    assert drift(project, code=0) == before


@endurance
def test_killed_build_is_never_taken_for_whole(shop: Stranger) -> None:
    shop.configure(ANOTHER_ALIAS)
    shop.migration("0002_data", DATA)
    succeed(shop, "migrate")
    (shop.path / "runs").unlink()
    (shop.path / "wait").touch()
    process = shop.start(sys.executable, "manage.py", "drift")
    wait_until(shop.path / "runs")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (shop.path / "wait").unlink()
    left = scratches(shop)

    drift(shop, code=0)

    assert list(left) == [f"{prefix_of(shop)}building"]
    assert len(scratches(shop)) == 1
    assert scratches(shop).keys().isdisjoint(left)
    assert (shop.path / "runs").read_text() == "run run "


@endurance
def test_build_of_another_process_is_waited_for_and_not_repeated(shop: Stranger) -> None:
    shop.configure(ANOTHER_ALIAS)
    shop.migration("0002_data", DATA)
    succeed(shop, "migrate")
    (shop.path / "runs").unlink()
    (shop.path / "wait").touch()
    with managing(shop, "drift") as first:
        wait_until(shop.path / "runs")
        with managing(shop, "drift") as second:
            second.wait_for("Waiting for another drift on this database to finish.")
            (shop.path / "wait").unlink()

            assert first.wait() == 0, first.output
            assert second.wait() == 0, second.output
    assert (shop.path / "runs").read_text() == "run "


@endurance
def test_role_that_may_not_create_databases_is_told_what_to_do(shop: Stranger) -> None:
    succeed(shop, "migrate")
    role = f"reader_{uuid.uuid4().hex}"
    owner = dict(shop.env)
    shop.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'only-for-a-test'")
    try:
        shop.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        shop.env |= {"POSTGRES_USER": role, "POSTGRES_PASSWORD": "only-for-a-test"}
        refused = drift(shop, code=2)
        shop.env = dict(owner)
        drift(shop, code=0)
        shop.env |= {"POSTGRES_USER": role, "POSTGRES_PASSWORD": "only-for-a-test"}
        # What is built can be read by everybody.
        drift(shop, code=0)
    finally:
        shop.env = owner
        shop.sql(f"DROP OWNED BY {role}")
        shop.sql(f"DROP ROLE {role}")

    assert f"The role {role} may not create databases" in refused
    assert f'ALTER ROLE "{role}" CREATEDB' in refused


def test_server_that_does_not_answer_is_no_drift(shop: Stranger) -> None:
    port = shop.env["POSTGRES_PORT"]
    shop.env["POSTGRES_PORT"] = str(free_port())

    told = drift(shop, code=2)
    shop.env["POSTGRES_PORT"] = port

    assert "The database cannot be compared: OperationalError" in told


@endurance
def test_applied_migration_without_its_file_is_told(shop: Stranger) -> None:
    path = shop.operations("0002_v", ADD_COLUMN)
    succeed(shop, "migrate")
    path.unlink()

    told = drift(shop, code=1)

    assert "Applied in this database and not in this code: shop.0002_v. What they made is told as extra" in told
    assert "-- extra column shop_item.v: integer" in told


@endurance
def test_squash_stands_for_what_it_replaces(shop: Stranger) -> None:
    path = shop.operations("0002_v", ADD_COLUMN)
    succeed(shop, "migrate")
    shop.migration("0001_squashed", SQUASH)
    both = drift(shop, code=0)
    path.unlink()
    (shop.path / "shop/migrations/0001_initial.py").unlink()

    assert drift(shop, code=0) == both
    assert both.startswith("-- No drift")


@endurance
def test_migration_that_fails_in_an_empty_database_is_named(shop: Stranger) -> None:
    succeed(shop, "migrate")
    shop.sql("INSERT INTO shop_item (name) VALUES ('the first')")
    code = "lambda apps, editor: apps.get_model('shop', 'Item').objects.get()"
    shop.operations("0002_needs_rows", f"migrations.RunPython({code}, migrations.RunPython.noop)")
    succeed(shop, "migrate")

    told = drift(shop, code=2)

    assert "shop.0002_needs_rows fails in an empty database" in told
    assert "DoesNotExist" in told
    assert scratches(shop) == {}


@endurance
def test_migration_that_writes_in_another_database_is_stopped(shop: Stranger) -> None:
    shop.configure("DATABASES['other'] = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'other.sqlite3'}")
    code = "lambda apps, editor: __import__('django').db.connections['other'].cursor().execute('CREATE TABLE t (a)')"
    shop.operations("0002_other", f"migrations.RunPython({code}, migrations.RunPython.noop)")
    succeed(shop, "migrate")

    told = drift(shop, code=2)

    assert "A migration asks the database other, which was not copied and must not be changed." in told


@endurance
def test_extension_that_an_administrator_has_installed_is_installed_in_the_scratch(shop: Stranger) -> None:
    ((extension,),) = shop.sql(
        "SELECT name FROM pg_available_extensions WHERE name IN ('vector', 'pg_trgm') ORDER BY name DESC LIMIT 1"
    )
    makes = {"vector": "ALTER TABLE shop_item ADD e vector(3)", "pg_trgm": "ALTER TABLE shop_item ADD e gtrgm"}
    shop.sql(f"CREATE EXTENSION {extension}")
    shop.operations("0002_e", f"migrations.RunSQL('{makes[str(extension)]}', migrations.RunSQL.noop)")
    succeed(shop, "migrate")

    drift(shop, code=0)


@endurance
def test_tables_that_django_makes_without_migrations_are_no_drift(shop: Stranger) -> None:
    shop.write("legacy/__init__.py", "")
    shop.write("legacy/models.py", "from django.db import models\nclass Old(models.Model):\n    pass\n")
    shop.configure(
        """
        INSTALLED_APPS += ["legacy"]
        CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cached"}}
        """
    )
    succeed(shop, "migrate", "--run-syncdb")
    succeed(shop, "createcachetable")

    drift(shop, code=0)


@endurance
def test_search_path_of_the_database_is_that_of_the_scratch(shop: Stranger) -> None:
    shop.configure("SERVER['OPTIONS']['options'] = '-c search_path=shops,public -c statement_timeout=9s'")
    shop.sql("CREATE SCHEMA shops")
    succeed(shop, "migrate")
    drift(shop, code=0)
    shop.sql("ALTER TABLE shops.shop_item ADD extra int")

    assert "-- extra column shop_item.extra: integer" in drift(shop, code=1)


@endurance
def test_few_scratch_databases_are_kept_and_none_of_a_database_that_is_gone(shop: Stranger) -> None:
    succeed(shop, "migrate")
    own = [f"{prefix_of(shop)}{number:024x}" for number in range(4)]
    orphan = f"{_prefix('gone')}{0:024x}"
    maintenance = Project(CHECKOUT, database_environment("postgres"))
    with maintenance.connect() as connection:
        for name in (*own, orphan):
            connection.execute(CREATE.format(name=sql.Identifier(name)))

    drift(shop, code=0)

    kept = scratches(shop)
    assert len(kept) == 3
    assert kept.keys() & set(own) == set(own[2:])
    with pytest.raises(psycopg.OperationalError), maintenance.connect() as connection:
        psycopg.connect(connection.info.dsn, password=connection.info.password, dbname=orphan)


@endurance
def test_migration_that_is_applied_in_part_is_told(shop: Stranger) -> None:
    shop.operations("0002_broken", ADD_COLUMN, "migrations.RunSQL('SELECT 1/0')", atomic=False)
    shop.manage("migrate")

    told = drift(shop, code=1)

    assert "Applied in part, so that what they have done so far is told as a difference: shop.0002_broken." in told
    assert "-- extra column shop_item.v: integer" in told


@endurance
def test_progress_is_shown_on_a_terminal_after_two_seconds(shop: Stranger) -> None:
    shop.operations("0002_slow", "migrations.RunSQL('SELECT pg_sleep(2.1)')")
    shop.operations("0003_v", ADD_COLUMN)
    succeed(shop, "migrate")
    reader, terminal = os.openpty()

    command = subprocess.run(
        [sys.executable, "manage.py", "drift"],
        cwd=shop.path,
        env=shop.environment,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        check=True,
    )

    os.close(terminal)
    with os.fdopen(reader, "rb", buffering=0) as shown:
        lines = shown.read(4096).decode().split("\r\x1b[K")
    assert lines == ["", "Building the schema to compare with: 3 of 3, shop.0003_v", ""]
    assert command.stdout.startswith("-- No drift")
