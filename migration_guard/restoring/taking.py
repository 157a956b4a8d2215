"""Restore points, taken beside migrations: what a transaction destroys is found by looking, and kept before it commits.

What can be kept only before it is gone is known after the first try, which is rolled back; the second one begins with
it in hand.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC
from functools import partial
from typing import Any, Self, TypeVar

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from migration_guard.applied import WHERE, Say
from migration_guard.conf import GuardSettings
from migration_guard.connections import another_session, rows
from migration_guard.patience import DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, QUERY_CANCELED, sqlstate_of
from migration_guard.restoring.archives import dump
from migration_guard.restoring.keeping import Keeping, Rows, Values, Whole, has_rows, is_emptied
from migration_guard.restoring.looking import Destroyed, Look, Table
from migration_guard.restoring.points import Draft, Manifest, NoRestorePoint, Part, RestorePoint, Shelf
from migration_guard.restoring.tables import Name, key_of
from migration_guard.runs import Run
from migration_guard.statements import until_end_of_transaction
from migration_guard.units import count, size

VERSION = "SHOW server_version"
OWN = "SELECT pg_current_xact_id()::text"
IS_ABORTED = "SELECT pg_xact_status(%s::xid8) = 'aborted'"
TABLES = """
    SELECT pg_class.oid::bigint, nspname, relname
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace AND relname = ANY (%s)
    ORDER BY relname
"""
# What an extension has made comes back with it.
ALL_TABLES = """
    SELECT format('%I.%I', nspname, relname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND pg_class.oid >= 16384 AND relpersistence <> 't' AND nspname NOT LIKE 'pg\\_%'
        AND nspname <> 'information_schema' AND NOT EXISTS (
            SELECT FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
        )
"""

# Makes other values of those that are there, where it is not the cast of a column to its own new type, as Django's is.
USING = re.compile(r"\bUSING\b", re.IGNORECASE)
OWN_CAST = re.compile(
    r'ALTER COLUMN ("[^"]+") TYPE ([\w ]+(?:\([\d, ]+\))?)(?: COLLATE "[^"]+")? USING \1::\2(?=,|;|$)', re.IGNORECASE
)

T = TypeVar("T")


class NotKept(Exception):
    """The transaction has destroyed what nothing was kept of; it is to be rolled back, and begun again."""

    def __init__(self, destroyed: Sequence[Destroyed]) -> None:
        super().__init__(", ".join(str(one.table) for one in destroyed))
        self.destroyed = destroyed


@contextmanager
def refusing(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """What the server refuses, as NoRestorePoint; it may be asked again for a lock."""
    try:
        with connection.wrap_database_errors:
            yield
    except Error as error:
        if sqlstate_of(error) in {LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED, QUERY_CANCELED}:
            raise
        raise NoRestorePoint.because(str(error)) from error


class Unkept:
    """A transaction beside which no restore point is taken."""

    def until_kept(self, transact: Callable[[], T]) -> T:
        """Call `transact`: it opens a transaction, calls `begin` at its start and `finish` at its end, and commits."""
        return transact()

    def begin(self) -> None:
        """The transaction is open, and nothing was done in it."""

    def finish(self) -> None:
        """Everything was done in it, and it is about to be committed."""


class Taking(Unkept):
    """Keeps what one transaction of a migration destroys."""

    def __init__(self, taker: "Taker", run: Run) -> None:
        self.taker = taker
        self.connection = taker.connection
        self.run = run
        self._draft: Draft | None = None
        # Those that the next try begins with, and those that this one has found at its end.
        self._prepared: list[Keeping] = []
        self._found: list[Keeping] = []
        self._before = Look({}, {})
        self._has_using = False
        # The transaction that the point was sealed in.
        self._sealed_in = ""

    def until_kept(self, transact: Callable[[], T]) -> T:
        """As above; again as long as it destroys what can only be kept before. Nothing is left where it fails."""
        try:
            while True:
                try:
                    with self.connection.execute_wrapper(self._hear):
                        result = transact()
                    break
                except NotKept as not_kept:
                    destroyed = not_kept.destroyed
                with refusing(self.connection):
                    self._prepare(destroyed)
        except BaseException:
            if self._draft and self._is_undone():
                self._draft.discard()
            raise
        if self._draft:
            self.taker.tell(self._draft)
        return result

    def begin(self) -> None:
        self._sealed_in = ""
        if self._draft:
            self._draft.reopen()
        self._found = []
        with refusing(self.connection):
            # A transaction that sees only what was committed at its first question must not ask before.
            for keeping in self._prepared:
                keeping.begin()
            for keeping in self._prepared:
                keeping.read()
            self._before = self._look()

    def finish(self) -> None:
        """Raises NotKept, and NoRestorePoint where it cannot be kept."""
        with refusing(self.connection):
            self._finish()

    def _finish(self) -> None:
        missing = [one for one in self._destroyed() if not any(keeping.covers(one) for keeping in self._prepared)]
        if not_kept := [one for one in missing if not self._keep_now(one)]:
            raise NotKept(not_kept)
        for keeping in (*self._prepared, *self._found):
            keeping.finish()
        self._seal()

    def _hear(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:  # noqa: FBT001
        """Django's execute_wrapper."""
        text = str(sql)
        self._has_using = self._has_using or bool(USING.search(OWN_CAST.sub("", text)))
        number = until_end_of_transaction(text)
        if not number:
            return execute(sql, params, many, context)
        # Among several, it is not known what those before it destroy.
        if number > 1 or self._prepared or any(self._destroyed()):
            raise NoRestorePoint.because(
                f"{self.run.app}.{self.run.name} ends its transaction by itself ({' '.join(text.split())[:60]}), "
                "before what it destroys is kept. Take the COMMIT or ROLLBACK out of it; with atomic = False, each "
                "statement of a list is a transaction anyway"
            )
        result = execute(sql, params, many, context)
        self._before = self._look()
        return result

    def _destroyed(self) -> Iterator[Destroyed]:
        """Since the transaction began."""
        is_empty = partial(is_emptied, self.connection)
        now = self._look()
        self._require_attributes(now)
        return self._before.destroyed_until(now, is_empty, trusts_types=not self._has_using)

    def _require_attributes(self, now: Look) -> None:
        """A value is kept as it is written, by the places of its attributes: with one less it would be another."""
        for attribute in self._before.attributes_lost_until(now):
            for number, column in attribute.columns(self.connection):
                table = now.tables.get(number)
                if table and has_rows(self.connection.connection, Name(table.schema, table.name)):
                    raise NoRestorePoint.because(
                        f"{self.run.app}.{self.run.name} takes away {attribute}, which values of {table}.{column} "
                        "have, and part of a value cannot come back. Copy it to a column of its own before"
                    )

    def _look(self) -> Look:
        look = Look.at(self.connection)
        if not look.is_counting:
            raise NoRestorePoint.because(
                "track_counts is off in this session, so that nobody knows which rows it changes. A superuser can set "
                "it: ALTER ROLE ... SET track_counts = on"
            )
        return look

    def _is_undone(self) -> bool:
        """Whether the transaction is known to have failed: a COMMIT that was interrupted may have succeeded."""
        if not self._sealed_in:
            return True
        with suppress(Error), closing(another_session(self.connection, "restore point")) as session:
            return rows(session, IS_ABORTED, [self._sealed_in]) == [(True,)]
        return False

    def _keep_now(self, destroyed: Destroyed) -> bool:
        """Rows that others still see."""
        key = key_of(self.connection, Name(destroyed.table.schema, destroyed.table.name))
        if not destroyed.has_changed_rows or destroyed.is_shut or not key:
            return False
        keeping = Rows(self.connection, self._open().path, destroyed.table, key)
        self._found.append(keeping)
        return keeping.take_from_others()

    def _prepare(self, destroyed: Sequence[Destroyed]) -> None:
        gone = [one for one in destroyed if one.is_gone]
        for one in [*gone, *(one for one in destroyed if not one.is_gone)]:
            if not any(keeping.covers(one) for keeping in self._prepared):
                keeping = self._keeping_of(one)
                self.taker.say(f"Keeping what {self.run.app}.{self.run.name} destroys of {one.table}.")
                keeping.prepare()
                self._prepared.append(keeping)
        # Nobody waits behind the locks of the others while an archive is written.
        self._prepared.sort(key=lambda keeping: not isinstance(keeping, Whole))

    def _keeping_of(self, destroyed: Destroyed) -> Keeping:
        table, folder = destroyed.table, self._open().path
        key = key_of(self.connection, Name(table.schema, table.name))
        keeps_key = key and not set(key) & {column.name for column in destroyed.columns}
        if destroyed.is_gone or not keeps_key:
            return Whole(self.connection, folder, table)
        if destroyed.columns:
            return Values(self.connection, folder, table, destroyed.columns, key)
        return Rows(self.connection, folder, table, key)

    def _open(self) -> Draft:
        self._draft = self._draft or self.taker.begin(self.run)
        return self._draft

    def _seal(self) -> None:
        if self._draft:
            kept = [part for keeping in (*self._prepared, *self._found) for part in keeping.parts if part.rows]
            self._draft.manifest.parts = kept
            if kept:
                ((self._sealed_in,),) = rows(self.connection, OWN)
                self._draft.seal()
            else:
                self._draft.discard()
                self._draft = None


class Taker:
    """Takes the restore points of one command, in its turn."""

    def __init__(self, connection: BaseDatabaseWrapper, say: Say) -> None:
        self.connection = connection
        self.say = say
        ((self.database, *_),) = rows(connection, WHERE)
        self.shelf = Shelf(self.database)
        self._taken: list[str] = []

    @classmethod
    def wanted(cls, connection: BaseDatabaseWrapper, say: Say) -> Self | None:
        """None where the settings want no restore points."""
        return None if GuardSettings.load().restore_points is None else cls(connection, say)

    def beside(self, run: Run) -> Taking:
        """To be used for one transaction of the run."""
        return Taking(self, run)

    def keep_tables(self, run: Run, names: Sequence[str]) -> None:
        """Archives of these tables, before what works outside a transaction, so that nobody knows what it changes."""
        tables = rows(self.connection, TABLES, [list(names)])
        if not tables:
            return
        with refusing(self.connection), self._point(run) as draft:
            for oid, schema, name in tables:
                whole = Whole(self.connection, draft.path, Table(oid, schema, name, oid, None, 0, 0, 0))
                whole.dump()
                draft.manifest.parts += whole.parts

    def keep_database(self) -> None:
        """An archive of everything."""
        self.say("Keeping the whole database.")
        with refusing(self.connection), self._point(None) as draft:
            tables = [table for (table,) in rows(self.connection, ALL_TABLES)]
            file = dump(self.connection, draft.path / "database.dump", tables, of_all=True)
            draft.manifest.parts.append(Part("database", files=[file]))

    @contextmanager
    def _point(self, run: Run | None) -> Iterator[Draft]:
        draft = self.begin(run)
        try:
            yield draft
            draft.seal()
        except BaseException:
            draft.discard()
            raise
        self.tell(draft)

    def begin(self, run: Run | None) -> Draft:
        """A new point, of what the run destroys or, without one, of everything."""
        ((version,),) = rows(self.connection, VERSION)
        manifest = Manifest(self.database, version, timezone.now())
        if run:
            manifest.app, manifest.migration, manifest.direction = run.app, run.name, run.action
            manifest.run, manifest.run_started_at = run.pk, run.started_at.astimezone(UTC)
        return self.shelf.begin(manifest)

    def tell(self, draft: Draft) -> None:
        """Say that the point is there, and delete those of earlier commands that it makes too many."""
        point = RestorePoint(draft.path, draft.manifest)
        self._taken.append(point.name)
        what = ", ".join(f"{part} ({count(part.rows, 'row')})" for part in point.manifest.parts)
        self.say(f"Restore point {point.name}, {size(point.bytes)}: {what}.")
        self.shelf.tidy(timezone.now(), self.say, but=self._taken)
