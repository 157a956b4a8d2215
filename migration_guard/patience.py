"""How long a migration may stand in the way: lock_timeout over a whole transaction, and another try after it."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.core.management.base import CommandError
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.conf import GuardSettings
from migration_guard.content_types import content_types_forgotten
from migration_guard.statements import ConcurrentStatement, validates
from migration_guard.watcher import Blocker, Watcher, describe_wait

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK_DETECTED = "40P01"
QUERY_CANCELED = "57014"
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

T = TypeVar("T")


class LockNotObtained(CommandError):
    """Other sessions held a lock for longer than the budget of a migration."""


def sqlstate_of(error: BaseException) -> str | None:
    """PostgreSQL's code for the error, from psycopg 3 or psycopg2."""
    cause = error.__cause__ or error
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


_at_work: WeakKeyDictionary[BaseDatabaseWrapper, "Patience"] = WeakKeyDictionary()


class Patience:
    """Bounds the lock waits of what runs in one session, and tries again where they were too long.

    Within a transaction the waits are summed, from the moment when another session waits for this one; what is over the
    LOCK_TIMEOUT of the settings rolls the whole transaction back, because a savepoint would keep its locks. Statements
    outside a transaction are bounded, and tried again, one by one. Between two tries, a pause with full jitter; after
    LOCK_BUDGET seconds LockNotObtained says who was in the way.
    """

    def __init__(self, connection: BaseDatabaseWrapper, *, say: Callable[[str], None]) -> None:
        settings = GuardSettings.load()
        self.connection = connection
        self.retries = 0
        self._timeout = settings.LOCK_TIMEOUT
        self._budget = settings.LOCK_BUDGET
        self._say = say
        self._is_bounding = False
        self._session_timeout = 0.0
        self._local_timeout: float | None = None
        self._transaction: object = None
        self._is_harmless = True
        self._named: list[Blocker] = []
        self._watcher: Watcher

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper, *, say: Callable[[str], None]) -> "Patience":
        """The one that is at work in the session, as where a migration itself calls `migrate`; else a new one."""
        return _at_work.get(connection) or cls(connection, say=say)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Set the session's timeouts and watch it, for the block; what is at work already goes on."""
        if self.connection in _at_work:
            yield
            return
        self._execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0")
        _at_work[self.connection] = self
        self._watcher = Watcher(self.connection, budget=self._timeout, say=self._say)
        try:
            with self.connection.execute_wrapper(self._bounded):
                yield
        finally:
            del _at_work[self.connection]
            self._watcher.close()
            session = self.connection.connection
            if session is not None and not session.closed and not self.connection.needs_rollback:
                self._execute("RESET statement_timeout; RESET idle_in_transaction_session_timeout; RESET lock_timeout")

    @property
    def longest_wait(self) -> float:
        """Seconds of the longest lock wait of the migration."""
        return self._watcher.longest

    @contextmanager
    def bounding(self) -> Iterator[None]:
        """One migration: count its retries and its longest wait, and bound its statements; signal handlers wait."""
        was_bounding, self._is_bounding = self._is_bounding, True
        if not self.connection.in_atomic_block:
            self._bound_session(self._timeout)
        self.retries = 0
        self._watcher.longest = 0.0
        try:
            yield
        finally:
            self._is_bounding = was_bounding

    def transaction(self, work: Callable[[], T], what: str) -> T:
        """Run `work`, which opens one transaction and commits it, until it gets its locks; `what` names it."""

        def attempt() -> T:
            with content_types_forgotten():
                return work()

        return self._until_locked(attempt, what, armed=True)

    def _until_locked(self, work: Callable[[], T], what: str, *, armed: bool) -> T:
        is_outermost = not self.connection.in_atomic_block
        began = time.monotonic()
        for attempt in count(1):
            self._watcher.begin_transaction()
            self._watcher.arm(armed=armed)
            try:
                return work()
            except OperationalError as error:
                self._watcher.arm(armed=False)
                if not is_outermost or not self._is_about_locks(error):
                    raise
                self._pause(error, what, attempt, time.monotonic() - began)
            finally:
                self._watcher.arm(armed=False)
        raise AssertionError("count() has no end")

    def _is_about_locks(self, error: OperationalError) -> bool:
        code = sqlstate_of(error)
        was_cancelled = code == QUERY_CANCELED and self._watcher.has_cancelled
        return was_cancelled or code in {LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED}

    def _pause(self, error: OperationalError, what: str, attempt: int, spent: float) -> None:
        """Say who was in the way, if it is not known yet, and wait; LockNotObtained when the budget is spent."""
        self.retries += 1
        wait, blockers = self._watcher.last_wait, self._watcher.blockers
        told = describe_wait(wait, blockers) if wait else " ".join(str(error).split())
        if spent >= self._budget:
            raise LockNotObtained(
                f"{what}: no lock in {spent:.0f} s and {attempt} tries, each given up after {self._timeout:g} s so "
                f"that nobody queues behind it for longer.\n{told}\nIt was rolled back: nothing of it is in the "
                "database. End the session that is in the way, or raise MIGRATION_GUARD['LOCK_BUDGET'], then run the "
                "command again.",
                returncode=2,
            ) from error
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt, self._budget - spent)
        pause = random.uniform(0, longest)  # noqa: S311  # jitter, no secret
        if attempt == 1 or blockers != self._named:
            self._say(told)
        self._named = blockers
        self._say(f"Try {attempt} given up, so that nobody queues behind it; the next in {pause:.1f} s.")
        time.sleep(pause)

    def _bounded(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:  # noqa: FBT001
        """Django's execute_wrapper: give each statement what is left of the timeout."""
        self._watcher.statements += 1
        text = str(sql)
        if self.connection.in_atomic_block:
            self._bound_transaction(text)
        elif statement := ConcurrentStatement.parse(text):
            self._bound_session(self._timeout if statement.detaches else 0)
        elif not self._is_bounding or validates(text):
            self._bound_session(0)
        else:
            self._bound_session(self._timeout)
            return self._until_locked(lambda: execute(sql, params, many, context), "A statement", armed=False)
        return execute(sql, params, many, context)

    def _bound_session(self, seconds: float) -> None:
        self._transaction = self._local_timeout = None
        if seconds != self._session_timeout:
            self._execute(f"SET lock_timeout = {round(seconds * 1000)}")
            self._session_timeout = seconds

    def _bound_transaction(self, text: str) -> None:
        """Nobody queues behind the lock of VALIDATE: no limit, unless the transaction holds others by now."""
        if self._transaction is not self.connection.atomic_blocks[0]:
            self._transaction = self.connection.atomic_blocks[0]
            self._local_timeout = None
            self._is_harmless = True
            self._watcher.begin_transaction()
        self._is_harmless = self._is_harmless and validates(text)
        seconds = self._watcher.left if self._is_bounding and not self._is_harmless else 0
        in_force = self._session_timeout if self._local_timeout is None else self._local_timeout
        if seconds != in_force:
            self._execute(f"SET LOCAL lock_timeout = {max(round(seconds * 1000), 1) if seconds else 0}")
            self._local_timeout = seconds

    def _execute(self, statement: str) -> None:
        """Send a setting past the wrapper."""
        self.connection.ensure_connection()
        with self.connection.wrap_database_errors, self.connection.connection.cursor() as cursor:
            cursor.execute(statement)
