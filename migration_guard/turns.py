"""The turn: one process at a time changes the schema of a database."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionProxy

from migration_guard.connections import own_session, refuse_read_only, refuse_transaction_pooling, rows

TURN_KEY = int.from_bytes(b"migguard", "big")
RETRY_EVERY_SECONDS = 0.2
REPORT_EVERY_SECONDS = 5.0
LONG_WAIT_SECONDS = 120.0

TRY_LOCK = f"SELECT pg_try_advisory_lock({TURN_KEY})"
UNLOCK = f"SELECT pg_advisory_unlock({TURN_KEY})"
# The server notices within a second that this client is gone, and ends what it still does.
END_WITH_CLIENT = "SET client_connection_check_interval = '1s'"
KEEP_AFTER_CLIENT = "RESET client_connection_check_interval"
IS_THE_LOCK = f"""
    locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = {TURN_KEY}
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608  # a constant
IS_TAKEN = f"EXISTS (SELECT FROM pg_locks WHERE {IS_THE_LOCK})"
HAS_TURN = f"EXISTS (SELECT FROM pg_locks WHERE {IS_THE_LOCK} AND pid = pg_backend_pid())"
HOLDERS = f"""
    SELECT pid, coalesce(host(client_addr), 'a local socket'), coalesce(usename, '(hidden)'), application_name,
        date_trunc('second', now() - backend_start)
    FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE {IS_THE_LOCK}
"""  # noqa: S608  # a constant


class TurnLost(Exception):
    """The session that migrates no longer holds the lock that keeps others out."""

    def __init__(self) -> None:
        super().__init__(
            "This session no longer holds the lock that lets one process migrate at a time: the connection was closed, "
            "or its locks were released, by a migration that ran in it.\nNothing further was applied; the next run "
            "goes on. Take the connection.close(), DISCARD ALL or pg_advisory_unlock_all() out of that migration."
        )


@contextmanager
def turn(connection: BaseDatabaseWrapper, *, say: Callable[[str], None] = print) -> Iterator[BaseDatabaseWrapper]:
    """Hold the database's one advisory lock in the session that does the work, so that it ends with that session.

    Waits as long as another session holds it, and says who that is, at first and then every five seconds. Re-entrant
    within a session: `migrate` called inside takes the same turn again. Gives the connection that has it; until the end
    of the block the alias leads there too, where MIGRATION_GUARD["DIRECT_DATABASE"] or a connection pool makes that
    another one. Raises UnfitSession where nothing can be written, or no session can hold a lock.
    """
    usual = connections[connection.alias]
    # django.db.connection is a proxy, which no annotation of Django's tells.
    is_usual = connection is usual or isinstance(connection, ConnectionProxy)
    with own_session(usual.alias) if is_usual else nullcontext(connection) as session:
        with session.cursor() as cursor:
            cursor.execute(END_WITH_CLIENT)
        refuse_read_only(session)
        refuse_transaction_pooling(session)
        _wait_for_lock(session, say)
        with _release_at_end(session):
            yield session


@contextmanager
def _release_at_end(connection: BaseDatabaseWrapper) -> Iterator[None]:
    session = connection.connection
    try:
        yield
    finally:
        # A connection that was closed meanwhile has lost the lock, and its successor never had it.
        if connection.connection is session and not session.closed and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK)
            if not _says(connection, f"SELECT {HAS_TURN}"):
                with connection.cursor() as cursor:
                    cursor.execute(KEEP_AFTER_CLIENT)


def is_taken(connection: BaseDatabaseWrapper) -> bool:
    """Whether any session, this one included, has the turn."""
    return _says(connection, f"SELECT {IS_TAKEN}")


def require_turn(connection: BaseDatabaseWrapper) -> None:
    """Raise TurnLost unless this session holds the lock."""
    if not _says(connection, f"SELECT {HAS_TURN}"):
        raise TurnLost


def _wait_for_lock(connection: BaseDatabaseWrapper, say: Callable[[str], None]) -> None:
    """Poll: a session that blocks on the lock would hold a snapshot, which CREATE INDEX CONCURRENTLY waits for."""
    began = time.monotonic()
    next_report = began + RETRY_EVERY_SECONDS
    while not _says(connection, TRY_LOCK):
        if time.monotonic() >= next_report:
            has_long_waited = time.monotonic() - began > LONG_WAIT_SECONDS
            for pid, address, user, application, age in rows(connection, HOLDERS):
                way_out = f" If it hangs, this ends it: SELECT pg_terminate_backend({pid})" if has_long_waited else ""
                say(
                    f"Waiting for another process to finish: server process {pid}, user {user}, {application or '-'}, "
                    f"from {address}, since {age}.{way_out}"
                )
            next_report = time.monotonic() + REPORT_EVERY_SECONDS
        time.sleep(RETRY_EVERY_SECONDS)


def _says(connection: BaseDatabaseWrapper, question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return bool(cursor.fetchone()[0])
