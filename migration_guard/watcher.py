"""A second session that looks at the first: how long it waits for locks, for whom, and whom it keeps waiting."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from migration_guard.connections import another_session

POLL_SECONDS = 0.05
REPORT_EVERY_SECONDS = 5.0
CLOSE_WITHIN_SECONDS = 1.0

OWN_WAIT = """
    SELECT clock_timestamp(), coalesce(waitstart, clock_timestamp()), mode,
        coalesce(relation::regclass::text, locktype)
    FROM pg_locks WHERE pid = %s AND NOT granted
"""
FIRST_VICTIM = """
    SELECT min(waitstart) FROM pg_locks
    WHERE NOT granted AND pid <> %(pid)s AND %(pid)s = ANY (pg_blocking_pids(pid))
"""
BLOCKERS = """
    SELECT blocker, usename, application_name, state,
        date_trunc('second', clock_timestamp() - xact_start),
        left(regexp_replace(query, '\\s+', ' ', 'g'), 200), current_user
    FROM unnest(pg_blocking_pids(%s)) AS blocker LEFT JOIN pg_stat_activity ON pid = blocker
    ORDER BY xact_start, blocker
"""
CANCEL = "SELECT pg_cancel_backend(%s)"


@dataclass(frozen=True)
class Blocker:
    """A session that holds, or is queued for, the lock that the migration waits for; the same whatever its age is."""

    pid: int
    user: str | None
    application: str | None
    state: str | None
    age: timedelta | None = field(compare=False)
    query: str | None
    seen_by: str

    def __str__(self) -> str:
        if self.pid == 0:
            return (
                "a prepared transaction (pg_prepared_xacts lists them; COMMIT PREPARED or ROLLBACK PREPARED ends one)"
            )
        parts = [f"server process {self.pid}", f"user {self.user or '(none)'}"]
        parts += [f"application {self.application}"] if self.application else []
        parts += [self.state] if self.state else []
        parts += [f"in a transaction since {self.age}"] if self.age is not None else []
        return f"{', '.join(parts)}: {self._doing}"

    @property
    def is_wraparound_vacuum(self) -> bool:
        query = self.query or ""
        return "autovacuum:" in query and "to prevent wraparound" in query

    @property
    def _doing(self) -> str:
        if self.query == "<insufficient privilege>":
            return f"its query is hidden from {self.seen_by}; GRANT pg_read_all_stats TO {self.seen_by} would show it"
        if self.is_wraparound_vacuum:
            return f"{self.query} - against the wraparound of transaction ids: let it finish, it would only begin again"
        return f"{self.query} - to end it: SELECT pg_terminate_backend({self.pid})"


@dataclass
class Wait:
    """One wait of the watched session for one lock."""

    started_at: datetime
    seen_at: datetime
    mode: str
    target: str

    def seconds(self, since: datetime | None = None) -> float:
        return max((self.seen_at - max(self.started_at, since or self.started_at)).total_seconds(), 0.0)


class Watcher:
    """Watches one session from another one, in a thread, until it is closed.

    `budget` bounds the sum of the session's lock waits within a transaction, in seconds, counted from the moment when
    another session first waits for it; over it, the statement is cancelled. Without a second session (no connection is
    free) nothing is counted, and only the server's own lock_timeout holds.
    """

    def __init__(self, connection: BaseDatabaseWrapper, *, budget: float, say: Callable[[str], None]) -> None:
        self._session = another_session(connection, "watcher")
        self._pid = connection.connection.info.backend_pid
        self._budget = budget
        self._say = say
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._armed = False
        # Counts the statements that the session has begun: while it grows, none of them waits for long.
        self.statements = 0
        self.longest = 0.0
        self.begin_transaction()
        self._thread = threading.Thread(target=self._watch, name="migration_guard watcher", daemon=True)
        self._thread.start()

    def begin_transaction(self) -> None:
        """Count anew."""
        with self._guard:
            self.spent = 0.0
            self.has_cancelled = False
            self.last_wait: Wait | None = None
            self.blockers: list[Blocker] = []
            self._waits = False
            self._blocking_since: datetime | None = None

    def arm(self, *, armed: bool) -> None:
        """Allow a cancel, or return when none can come any more."""
        with self._guard:
            self._armed = armed

    @property
    def left(self) -> float:
        """Seconds of the budget that a statement may still wait for locks."""
        return max(self._budget - self.spent, 0.001)

    def close(self) -> None:
        """End the watch; a session that a full pool has let nowhere is given up."""
        self._stop.set()
        self._thread.join(CLOSE_WITHIN_SECONDS)
        if self._thread.is_alive() and self._session.connection is not None:
            self._session.connection.cancel()
            self._thread.join(CLOSE_WITHIN_SECONDS)
        if not self._thread.is_alive():
            self._session.close()

    def _watch(self) -> None:
        try:
            with self._session.cursor() as cursor:
                next_report = time.monotonic() + REPORT_EVERY_SECONDS
                seen = -1
                while not self._stop.wait(POLL_SECONDS):
                    if seen != self.statements and not self._waits:
                        seen = self.statements
                        continue
                    self._look(cursor)
                    if not self._waits:
                        next_report = time.monotonic() + REPORT_EVERY_SECONDS
                    elif self.last_wait and time.monotonic() >= next_report:
                        self.blockers = _blockers(cursor, self._pid)
                        self._say(describe_wait(self.last_wait, self.blockers))
                        next_report = time.monotonic() + REPORT_EVERY_SECONDS
        except (DatabaseError, InterfaceError) as error:
            if not self._stop.is_set():
                self._say(
                    f"Nobody watches for blocked sessions, lock_timeout alone holds: {' '.join(str(error).split())}"
                )

    def _look(self, cursor: CursorWrapper) -> None:
        cursor.execute(OWN_WAIT, [self._pid])
        row = cursor.fetchone()
        with self._guard:
            if row is None:
                self._end_wait()
                return
            now, started_at, mode, target = row
            if self.last_wait is None or self.last_wait.started_at != started_at:
                self._end_wait()
                self.last_wait = Wait(started_at, now, mode, target)
                self.blockers = _blockers(cursor, self._pid) or self.blockers
            self._waits = True
            self.last_wait.seen_at = now
            self.longest = max(self.longest, self.last_wait.seconds())
            self._count(cursor, self.last_wait)

    def _count(self, cursor: CursorWrapper, wait: Wait) -> None:
        if self._blocking_since is None:
            cursor.execute(FIRST_VICTIM, {"pid": self._pid})
            (self._blocking_since,) = cursor.fetchone()
        if self._blocking_since and self.spent + wait.seconds(self._blocking_since) >= self._budget and self._armed:
            self._armed = False
            self.has_cancelled = True
            cursor.execute(CANCEL, [self._pid])

    def _end_wait(self) -> None:
        """A wait that is no longer seen ended at most one poll after it was seen last."""
        if self._waits and self.last_wait is not None and self._blocking_since is not None:
            self.spent += self.last_wait.seconds(self._blocking_since) + POLL_SECONDS
        self._waits = False


def describe_wait(wait: Wait, blockers: list[Blocker]) -> str:
    """Which lock is waited for, how long, and who is in the way: a line each."""
    first = f"Waiting for {wait.mode} on {wait.target} since {wait.seconds():.1f} s; in the way:"
    return "\n".join([first, *(f"  {blocker}" for blocker in blockers)])


def _blockers(cursor: CursorWrapper, pid: int) -> list[Blocker]:
    cursor.execute(BLOCKERS, [pid])
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return [Blocker(*row) for row in rows]
