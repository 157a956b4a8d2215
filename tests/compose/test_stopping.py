"""SIGTERM at the moments that matter, as `docker compose stop` sends it."""

import threading
import time

import pytest

from tests.compose.stack import Compose

BLOCK_FOR_SECONDS = "BEGIN; LOCK TABLE {table}; SELECT pg_sleep({seconds}); COMMIT"


def block(compose: Compose, table: str, seconds: int) -> threading.Thread:
    """Hold every lock of the table for so long, from a session of its own; returns once it is held."""
    thread = threading.Thread(target=compose.sql, args=[BLOCK_FOR_SECONDS.format(table=table, seconds=seconds)])
    thread.start()
    wait_for_lock(compose, table, granted=True)
    return thread


def wait_for_lock(compose: Compose, table: str, *, granted: bool) -> None:
    """Return once a session holds an ACCESS EXCLUSIVE lock of the table, or waits for some lock of it."""
    condition = "mode = 'AccessExclusiveLock' AND granted" if granted else "NOT granted"
    deadline = time.monotonic() + 30
    while compose.sql(f"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND {condition}") == "0":
        assert time.monotonic() < deadline, f"nobody has a lock of {table} where {condition}"
        time.sleep(0.1)


def stop(compose: Compose) -> float:
    """Stop the backend; the seconds that it took."""
    started = time.monotonic()
    compose.run("stop", "backend")
    return time.monotonic() - started


def test_a_request_in_flight_is_answered_before_the_container_ends(compose: Compose) -> None:
    compose.run("up", "--wait")
    answers: list[tuple[int, float]] = []

    def ask() -> None:
        answer = compose.get("/admin/", headers={"Cookie": "sessionid=" + "0" * 32})
        answers.append((answer.status, time.monotonic()))

    blocker = block(compose, "django_session", 6)
    request = threading.Thread(target=ask)
    request.start()
    wait_for_lock(compose, "django_session", granted=False)

    stopped_at = time.monotonic()
    seconds = stop(compose)

    request.join()
    blocker.join()
    [(status, answered_at)] = answers
    assert status == 302
    assert answered_at > stopped_at
    assert seconds < 10
    assert compose.inspect()["State"]["ExitCode"] == 0


def test_waiting_for_the_database_ends_at_once(compose: Compose) -> None:
    compose.run("up", "-d", "--no-deps", "backend")
    compose.wait_for_log("Waiting for the database")

    assert stop(compose) < 3
    assert compose.inspect()["State"]["Running"] is False


@pytest.mark.parametrize("table", ["django_migrations", "trader_user"])
def test_migrating_ends_at_once_and_leaves_nothing_half_done(compose: Compose, table: str) -> None:
    compose.run("up", "--wait")
    compose.run("exec", "-T", "backend", "python", "manage.py", "migrate", "trader", "0004")
    compose.run("stop", "backend")
    blocker = block(compose, table, 8)
    compose.run("start", "backend")
    wait_for_lock(compose, table, granted=False)

    seconds = stop(compose)

    assert seconds < 3
    blocker.join()
    assert compose.sql("SELECT to_regclass('trader_account')") == ""
    assert compose.sql("SELECT max(name) FROM django_migrations WHERE app = 'trader'") == "0004_instrument"
    compose.run("up", "--wait")
    assert compose.sql("SELECT to_regclass('trader_account')") == "trader_account"
