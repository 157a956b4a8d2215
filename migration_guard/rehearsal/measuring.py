"""The statements of a migration, as they pass Django's cursors: time, locks, what was written anew, and WAL."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from types import FrameType
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation
from psycopg.pq import TransactionStatus

from migration_guard.executor import run_deferred
from migration_guard.patience import sqlstate_of
from migration_guard.rehearsal.relations import IS_OF_USERS, NAME, RELATIONS, TABLE_KINDS, Relation, relations
from migration_guard.rehearsal.results import Lock, StatementResult
from migration_guard.review.syntax import ParserMissing, parse
from migration_guard.steps import ACTIVE_SQL_TRANSACTION

INVALID_TRANSACTION_TERMINATION = "2D000"
# What was dropped has a lock and no row in the catalog.
LOCKED = f"""
    SELECT DISTINCT relation, mode, {NAME}, relkind::text, relfilenode
    FROM pg_locks LEFT JOIN pg_class ON pg_class.oid = relation
    WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (relname IS NULL OR {IS_OF_USERS})
"""  # noqa: S608  # constants
WAL_POSITION = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
# What Patience sets between the statements of an operation.
TIMEOUTS = ("SET LOCAL lock_timeout", "SET lock_timeout")
SAVEPOINTS = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
TOLD_BY_THEMSELVES = 20
# From the weakest to the strongest.
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
MODE_OF = {f"{mode.title().replace(' ', '')}Lock": mode for mode in MODES}
CHANGING = set(MODES[MODES.index("ROW EXCLUSIVE") :])
# What PostgreSQL documents about the statements that it refuses within a transaction, by how they begin.
DOCUMENTED = {
    ("CREATE", "DROP", "REINDEX", "ALTER", "VACUUM"): "SHARE UPDATE EXCLUSIVE",
    ("REFRESH",): "EXCLUSIVE",
    ("CLUSTER",): "ACCESS EXCLUSIVE",
}
ENDS_TRANSACTION = (
    "It ends the transaction of its migration, with COMMIT or ROLLBACK: what comes before it stays where the rest "
    "fails, and is not recorded. Leave it out, or give the migration atomic = False."
)


class EndsTransaction(Exception):
    """SQL of an atomic migration has ended the transaction that holds the migration together."""


class Recorder:
    """Django's execute_wrapper around what operations of a migration send; what the guard itself sends goes through.

    Within a transaction the locks are read after each statement. A statement outside one is given one, so that its
    locks can be read before they go; where PostgreSQL refuses that, the documented ones stand for them, with those
    that `seen` tells, which somebody else has read meanwhile. With `only_times` nothing is asked, so that the
    migration takes no longer than without it.
    """

    def __init__(
        self, connection: BaseDatabaseWrapper, seen: Callable[[], Collection[Lock]] = list, *, only_times: bool = False
    ) -> None:
        self.connection = connection
        self._only_times = only_times
        self.statements: list[StatementResult] = []
        # What operations sent past Django's cursors: by the driver's own ones, or by COPY.
        self.unseen: list[str] = []
        self.began = time.monotonic()
        self._seen = seen
        self._relations = {} if only_times else relations(connection)
        self._held: dict[int, set[str]] = {}
        self._filenodes: dict[int, int] = {}
        self._transaction: object = None
        self._in_transaction: list[StatementResult] = []
        # Those of a transaction in which PostgreSQL refused one because it was in a transaction.
        self._refused: list[StatementResult] = []
        self._is_seen = False
        # By operation and text, without values.
        self._alike: defaultdict[tuple[str, str], list[StatementResult]] = defaultdict(list)
        self._deferred: dict[str, str] = {}

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Record for the block, inside the wrapper of Patience, which gives a statement its timeout."""
        session = self.connection.connection
        usual = session.cursor_factory
        session.cursor_factory = _telling(usual, self._note_unseen)
        self.connection.SchemaEditorClass = _noting(type(self.connection), self._note_deferred)
        try:
            with self.connection.execute_wrapper(self):
                yield
        finally:
            del self.connection.SchemaEditorClass
            session.cursor_factory = usual
            self._release()

    @property
    def changed(self) -> set[str]:
        """Tables that were there before, with a lock under which rows or columns may have become others."""
        return self._locked(CHANGING)

    @property
    def used(self) -> set[str]:
        """All tables that were there before and that it has looked at, or referred to."""
        return self._locked(MODES)

    def _locked(self, modes: Collection[str]) -> set[str]:
        known = {relation.name for relation in self._relations.values() if relation.kind in TABLE_KINDS}
        return {lock.relation for result in self.statements for lock in result.locks if lock.mode in modes} & known

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: Any,
        many: bool,  # noqa: FBT001  # as Django calls it
        context: dict[str, Any],
    ) -> Any:
        operation, editor = _operation_at_work()
        if editor is None or str(sql).startswith(SAVEPOINTS):
            return execute(sql, params, many, context)
        operation = operation or self._deferred.get(str(sql), "")
        self._begin_transaction()
        self._forget_refused()
        returned = None
        for piece in self._pieces(sql, params):
            run = partial(execute, piece, params, many, context)
            alike = self._alike[operation, str(piece)]
            if len(alike) == TOLD_BY_THEMSELVES:
                returned = self._add(alike[-1], run)
            else:
                alike.append(StatementResult(_text(self.connection, piece, params, many), 0.0, operation=operation))
                self.statements.append(alike[-1])
                self._in_transaction.append(alike[-1])
                returned = self._measure(alike[-1], run)
        return returned

    def _add(self, result: StatementResult, run: Callable[[], Any]) -> Any:
        """One more that differs in its values only; its locks are those of the others."""
        began = time.monotonic()
        try:
            with self._own():
                return self._within(run)
        except BaseException as error:
            result.error = _told(error)
            raise
        finally:
            result.ms += (time.monotonic() - began) * 1000
            result.times += 1

    def _pieces(self, sql: Any, params: Any) -> list[Any]:
        """A script as its statements; within a transaction that is the same."""
        text = str(sql)
        if params or not self.connection.in_atomic_block or ";" not in text.rstrip().rstrip(";"):
            return [sql]
        return _statements(text) or [sql]

    def _measure(self, result: StatementResult, run: Callable[[], Any]) -> Any:
        is_alone = not self.connection.in_atomic_block
        wal = self._ask(WAL_POSITION)
        began = time.monotonic()
        try:
            with self._own():
                returned = self._alone(result, run) if is_alone else self._within(run)
        except BaseException as error:
            result.error = _told(error)
            if not is_alone and sqlstate_of(error) == ACTIVE_SQL_TRANSACTION:
                self._refused = [*self._in_transaction]
            raise
        finally:
            ended = time.monotonic()
            result.began, result.ms = (began - self.began) * 1000, (ended - began) * 1000
            result.released = result.began + result.ms
        if not is_alone:
            self._read_locks(result)
        after = self._ask(WAL_POSITION)
        result.wal_bytes = int(after[0][0] - wal[0][0]) if wal and after else None
        return returned

    def _within(self, run: Callable[[], Any]) -> Any:
        """In Django's transaction; the next statement would begin another one, unseen."""
        returned = run()
        is_over = self.connection.connection.info.transaction_status == TransactionStatus.IDLE
        if is_over and self.connection.in_atomic_block:
            raise EndsTransaction(ENDS_TRANSACTION)
        return returned

    def _alone(self, result: StatementResult, run: Callable[[], Any]) -> Any:
        """In a transaction of its own, where that is possible."""
        self._send("BEGIN")
        try:
            returned = run()
            self._read_locks(result)
        except BaseException as error:
            self._send("ROLLBACK")
            if sqlstate_of(error) not in {ACTIVE_SQL_TRANSACTION, INVALID_TRANSACTION_TERMINATION}:
                raise
        else:
            self._send("COMMIT")
            self._forget_transaction()
            return returned
        self._seen()
        returned = run()
        result.documented = True
        result.locks = [*dict.fromkeys([*_documented(result.sql, self._relations), *self._seen()])]
        self._note_rewritten(result, ((oid, filenode) for oid, _, _, filenode, _ in self._ask(RELATIONS)))
        return returned

    def _read_locks(self, result: StatementResult) -> None:
        found = self._ask(LOCKED)
        files = []
        for oid, mode, name, kind, filenode in found:
            known = self._relations.get(oid)
            if (kind or (known and known.kind)) in TABLE_KINDS:
                self._note_lock(result, oid, MODE_OF[mode], name or (known.name if known else str(oid)))
            files.append((oid, filenode))
        self._note_rewritten(result, files)

    def _note_lock(self, result: StatementResult, oid: int, mode: str, name: str) -> None:
        held = self._held.setdefault(oid, set())
        if mode not in held:
            held.add(mode)
            known = self._relations.get(oid)
            result.locks.append(Lock(known.name if known else name, mode))

    def _note_rewritten(self, result: StatementResult, files: Iterable[tuple[int, int | None]]) -> None:
        for oid, filenode in files:
            known = self._relations.get(oid)
            if known and filenode and filenode != self._filenodes.get(oid, known.filenode):
                self._filenodes[oid] = filenode
                result.rewritten.append(known.name)

    def _begin_transaction(self) -> None:
        transaction = self.connection.atomic_blocks[0] if self.connection.in_atomic_block else None
        if transaction is None or transaction is not self._transaction:
            self._release()
            self._transaction = transaction
            if transaction is not None:
                self.connection.on_commit(self._release, robust=True)

    def _forget_refused(self) -> None:
        """They are sent again, outside of a transaction, which the executor of a non-atomic migration tries second."""
        if self._refused and not self.connection.in_atomic_block:
            for listed in (self.statements, *self._alike.values()):
                listed[:] = [each for each in listed if not any(each is refused for refused in self._refused)]
            self._refused = []

    def _release(self) -> None:
        """What was locked in the transaction is free at its end."""
        now = (time.monotonic() - self.began) * 1000
        for result in self._in_transaction:
            if not result.documented:
                result.released = max(now, result.released)
        self._forget_transaction()

    def _forget_transaction(self) -> None:
        self._held, self._in_transaction, self._transaction = {}, [], None

    @contextmanager
    def _own(self) -> Iterator[None]:
        """What is sent in the block is recorded as a statement, or is the guard's."""
        was_seen, self._is_seen = self._is_seen, True
        try:
            yield
        finally:
            self._is_seen = was_seen

    def _note_unseen(self, statement: Any) -> None:
        text = str(statement)
        is_told = text.startswith((*TIMEOUTS, *SAVEPOINTS))
        if not self._is_seen and not is_told and _operation_at_work()[1] is not None:
            self.unseen.append(text)

    def _note_deferred(self, statement: Any) -> None:
        self._deferred[str(statement)] = _operation_at_work()[0]

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        """Past the wrappers; nothing where the transaction has failed."""
        session = self.connection.connection
        if self._only_times:
            return []
        with self._own(), suppress(DatabaseError), self.connection.wrap_database_errors, session.cursor() as cursor:
            return list(cursor.execute(query).fetchall())
        return []

    def _send(self, statement: str) -> None:
        with self._own(), self.connection.wrap_database_errors, self.connection.connection.cursor() as cursor:
            cursor.execute(statement)


def _telling(cursor_factory: Any, tell: Callable[[Any], None]) -> Any:
    """The driver's cursors, telling each statement that is given to them."""

    class TellingCursor(cursor_factory):  # type: ignore[misc]  # a class that is known at run time
        def execute(self, query: Any, *arguments: Any, **keywords: Any) -> Any:
            tell(query)
            return super().execute(query, *arguments, **keywords)

        def executemany(self, query: Any, *arguments: Any, **keywords: Any) -> Any:
            tell(query)
            return super().executemany(query, *arguments, **keywords)

        def copy(self, statement: Any, *arguments: Any, **keywords: Any) -> Any:
            tell(statement)
            return super().copy(statement, *arguments, **keywords)

    return TellingCursor


def _noting(backend: Any, note: Callable[[Any], None]) -> Any:
    """The backend's schema editor, noting each statement that it keeps for the end."""

    class Deferred(list[Any]):
        def append(self, statement: Any) -> None:
            note(statement)
            super().append(statement)

        def extend(self, statements: Iterable[Any]) -> None:
            for statement in statements:
                self.append(statement)

    class NotingEditor(backend.SchemaEditorClass):  # type: ignore[misc]  # a class that is known at run time
        def __enter__(self) -> Any:
            editor = super().__enter__()
            editor.deferred_sql = Deferred()
            return editor

    return NotingEditor


@lru_cache
def _statements(script: str) -> list[str]:
    """None where the parser does not understand it, or is not here; kept, since others stand still meanwhile."""
    try:
        (statements,) = parse([script])
    except ParserMissing:
        return []
    understood = not any(statement.errors for statement in statements)
    return [statement.text for statement in statements] if understood else []


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip()


def strongest(modes: Iterable[str]) -> str:
    return max(modes, key=MODES.index, default="")


def _operation_at_work() -> tuple[str, Any]:
    """What Django calls the operation that asks, and its editor; None as the editor where no operation does.

    The description is empty for what the editor had kept for the end of the transaction.
    """
    frame: FrameType | None = sys._getframe()
    found: tuple[str, Any] = "", None
    while frame is not None:
        if frame.f_code.co_name in {"database_forwards", "database_backwards"}:
            # The arguments are self, app_label and the editor, whatever an operation calls them.
            operation, _, editor = (frame.f_locals.get(name) for name in frame.f_code.co_varnames[:3])
            found = (operation.describe(), editor) if isinstance(operation, Operation) else found
        elif frame.f_code is run_deferred.__code__:
            return "", frame.f_locals["editor"]
        frame = frame.f_back
    return found


def _text(connection: BaseDatabaseWrapper, sql: Any, params: Any, many: bool) -> str:  # noqa: FBT001  # as Django's
    """With its values, as the server sees it; of many rows, the statement that is sent for each."""
    text = sql if isinstance(sql, str) else sql.as_string(connection.connection)
    if not params or many:
        return text.strip()
    with suppress(Exception):
        return str(connection.ops.compose_sql(text, params)).strip()  # type: ignore[attr-defined]  # PostgreSQL's
    return text.strip()


def _documented(sql: str, known: dict[int, Relation]) -> list[Lock]:
    words = sql.upper().split()
    mode = next((mode for beginnings, mode in DOCUMENTED.items() if words and words[0] in beginnings), "")
    if words[:2] == ["VACUUM", "FULL"]:
        mode = "ACCESS EXCLUSIVE"
    tables = {relation.name: known[relation.table_oid].name for relation in known.values()}
    named = [word.strip("(),;") for word in sql.replace('"', "").split()]
    return [Lock(table, mode) for table in dict.fromkeys(tables[name] for name in named if name in tables) if mode]
