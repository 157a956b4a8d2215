"""Migrations that are not atomic: each step once, whatever breaks off between two of them."""

import signal

import psycopg
import pytest

from tests.migration_guard.operating import WAITING_BUILD, kill_while
from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

INDEX = "AddIndexConcurrently('Item', models.Index(fields=['name'], name='item_name'))"
ADD_COLUMN = "migrations.AddField('Item', 'v', models.IntegerField(default=0))"
INSERT = "migrations.RunSQL(\"INSERT INTO shop_item (name) VALUES ('a'), ('a')\", \"DELETE FROM shop_item\")"
WRONG = "migrations.RunSQL('SELECT 1 / 0', migrations.RunSQL.noop)"
RIGHT = "migrations.RunSQL('SELECT 1', migrations.RunSQL.noop)"
UNIQUE = "migrations.RunSQL('CREATE UNIQUE INDEX CONCURRENTLY item_name ON shop_item (name)')"
INDEXES = "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname LIKE 'item%'"
LAST_RUN = "SELECT action, outcome, position, substep, began_next FROM migration_guard_run ORDER BY id DESC LIMIT 1"
BREAK_OFF = "migrations.RunPython(break_off, migrations.RunPython.noop)"
BREAK_OFF_CODE = """
def break_off(apps, editor):
    import os, pathlib, signal
    if pathlib.Path("break").exists():
        os.kill(os.getpid(), signal.SIGKILL)


class Migration"""


@pytest.fixture
def rows(shop: Stranger) -> Stranger:
    """The shop with two items of one name."""
    shop.manage("migrate")
    shop.sql("INSERT INTO shop_item (name) VALUES ('a'), ('a')")
    return shop


def indexes_of_a_broken_build(rows: Stranger) -> list[tuple[object, ...]]:
    """Kill `migrate` while what it builds concurrently waits for a transaction; the indexes that it leaves."""
    with rows.connect() as holder:
        holder.autocommit = False
        holder.execute("UPDATE shop_item SET name = name")
        kill_while(rows, "migrate", query=WAITING_BUILD)
    return rows.sql(INDEXES)


def test_finished_operations_stay_and_the_next_run_goes_on(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.operations("0002_steps", INSERT, ADD_COLUMN, WRONG, INDEX, atomic=False)

    failed = shop.manage("migrate")
    position = shop.sql(LAST_RUN)
    shop.operations("0002_steps", INSERT, ADD_COLUMN, RIGHT, INDEX, atomic=False)
    resumed = shop.manage("migrate")

    assert failed.returncode == 1
    assert (
        "2 of its 4 operations are in the database. Once the cause is mended, migrate goes on from there;"
        in failed.stdout
    )
    assert position == [("apply", "failed", 2, 0, False)]
    assert resumed.returncode == 0, resumed.stdout
    assert shop.sql("SELECT count(*) FROM shop_item") == [(2,)]
    assert shop.applied() == ["0001_initial", "0002_steps"]


def test_edit_of_the_operations_that_are_in_is_refused(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.operations("0002_steps", ADD_COLUMN, WRONG, atomic=False)
    shop.manage("migrate")
    shop.operations("0002_steps", ADD_COLUMN.replace("'v'", "'w'"), RIGHT, atomic=False)

    migration = shop.manage("migrate")

    assert migration.returncode == 2
    assert "shop.0002_steps is partly applied: 1 of 2 operations" in migration.stdout
    assert "w" not in shop.columns()


def test_rollback_undoes_what_is_in(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.operations("0002_steps", INSERT, ADD_COLUMN, WRONG, atomic=False)
    shop.manage("migrate")

    undone = shop.manage("rollback", "--yes")

    assert undone.returncode == 0, undone.stdout
    assert "v" not in shop.columns()
    assert shop.sql("SELECT count(*) FROM shop_item") == [(0,)]
    assert shop.applied() == ["0001_initial"]


def test_broken_undoing_leaves_the_migration_unrecorded_and_goes_on(shop: Stranger) -> None:
    shop.operations("0002_steps", INSERT, "migrations.RunSQL('SELECT 1', 'SELECT 1 / 0')", ADD_COLUMN, atomic=False)
    shop.manage("migrate")

    broken = shop.manage("migrate", "shop", "0001")
    recorded = shop.applied()
    again = shop.manage("migrate")

    assert broken.returncode == 1
    assert recorded == ["0001_initial"]
    assert again.returncode == 0, again.stdout
    assert "v" in shop.columns()
    assert shop.sql("SELECT count(*) FROM shop_item") == [(2,)]
    assert shop.applied() == ["0001_initial", "0002_steps"]


def test_failed_concurrent_index_leaves_no_invalid_one(rows: Stranger) -> None:
    rows.operations("0002_unique", UNIQUE, atomic=False)

    migration = rows.manage("migrate")

    assert migration.returncode == 1
    assert "could not create unique index" in migration.stdout
    assert rows.sql(INDEXES) == []


def test_invalid_index_of_an_earlier_time_is_built_again(rows: Stranger) -> None:
    with rows.connect() as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY item_name ON shop_item (name)")
    rows.operations("0002_index", INDEX, atomic=False)

    migration = rows.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert rows.sql(INDEXES) == [("item_name", True)]


@pytest.mark.parametrize("create", ["CREATE INDEX CONCURRENTLY", "CREATE INDEX CONCURRENTLY IF NOT EXISTS"])
def test_kill_while_an_index_is_built_leads_to_a_valid_one(rows: Stranger, create: str) -> None:
    rows.operations("0002_index", f"migrations.RunSQL('{create} item_name ON shop_item (name)')", atomic=False)
    interrupted = indexes_of_a_broken_build(rows)

    migration = rows.manage("migrate")

    assert interrupted == [("item_name", False)]
    assert migration.returncode == 0, migration.stdout
    assert rows.sql(INDEXES) == [("item_name", True)]


def break_off_after(project: Stranger, *operations: str) -> None:
    """Run `migrate` with these operations; it is killed after the first of them, before that is recorded."""
    path = project.operations("0002_steps", *operations, atomic=False)
    path.write_text(path.read_text().replace("class Migration", BREAK_OFF_CODE.lstrip()))
    project.write("break", "")
    killed = project.manage("migrate")
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    (project.path / "break").unlink()


def test_finished_index_is_recognised_by_its_definition(rows: Stranger) -> None:
    """Announced, built, killed before the record: it looks as if it had begun, and the index is there."""
    break_off_after(rows, RIGHT, BREAK_OFF, INDEX)
    rows.sql("UPDATE migration_guard_run SET position = 2, began_next = true WHERE name = '0002_steps'")
    rows.sql("CREATE INDEX item_name ON shop_item (name)")

    migration = rows.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert rows.sql(INDEXES) == [("item_name", True)]


def test_index_of_that_name_with_another_definition_is_refused(rows: Stranger) -> None:
    break_off_after(rows, RIGHT, BREAK_OFF, INDEX)
    rows.sql("UPDATE migration_guard_run SET position = 2, began_next = true WHERE name = '0002_steps'")
    rows.sql("CREATE INDEX item_name ON shop_item (name, id)")

    migration = rows.manage("migrate")

    assert migration.returncode == 1
    assert 'relation "item_name" already exists' in migration.stdout


def test_python_step_outside_a_transaction_is_run_again(rows: Stranger) -> None:
    break_off_after(rows, ADD_COLUMN, BREAK_OFF, INDEX)

    migration = rows.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert rows.sql("SELECT action, outcome FROM migration_guard_run WHERE name = '0002_steps' ORDER BY id") == [
        ("apply", "interrupted"),
        ("apply", "done"),
    ]
    assert "interrupted" in rows.manage("history").stdout


def test_each_statement_of_a_list_commits_by_itself(rows: Stranger) -> None:
    rows.operations(
        "0002_steps",
        "migrations.RunSQL(['ALTER TABLE shop_item ADD v int', 'UPDATE shop_item SET v = 1', 'SELECT 1/0'])",
        atomic=False,
    )

    first, second = rows.manage("migrate"), rows.manage("migrate")

    assert (first.returncode, second.returncode) == (1, 1)
    assert rows.sql("SELECT DISTINCT v FROM shop_item") == [(1,)]
    assert rows.sql(LAST_RUN) == [("apply", "failed", 0, 2, False)]


@pytest.mark.parametrize("there_already", [True, False])
def test_statement_outside_transactions_runs_once(rows: Stranger, *, there_already: bool) -> None:
    """RunSQLOnce asks whether its work is there, as when the run that did it was killed before it could record it."""
    archive = f"{rows.env['POSTGRES_DB']}_archive"
    exists = f"SELECT count(*) > 0 FROM pg_database WHERE datname = '{archive}'"
    once = f"RunSQLOnce('CREATE DATABASE {archive}', 'DROP DATABASE {archive}', done=\"{exists}\")"
    rows.operations("0002_once", once, atomic=False)
    if there_already:
        rows.sql(f"CREATE DATABASE {archive}")

    migration = rows.manage("migrate")
    there = rows.sql(exists)
    undone = rows.manage("rollback", "--yes")

    assert migration.returncode == 0, migration.stdout
    assert there == [(True,)]
    assert undone.returncode == 0, undone.stdout
    assert rows.sql(exists) == [(False,)]


def test_interrupted_detaching_of_a_partition_is_finished(rows: Stranger) -> None:
    rows.sql("CREATE TABLE bars (day int) PARTITION BY RANGE (day)")
    rows.sql("CREATE TABLE bars_1 PARTITION OF bars FOR VALUES FROM (1) TO (2)")
    rows.operations(
        "0002_detach", "migrations.RunSQL('ALTER TABLE bars DETACH PARTITION bars_1 CONCURRENTLY')", atomic=False
    )
    with rows.connect() as holder:
        holder.autocommit = False
        holder.execute("SELECT * FROM bars")
        kill_while(rows, "migrate", query="SELECT inhrelid FROM pg_inherits WHERE inhdetachpending")

    migration = rows.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert rows.sql("SELECT * FROM pg_inherits WHERE inhparent = 'bars'::regclass") == []


def test_interrupted_reindex_leaves_no_copy(rows: Stranger) -> None:
    rows.operations("0002_index", INDEX, atomic=False)
    rows.manage("migrate")
    rows.operations("0003_reindex", "migrations.RunSQL('REINDEX INDEX CONCURRENTLY item_name')", atomic=False)
    interrupted = indexes_of_a_broken_build(rows)

    migration = rows.manage("migrate")

    assert ("item_name_ccnew", False) in interrupted
    assert migration.returncode == 0, migration.stdout
    assert rows.sql(INDEXES) == [("item_name", True)]
