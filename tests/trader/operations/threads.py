"""What happens in several sessions at once."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import psycopg
from django.db import connection

T = TypeVar("T")

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def elsewhere(pool: ThreadPoolExecutor, task: Callable[[], T]) -> "Future[T]":
    """Run the task in a thread, on a connection of its own that is closed at the end."""

    def run() -> T:
        try:
            return task()
        finally:
            connection.close()

    return pool.submit(run)


def wait_until_blocked(session: psycopg.Connection, seconds: float = 10) -> None:
    """Wait until another session of the database waits for a lock."""
    deadline = time.monotonic() + seconds
    while session.execute(WAITING).fetchone() == (0,):
        assert time.monotonic() < deadline, "Nobody waits for a lock."
        time.sleep(0.01)
