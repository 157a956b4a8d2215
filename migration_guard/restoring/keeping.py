"""How what one table loses is kept: the values of columns, the rows that change, or the whole table.

`prepare` runs before the transaction, `begin` at its start, `read` once every table is locked that is to be kept, and
`finish` at its end. A transaction that is tried again begins again, and writes the files of its last try anew.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection, errors
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_guard.connections import execute, rows
from migration_guard.restoring.archives import dump
from migration_guard.restoring.files import plainly, read_rows, write_rows
from migration_guard.restoring.looking import Column, Destroyed, Table, keeps_values
from migration_guard.restoring.points import Part
from migration_guard.restoring.tables import (
    Name,
    columns_of,
    equal,
    key_of,
    listed,
    own_rows,
    references_to,
    snapshot,
    with_partitions,
)

# Transactions from this one on may not be in the snapshot.
HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint % 4294967296"
VALUES = SQL("SELECT {columns} FROM {table} WHERE {column} IS NOT NULL")
VALUES_SINCE = SQL("SELECT {columns} FROM {table} WHERE age(xmin) <= age({horizon}::xid)")
COUNT = SQL("SELECT count(*) FROM {table}")
HAS_ROWS = SQL("SELECT EXISTS (SELECT FROM {table})")
COUNT_VALUES = SQL("SELECT {counts} FROM {table}")
LOCK = SQL("LOCK TABLE {table} IN {mode} MODE")
LOOK_AT_ONCE = SQL("LOCK TABLE {table} IN ACCESS SHARE MODE NOWAIT")
BEFORE = "migration_guard_before_{oid}"
CREATE_BEFORE = SQL("CREATE TEMPORARY TABLE {before} ON COMMIT DROP AS SELECT {columns} FROM {table} {where}")
# The keys of rows that are not there any more, and of those of them that other sessions see.
GONE = "migration_guard_gone_{oid}"
CREATE_GONE = SQL("""
    CREATE TEMPORARY TABLE IF NOT EXISTS {gone} ON COMMIT DROP AS
    SELECT {key} FROM {before} before WHERE NOT EXISTS (SELECT FROM {table} live WHERE {same_key})
""")
SEEN = "migration_guard_seen_{oid}"
CREATE_SEEN = SQL("CREATE TEMPORARY TABLE {seen} (LIKE {gone}) ON COMMIT DROP")
NOT_SEEN = SQL("DELETE FROM {gone} gone WHERE NOT EXISTS (SELECT FROM {seen} seen WHERE {same_key})")
# What any transaction has changed, taken out or locked, and is still to be seen by those that do not see this one.
IS_TOUCHED = SQL("WHERE xmax::text <> '0'")
NO_ROWS = SQL("WHERE false")
TOUCHED = SQL("SELECT {columns} FROM {table} {where}")
# Rows that were changed here and not by another session since: their transaction is not at its end. A transaction has
# 64 bits of which a row keeps 32, and those of savepoints come after its own.
CHANGED = SQL("""
    SELECT {before_columns}, CASE WHEN gone.{key} IS NULL THEN hashtextextended(ROW({live_columns})::text, 0) END
    FROM (SELECT pg_current_xact_id()::text::bigint) this (own)
    CROSS JOIN {before} before LEFT JOIN {table} live ON {same_key} LEFT JOIN {gone} gone ON {is_gone}
    WHERE gone.{key} IS NOT NULL OR CASE
        WHEN ROW({as_live})::text IS DISTINCT FROM ROW({live_columns})::text THEN
            pg_xact_status((this.own + ((live.xmin::text::bigint - this.own) << 32 >> 32))::text::xid8) = 'in progress'
    END
""")
# Columns keep their number when they are renamed, and the table its own. Types from 16384 on may be dropped.
COLUMNS_BY_NUMBER = """
    SELECT attnum, attname, format_type(atttypid, atttypmod), atttypid >= 16384 FROM pg_attribute
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
NAME_NOW = "SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = %s"
# The last column of a file of rows: a hash of the row that took its place.
AFTER = "migration_guard_after"


class Typed(NamedTuple):
    """A column with its type, and whether that may be dropped while a copy is held: it is held as text then."""

    name: str
    type: str
    is_text: bool

    @property
    def held(self) -> Composable:
        return SQL("{0}::text AS {0}" if self.is_text else "{}").format(Identifier(self.name))

    def as_live(self, type_: str) -> Composable:
        """Of the copy, in the type that it has in the table by now; a text says the same where that did not change."""
        return SQL("before.{}" if self.type == type_ else "before.{}::{}").format(Identifier(self.name), SQL(type_))


class Keeping:
    """One table, or columns of one."""

    def __init__(self, connection: BaseDatabaseWrapper, folder: Path, table: Table) -> None:
        self.connection = connection
        self._folder = folder
        self.table = table
        self.name = Name(table.schema, table.name)
        self.parts: list[Part] = []

    def covers(self, destroyed: Destroyed) -> bool:
        """Whether nothing of it is lost that is not kept here."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Outside the transaction, where nobody waits for what is copied."""

    def begin(self) -> None:
        """At the start of the transaction that destroys it: lock the table."""

    def read(self) -> None:
        """What this session sees under its locks, and no other."""

    def finish(self) -> None:
        """At its end, before it is committed."""

    @property
    def session(self) -> Connection[Any]:
        session: Connection[Any] = self.connection.connection
        return session

    def lock(self, mode: str) -> None:
        execute(self.connection, LOCK.format(table=self.name.sql, mode=SQL(mode)))

    def path(self, what: str) -> Path:
        return self._folder / f"{self.table.oid}-{what}"


class Values(Keeping):
    """The values of columns by the primary key: copied while others work; under the lock, what they wrote meanwhile."""

    def __init__(
        self, connection: BaseDatabaseWrapper, folder: Path, table: Table, columns: tuple[Column, ...], key: list[str]
    ) -> None:
        super().__init__(connection, folder, table)
        self.key = key
        self.columns = columns
        self.horizon = 0

    def covers(self, destroyed: Destroyed) -> bool:
        return (
            destroyed.table.oid == self.table.oid
            and set(destroyed.columns) <= set(self.columns)
            and not (destroyed.is_gone or destroyed.has_changed_rows)
        )

    def prepare(self) -> None:
        types = columns_of(self.connection, self.name)
        with snapshot(self.connection) as session:
            ((self.horizon,),) = session.execute(HORIZON).fetchall()
            for column in self.columns:
                columns = {name: types[name] for name in [*self.key, column.name]}
                part = Part("column", *self.name, column.name, self.key, columns)
                part.files = [write_rows(session, self._query(VALUES, column), self.path(f"{column.number}.copy.gz"))]
                self.parts.append(part)

    def begin(self) -> None:
        self.lock("ACCESS EXCLUSIVE")

    def read(self) -> None:
        for part, column, number in zip(self.parts, self.columns, self._count(), strict=True):
            query = self._query(VALUES_SINCE, column)
            part.files[1:] = [write_rows(self.session, query, self.path(f"{column.number}-since.copy.gz"))]
            part.counted = number

    def _count(self) -> tuple[int, ...]:
        counts = SQL(", ").join(SQL("count({})").format(Identifier(column.name)) for column in self.columns)
        query = COUNT_VALUES.format(counts=counts, table=own_rows(self.connection, self.name))
        return rows(self.connection, query.as_string(self.session))[0]

    def _query(self, query: SQL, column: Column) -> Composable:
        return query.format(
            columns=listed([*self.key, column.name]),
            table=own_rows(self.connection, self.name),
            column=Identifier(column.name),
            horizon=Literal(str(self.horizon)),
        )


class Whole(Keeping):
    """The table as an archive, if it has rows; nobody writes to what is about to go."""

    def covers(self, destroyed: Destroyed) -> bool:
        return destroyed.table.oid == self.table.oid or destroyed.table.root == self.table.oid

    def begin(self) -> None:
        self.lock("SHARE")
        self.parts = []
        if self._has_rows():
            self.dump()

    def _has_rows(self) -> bool:
        """Of another session: the transaction may see only what is committed at its first question."""
        with snapshot(self.connection) as session:
            return has_rows(session, self.name)

    def dump(self) -> None:
        """As it is committed now."""
        file = dump(self.connection, self.path("table.dump"), with_partitions(self.connection, self.name))
        part = Part("table", *self.name, key=key_of(self.connection, self.name))
        part.columns = columns_of(self.connection, self.name)
        part.references = references_to(self.connection, self.name)
        part.files = [file]
        self.parts = [part]


class Rows(Keeping):
    """The rows that are changed or taken out, as they were.

    Other sessions still see them when the transaction is about to be committed, and one of them is asked. Where the
    transaction has shut the table for them by then, it is copied at the start, and nobody writes to it meanwhile.
    """

    def __init__(self, connection: BaseDatabaseWrapper, folder: Path, table: Table, key: list[str]) -> None:
        super().__init__(connection, folder, table)
        self.key = key
        self.columns = self._columns()
        self.before = Identifier(BEFORE.format(oid=table.oid))
        self.gone = Identifier(GONE.format(oid=table.oid))

    def covers(self, destroyed: Destroyed) -> bool:
        return destroyed.table.oid == self.table.oid and not destroyed.is_gone and not destroyed.columns

    def begin(self) -> None:
        self.lock("SHARE ROW EXCLUSIVE")

    def read(self) -> None:
        self._create_before(SQL(""))

    def finish(self) -> None:
        live = self._columns()
        # The values of a column that is gone, or may have lost some of them, are kept by itself.
        both = [
            (column, live[number])
            for number, column in self.columns.items()
            if number in live and keeps_values(column.type, live[number].type)
        ]
        words = self._words(both)
        execute(self.connection, CREATE_GONE.format(key=listed(self.key), **words))
        query = CHANGED.format(
            before_columns=listed((column.name for column, _ in both), of="before"),
            as_live=SQL(", ").join(column.as_live(now.type) for column, now in both),
            live_columns=listed((now.name for _, now in both), of="live"),
            key=Identifier(self.key[0]),
            is_gone=equal(self.key, "before", "gone"),
            **words,
        )
        part = Part("rows", *self.name, key=self.key)
        part.columns = {column.name: column.type for column, _ in both} | {AFTER: "bigint"}
        part.files = [write_rows(self.session, query, self.path("rows.copy.gz"))]
        self.parts = [part]

    def _columns(self) -> dict[int, Typed]:
        return {
            number: Typed(*column) for number, *column in rows(self.connection, COLUMNS_BY_NUMBER, [self.table.oid])
        }

    def take_from_others(self) -> bool:
        """Ask another session for the rows; False where the table is shut for it."""
        names = [column.name for column in self.columns.values()]
        if not self._write_touched(names):
            return False
        self._create_before(NO_ROWS)
        self._read_touched(self.before, names)
        words = self._words([(column, column) for column in self.columns.values()])
        execute(self.connection, CREATE_GONE.format(key=listed(self.key), **words))
        has_none = rows(self.connection, COUNT.format(table=self.gone).as_string(self.session)) == [(0,)]
        return has_none or self._leave_to_others()

    def _words(self, both: Iterable[tuple[Typed, Typed]]) -> dict[str, Composable]:
        """The copy beside the table as it is by now, whose columns are given with those that they were."""
        same_key = SQL(" AND ").join(
            SQL("before.{}::{} = live.{}").format(Identifier(column.name), SQL(now.type), Identifier(now.name))
            for column, now in both
            if column.name in self.key
        )
        now = Name(*rows(self.connection, NAME_NOW, [self.table.oid])[0])
        table = own_rows(self.connection, now)
        return {"table": table, "before": self.before, "gone": self.gone, "same_key": same_key}

    def _leave_to_others(self) -> bool:
        """Of the rows that are gone, those that others do not see any more either were taken out by one of them."""
        seen = Identifier(SEEN.format(oid=self.table.oid))
        execute(self.connection, CREATE_SEEN.format(seen=seen, gone=self.gone))
        if not self._write_touched(self.key):
            return False
        self._read_touched(seen, self.key)
        execute(self.connection, NOT_SEEN.format(gone=self.gone, seen=seen, same_key=equal(self.key, "gone", "seen")))
        return True

    def _write_touched(self, columns: Iterable[str]) -> bool:
        """What others see of the rows that somebody has touched; False where the table is shut for them."""
        with snapshot(self.connection) as session:
            try:
                session.execute(LOOK_AT_ONCE.format(table=self.name.sql))
            except (errors.LockNotAvailable, errors.UndefinedTable):
                return False
            table = own_rows(self.connection, self.name)
            write_rows(session, TOUCHED.format(columns=listed(columns), table=table, where=IS_TOUCHED), self._touched)
        return True

    def _read_touched(self, into: Identifier, columns: Iterable[str]) -> None:
        read_rows(self.session, self._touched, into, listed(columns))
        self._touched.unlink()

    @property
    def _touched(self) -> Path:
        return self.path("before.copy.gz")

    def _create_before(self, where: Composable) -> None:
        create = CREATE_BEFORE.format(
            before=self.before,
            columns=SQL(", ").join(column.held for column in self.columns.values()),
            table=own_rows(self.connection, self.name),
            where=where,
        )
        with plainly(self.session):
            execute(self.connection, create)


def has_rows(session: Connection[Any], name: Name) -> bool:
    """Raises psycopg.Error where row-level security might hide them."""
    with plainly(session, encoded=False):
        return session.execute(HAS_ROWS.format(table=name.sql)).fetchall() == [(True,)]


def is_emptied(connection: BaseDatabaseWrapper, table: Table) -> bool:
    query = COUNT.format(table=own_rows(connection, Name(table.schema, table.name)))
    return rows(connection, query.as_string(connection.connection)) == [(0,)]
