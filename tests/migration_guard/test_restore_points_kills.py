"""A `migrate` or `restore` that is killed: what was destroyed is kept whole, or nothing was destroyed."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.migration_guard.operating import TURN_HELD
from tests.migration_guard.restoring import CREATE_BOX, DROP_V, fill, leftovers, points, restore, succeed, sums
from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

ROWS = 40_000
BOXES = "INSERT INTO shop_box (item_id, label) SELECT id, id FROM shop_item"
DESTROY = [
    "migrations.DeleteModel('Box')",
    "migrations.RunSQL('DELETE FROM shop_item WHERE id % 7 = 0')",
    DROP_V,
    "migrations.RunSQL('SELECT pg_sleep(0.1)')",
]
# What the command is at when it is killed.
COPIES = "query LIKE 'COPY (SELECT %' AND application_name = 'migration_guard restore point'"
DUMPS = "query LIKE 'COPY public.shop_box%'"
WRITES = "query LIKE 'CREATE TEMPORARY TABLE%'"
COMPARES = 'query ~ \'LEFT JOIN ONLY "public"."shop_item" live\''
SEALED = "query LIKE 'SELECT pg_current_xact_id()%' OR query LIKE 'INSERT INTO \"django_migrations\"%'"
RESTORES = 'query ~ \'(UPDATE|INSERT INTO) "public"."shop_item"\''
STAGES = "query LIKE 'COPY \"migration_guard_kept%'"
AT_WORK = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND ({})"


def stop_at(project: Stranger, query: str, number: int, *arguments: str) -> bool:
    """Send the signal once a session is at such a query; whether the command had not ended before."""
    process = project.start(sys.executable, "manage.py", *arguments)
    with project.connect() as looking:
        looking.autocommit = True
        while process.poll() is None and not looking.execute(AT_WORK.format(query).encode()).fetchall():
            pass
    return stop(project, process, number)


def stop(project: Stranger, process: "subprocess.Popen[str]", number: int) -> bool:
    was_running = process.poll() is None
    if was_running:
        os.kill(process.pid, number)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while project.sql(TURN_HELD):
        assert time.monotonic() < deadline, "the orphan still has the turn"
        time.sleep(0.05)
    return was_running


@pytest.fixture
def boxes(shop: Stranger) -> Stranger:
    """Forty thousand items, a box for each, and a migration that destroys something of all of them."""
    fill(shop, ROWS)
    shop.operations("0003_box", CREATE_BOX)
    succeed(shop, "migrate")
    shop.sql(BOXES)
    shop.operations("0004_destroy", *DESTROY)
    return shop


def settle(project: Stranger, before: dict[str, tuple[object, ...]]) -> bool:
    """Whether it was applied; then what it destroyed is brought back and it is taken for not applied."""
    if project.applied()[-1] == "0003_box":
        assert sums(project, *before) == before
        return False
    restore(project)
    assert sums(project, *before) == before
    succeed(project, "migrate", "--fake", "shop", "0003")
    return True


def test_migrate_that_is_interrupted_at_any_moment_loses_nothing(boxes: Stranger) -> None:
    before = sums(boxes, "shop_item", "shop_box")
    for query in (COPIES, DUMPS, WRITES, COMPARES, SEALED):
        assert stop_at(boxes, query, signal.SIGKILL, "migrate"), query
        settle(boxes, before)
    for query in (COPIES, DUMPS, SEALED):
        assert stop_at(boxes, query, signal.SIGINT, "migrate"), query
        settle(boxes, before)
        assert leftovers(boxes) == []
    assert "No migrations to apply" not in succeed(boxes, "migrate")
    assert leftovers(boxes) == []
    assert settle(boxes, before)
    assert "BROKEN" not in succeed(boxes, "restore_points")


def test_migrate_that_is_killed_about_its_commit_loses_nothing(boxes: Stranger) -> None:
    before, chance = sums(boxes, "shop_item", "shop_box"), random.Random(5)
    for _ in range(4):
        process = boxes.start(sys.executable, "manage.py", "migrate")
        before_it = points(boxes)
        while process.poll() is None and points(boxes) == before_it:
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.03))
        stop(boxes, process, signal.SIGKILL)

        settle(boxes, before)
    assert "BROKEN" not in succeed(boxes, "restore_points")


def test_restore_that_is_killed_brings_back_nothing_and_works_again(boxes: Stranger) -> None:
    before = sums(boxes, "shop_item", "shop_box")
    succeed(boxes, "migrate")
    after = sums(boxes, "shop_item")
    for query in (STAGES, RESTORES):
        assert stop_at(boxes, query, signal.SIGKILL, "restore", points(boxes)[0], "--yes"), query

        assert sums(boxes, "shop_item") == after
        assert boxes.columns("shop_box") == set()
    restore(boxes)
    assert sums(boxes, "shop_item", "shop_box") == before
