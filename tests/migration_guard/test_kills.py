"""A `migrate` that is killed, or whose server is: the next one ends where an undisturbed one does."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from config.postgres import EmbeddedServer
from tests.migration_guard.stranger import Stranger, begin, stranger
from tests.project import environment_of
from tests.server import another_server

pytestmark = pytest.mark.endurance

# Fails when another session is at work in a migration: what a killed process left must be over before the next begins.
ALONE = (
    "DO $$ BEGIN IF NOT pg_try_advisory_xact_lock(4711) THEN RAISE 'another migration is at work'; END IF; "
    "PERFORM pg_sleep(0.02); END $$"
)
ADD_ONE = "UPDATE shop_item SET v = v + 1"
SHAPE = """
    SELECT 'index', relname::text, pg_get_indexdef(indexrelid), indisvalid::text
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid::regclass::text LIKE 'shop%'
    UNION ALL
    SELECT 'constraint', conname::text, pg_get_constraintdef(oid), convalidated::text
    FROM pg_constraint WHERE conrelid::regclass::text LIKE 'shop%'
    UNION ALL
    SELECT 'column', attrelid::regclass::text, attname::text, format_type(atttypid, atttypmod)
    FROM pg_attribute WHERE attrelid::regclass::text LIKE 'shop%' AND attnum > 0 AND NOT attisdropped
    ORDER BY 1, 2, 3
"""


def write_plan(project: Stranger) -> None:
    """Atomic and non-atomic migrations; each of the statements that change rows would show if it ran twice."""
    project.operations(
        "0002_rows",
        "migrations.AddField('Item', 'v', models.IntegerField(default=0))",
        f'migrations.RunSQL("""{ALONE}""")',
        "migrations.RunSQL(\"INSERT INTO shop_item (name, v) SELECT 'n' || i, i FROM generate_series(1, 300) AS i\")",
    )
    project.operations(
        "0003_indexes",
        "AddIndexConcurrently('Item', models.Index(fields=['name'], name='item_name'))",
        f"migrations.RunSQL('{ADD_ONE}')",
        f'migrations.RunSQL(["""{ALONE}""", "{ADD_ONE}", "CREATE INDEX CONCURRENTLY item_v ON shop_item (v)"])',
        "migrations.SeparateDatabaseAndState(database_operations=["
        "migrations.RunSQL('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS item_pair ON shop_item (name, id)'),"
        "migrations.RunSQL('ALTER TABLE shop_item ADD CONSTRAINT item_pair UNIQUE USING INDEX item_pair')])",
        "migrations.RunPython(add_one, migrations.RunPython.noop, atomic=True)",
        "migrations.RunSQL('REINDEX TABLE CONCURRENTLY shop_item')",
        "migrations.RunSQL('DROP INDEX CONCURRENTLY item_v')",
        "RunSQLOnce('VACUUM shop_item', done=\"SELECT false\")",
        atomic=False,
    )
    path = project.path / "shop/migrations/0003_indexes.py"
    body = "def add_one(apps, editor):\n    Item = apps.get_model('shop', 'Item')\n"
    body += "    Item.objects.update(v=models.F('v') + 1)\n\n\n"
    path.write_text(path.read_text().replace("class Migration", body + "class Migration"))
    project.operations(
        "0004_orders",
        f'migrations.RunSQL("""{ALONE}""")',
        "migrations.CreateModel('Order', fields=[('id', models.BigAutoField(primary_key=True)),"
        "('item', models.ForeignKey('shop.Item', models.CASCADE))])",
        "migrations.RunSQL('INSERT INTO shop_order (item_id) SELECT id FROM shop_item')",
    )


def result(project: Stranger) -> tuple[object, ...]:
    return (
        project.sql(SHAPE),
        project.sql("SELECT count(*), sum(v), count(DISTINCT v) FROM shop_item"),
        project.sql("SELECT count(*) FROM shop_order"),
        project.applied(),
    )


def migrate_and_kill(project: Stranger, after: float) -> bool:
    """Start `migrate`, kill it after so many seconds; whether it was still running."""
    try:
        project.manage("migrate", timeout=after)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    with stranger(tmp_path_factory.mktemp("undisturbed") / "shop") as project:
        write_plan(project)
        migrated = project.manage("migrate")
        assert migrated.returncode == 0, migrated.stdout
        return result(project)


def until_done(project: Stranger, chance: random.Random, kills: int, span: tuple[float, float]) -> int:
    """Kill at random moments, at most so often, then let it finish; how often it was killed."""
    killed = 0
    while killed < kills and migrate_and_kill(project, chance.uniform(*span)):
        killed += 1
    finished = project.manage("migrate")
    assert finished.returncode == 0, finished.stdout
    return killed


def test_plan_survives_a_few_kills(shop: Stranger, undisturbed: tuple[object, ...]) -> None:
    write_plan(shop)

    until_done(shop, random.Random(1), kills=4, span=(0.15, 0.35))

    assert result(shop) == undisturbed
    assert "No migrations to apply" in shop.manage("migrate").stdout


def test_plan_survives_two_hundred_kills(tmp_path: Path, undisturbed: tuple[object, ...]) -> None:
    chance = random.Random(int(os.environ.get("KILL_SEED", "20261123")))
    killed = 0
    outcomes: set[object] = set()
    while killed < 200:
        with stranger(tmp_path / f"shop{killed}") as project:
            write_plan(project)
            killed += until_done(project, chance, kills=30, span=(0.1, 0.4))

            assert result(project) == undisturbed
            outcomes |= {outcome for (outcome,) in project.sql("SELECT outcome FROM migration_guard_run")}
    assert outcomes == {"done", "interrupted"}


def test_plan_survives_a_server_that_stops_at_once(tmp_path: Path, undisturbed: tuple[object, ...]) -> None:
    chance = random.Random(2)
    with another_server(["full_page_writes=off"]) as server:
        project = begin(tmp_path / "shop", environment_of(server.address))
        write_plan(project)
        for _ in range(4):
            process = project.start(sys.executable, "manage.py", "migrate")
            time.sleep(chance.uniform(0.5, 0.9))
            stop_at_once(server)
            process.communicate(timeout=30)
            server.start()

        finished = project.manage("migrate")

        assert finished.returncode == 0, finished.stdout
        assert result(project) == undisturbed


def stop_at_once(server: EmbeddedServer) -> None:
    """What `pg_ctl stop -m immediate` does: no shutdown, a recovery at the next start."""
    postmaster = server.pid
    assert postmaster is not None
    os.kill(postmaster, signal.SIGQUIT)
    psutil.wait_procs([psutil.Process(postmaster)], timeout=10)
