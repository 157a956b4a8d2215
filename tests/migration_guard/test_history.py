"""`history` tells what was done to a database, when, by whom and how it ended."""

import json
import re
import sys
import time
from typing import Any

import pytest

from tests.migration_guard.stranger import Stranger
from tests.programs import managing

pytestmark = pytest.mark.endurance

ADD_V = "migrations.AddField('Item', 'v', models.IntegerField(null=True))"
WHEN = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
KEYS = {
    "id",
    "app",
    "name",
    "action",
    "outcome",
    "fingerprint",
    "operations_done",
    "operations",
    "serves_previous_release",
    "who",
    "host",
    "release",
    "reason",
    "error",
    "started_at",
    "finished_at",
    "seconds",
    "retries",
    "longest_lock_wait",
}
# Other tests sleep on the same server.
SLEEPING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()"
TABLES = "SELECT relname FROM pg_class WHERE relname IN ('django_migrations', 'migration_guard_run')"


def told(project: Stranger, *arguments: str) -> list[str]:
    """The lines, without times, durations and people."""
    history = project.manage("history", *arguments)
    assert history.returncode == 0, history.stdout
    return [shortened(line) for line in history.stdout.splitlines()]


def shortened(line: str) -> str:
    run = re.fullmatch(rf"{WHEN}  (.+?) +(?:-|\d+\.\d\d s)  (\S+)  \S+@\S+.*", line)
    return " ".join(run.groups()) if run else line.strip()


def data(project: Stranger, *arguments: str) -> list[dict[str, Any]]:
    history = project.manage("history", *arguments, "--json")
    assert history.returncode == 0, history.stdout
    rows: list[dict[str, Any]] = json.loads(history.stdout)
    return rows


def test_empty_database_has_no_history(shop: Stranger) -> None:
    assert told(shop) == ["The ledger of this database has no run of that kind yet."]
    assert data(shop) == []
    assert data(shop, "shop", "0001") == []
    assert shop.sql(TABLES) == []


def test_applied_and_undone_runs_are_told_oldest_first(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_V)
    shop.manage("migrate")
    shop.manage("rollback", "--yes")

    assert told(shop) == ["applied shop.0001_initial", "applied shop.0002_v", "undone shop.0002_v"]
    rows = [(row["name"], row["action"], row["outcome"]) for row in data(shop)]
    assert rows == [("0001_initial", "apply", "done"), ("0002_v", "apply", "done"), ("0002_v", "undo", "done")]


def test_run_tells_who_where_and_which_release(shop: Stranger) -> None:
    shop.configure("MIGRATION_GUARD = {'RELEASE': 'r-2026.11'}")
    shop.manage("migrate")

    (row,) = data(shop)
    assert shop.manage("history").stdout.strip().endswith(f"{row['who']}@{row['host']} r-2026.11")
    assert row["release"] == "r-2026.11"
    assert row["who"]
    assert row["host"]
    assert row["started_at"] < row["finished_at"]
    assert 0 < row["seconds"] < 60
    assert row["fingerprint"].startswith("1:")
    assert (row["operations_done"], row["operations"]) == (1, 1)


def test_faked_runs_are_told_as_such(shop: Stranger) -> None:
    shop.manage("migrate", "--fake")
    shop.manage("migrate", "--fake", "shop", "zero")

    assert told(shop) == ["applied (fake) shop.0001_initial", "undone (fake) shop.0001_initial"]
    assert [row["action"] for row in data(shop)] == ["fake apply", "fake undo"]


@pytest.mark.parametrize("atomic", [True, False])
def test_failed_run_is_told_with_its_error(shop: Stranger, atomic: bool) -> None:
    shop.operations("0002_broken", ADD_V, "migrations.RunSQL('SELECT 1/0')", atomic=atomic)
    shop.manage("migrate")

    position = [] if atomic else ["1 of 2 operations were in the database"]
    assert told(shop, "shop", "0002") == [
        "applying failed shop.0002_broken",
        *position,
        "DataError: division by zero",
    ]
    (row,) = data(shop, "shop", "0002")
    assert (row["outcome"], row["error"]) == ("failed", "DataError: division by zero")
    assert row["operations_done"] == (0 if atomic else 1)
    assert row["finished_at"] is not None


def test_undoing_that_failed_is_told_as_such(shop: Stranger) -> None:
    shop.operations("0002_broken", "migrations.RunSQL('SELECT 1', 'SELECT 1/0')")
    shop.manage("migrate")
    shop.manage("rollback", "--yes")

    assert told(shop)[-2:] == ["undoing failed shop.0002_broken", "DataError: division by zero"]


def test_killed_run_is_told_as_interrupted(shop: Stranger) -> None:
    shop.operations("0002_slow", "migrations.RunSQL('SELECT pg_sleep(60)')")
    with managing(shop, "migrate", "-v0") as migrating:
        while not shop.sql(SLEEPING):
            assert migrating.process.poll() is None
            time.sleep(0.05)
    running = told(shop)
    shop.operations("0002_slow", "migrations.RunSQL('SELECT 1')")

    shop.manage("migrate")

    assert running[1:] == ["applying running shop.0002_slow"]
    assert told(shop)[1:] == [
        "applying interrupted shop.0002_slow",
        "It was killed, or lost its connection.",
        "applied shop.0002_slow",
    ]


def test_what_was_applied_without_the_guard_is_told_as_adopted(shop: Stranger) -> None:
    shop.configure("if 'WITHOUT_GUARD' in os.environ: INSTALLED_APPS.remove('migration_guard')")
    shop.run(sys.executable, "manage.py", "migrate", env={"WITHOUT_GUARD": "1"})
    before = told(shop)

    shop.manage("migrate")

    assert before == ["The ledger of this database has no run of that kind yet."]
    assert told(shop) == ["adopted shop.0001_initial"]
    assert [row["action"] for row in data(shop)] == ["adopt"]


def test_accepted_edit_is_told_with_its_reason(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_V)
    shop.manage("migrate")
    shop.operations("0002_v", ADD_V.replace("null=True", "null=True, help_text='v'"))
    shop.manage("migrate", "--accept-edited", "shop", "0002_v", "--reason", "only a help text")

    assert told(shop)[-2:] == ["edit accepted shop.0002_v", "because: only a help text"]
    assert data(shop)[-1]["reason"] == "only a help text"


def test_retries_are_told_with_the_longest_wait(shop: Stranger) -> None:
    shop.configure("MIGRATION_GUARD = {'LOCK_TIMEOUT': 0.2}")
    shop.manage("migrate")
    shop.operations("0002_v", ADD_V)
    with shop.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE shop_item IN ACCESS SHARE MODE")
        with managing(shop, "migrate") as migrating:
            migrating.wait_for("Try 1 given up", within=20)
            holder.execute("ROLLBACK")

            assert migrating.wait() == 0, migrating.output

    (row,) = data(shop, "shop", "0002")
    assert row["retries"] >= 1
    assert 0.1 < row["longest_lock_wait"] < 5
    wait = f"longest wait for a lock {row['longest_lock_wait']:.2f} s"
    assert told(shop)[-2:] == ["applied shop.0002_v", f"tried {row['retries'] + 1} times; {wait}"]


def test_squash_of_applied_migrations_is_told(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_V)
    shop.manage("migrate")
    shop.migration(
        "0001_squashed",
        f"""
        class Migration(migrations.Migration):
            replaces = [("shop", "0001_initial"), ("shop", "0002_v")]
            operations = [
                migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True))]),
                {ADD_V},
            ]
        """,
    )
    shop.manage("migrate")

    assert told(shop)[-1] == "recorded as replaced shop.0001_squashed"


def test_one_app_and_one_migration_can_be_chosen(shop: Stranger) -> None:
    shop.configure("INSTALLED_APPS += ['django.contrib.contenttypes']")
    shop.operations("0002_v", ADD_V)
    shop.manage("migrate")

    assert told(shop, "shop") == ["applied shop.0001_initial", "applied shop.0002_v"]
    assert told(shop, "shop", "0002") == ["applied shop.0002_v"]
    assert told(shop, "shop", "0009") == ["The ledger of this database has no run of that kind yet."]


def test_json_has_the_parts_only_of_a_chosen_migration(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_V)
    shop.manage("migrate")

    every_row, (chosen,) = data(shop), data(shop, "shop", "0002")

    assert all(row.keys() == KEYS for row in every_row)
    assert chosen.keys() == KEYS | {"parts"}
    assert {"name": "operation 1: AddField", "text": ADD_V} in chosen["parts"]
