"""Two sessions, one of which waits for the other."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

IS_BLOCKED = "SELECT %s = ANY (pg_blocking_pids(%s))"
SECONDS = 10.0


def begin(work: Callable[[], T], session: psycopg.Connection, *, behind: psycopg.Connection) -> "Future[T]":
    """Start the session's work in a thread; it waits, when this returns, for a lock that the other session holds."""
    with_thread = ThreadPoolExecutor(1)
    working = with_thread.submit(work)
    with_thread.shutdown(wait=False)
    deadline = time.monotonic() + SECONDS
    while not _is_blocked(session, behind):
        assert not working.done(), working.result()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return working


def refused_rule(working: "Future[Any]") -> str | None:
    """The rule that refused the work, once it need not wait any more."""
    error = working.exception(timeout=SECONDS)
    assert isinstance(error, psycopg.IntegrityError), error
    return error.diag.constraint_name


def _is_blocked(session: psycopg.Connection, behind: psycopg.Connection) -> bool:
    found = behind.execute(IS_BLOCKED, [behind.info.backend_pid, session.info.backend_pid]).fetchone()
    return found is not None and found[0] is True
