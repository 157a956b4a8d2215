"""How what one table loses is kept: the values of columns, the rows that change, or the whole table.

`prepare` runs before the transaction, `begin` at its start, `read` once every table is locked that is to be kept, and
`finish` at its end. A transaction that is tried again begins again, and writes the files of its last try anew.
"""

from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection, errors
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_guard.connections import execute, rows
from migration_guard.restoring.archives import dump
from migration_guard.restoring.files import plainly, read_rows, write_rows
from migration_guard.restoring.looking import Column, Destroyed, Table
from migration_guard.restoring.points import Part
from migration_guard.restoring.tables import (
    Name,
    columns_of,
    key_of,
    listed,
    references_to,
    snapshot,
    with_partitions,
)

# Transactions from this one on may not be in the snapshot.
HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint % 4294967296"
VALUES = SQL("SELECT {columns} FROM {table} WHERE {column} IS NOT NULL")
VALUES_SINCE = SQL("SELECT {columns} FROM {table} WHERE age(xmin) <= age({horizon}::xid)")
COUNT = SQL("SELECT count(*) FROM {table}")
COUNT_VALUES = SQL("SELECT {counts} FROM {table}")
LOCK = SQL("LOCK TABLE {table} IN {mode} MODE")
LOOK_AT_ONCE = SQL("LOCK TABLE {table} IN ACCESS SHARE MODE NOWAIT")
BEFORE = "migration_guard_before_{oid}"
CREATE_BEFORE = SQL("CREATE TEMPORARY TABLE {before} ON COMMIT DROP AS SELECT {columns} FROM {table} {where}")
# What any transaction has changed, taken out or locked, and is still to be seen by those that do not see this one.
IS_TOUCHED = SQL("WHERE xmax::text <> '0'")
NO_ROWS = SQL("WHERE false")
TOUCHED = SQL("SELECT {columns} FROM {table} {where}")
# Rows that were changed here and not by another session since: their transaction is not at its end. A transaction has
# 64 bits of which a row keeps 32, and those of savepoints come after its own.
CHANGED = SQL("""
    SELECT {before_columns}, CASE WHEN live.{key} IS NOT NULL THEN hashtextextended(ROW({live_columns})::text, 0) END
    FROM (SELECT pg_current_xact_id()::text::bigint) this (own)
    CROSS JOIN {before} before LEFT JOIN {table} live ON {same_key}
    WHERE live.{key} IS NULL OR CASE
        WHEN ROW({as_live})::text IS DISTINCT FROM ROW({live_columns})::text THEN
            pg_xact_status((this.own + ((live.xmin::text::bigint - this.own) << 32 >> 32))::text::xid8) = 'in progress'
    END
""")
# Columns keep their number when they are renamed, and the table its own.
COLUMNS_BY_NUMBER = """
    SELECT attnum, attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
NAME_NOW = "SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = %s"
# The last column of a file of rows: a hash of the row that took its place.
AFTER = "migration_guard_after"


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
        query = COUNT_VALUES.format(counts=counts, table=self.name.sql)
        return rows(self.connection, query.as_string(self.session))[0]

    def _query(self, query: SQL, column: Column) -> Composable:
        return query.format(
            columns=listed([*self.key, column.name]),
            table=self.name.sql,
            column=Identifier(column.name),
            horizon=Literal(str(self.horizon)),
        )


class Whole(Keeping):
    """The table as an archive; nobody writes to what is about to go."""

    def covers(self, destroyed: Destroyed) -> bool:
        return destroyed.table.oid == self.table.oid or destroyed.table.root == self.table.oid

    def begin(self) -> None:
        self.lock("SHARE")
        self.dump()

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
        self.columns = {number: (name, type_) for number, name, type_ in self._columns()}
        self.before = BEFORE.format(oid=table.oid)

    def covers(self, destroyed: Destroyed) -> bool:
        return destroyed.table.oid == self.table.oid and not destroyed.is_gone and not destroyed.columns

    def begin(self) -> None:
        self.lock("SHARE ROW EXCLUSIVE")

    def read(self) -> None:
        self._create_before(SQL(""))

    def finish(self) -> None:
        live = {number: (name, type_) for number, name, type_ in self._columns()}
        both = [(*self.columns[number], *live[number]) for number in self.columns if number in live]
        keys = [(name, live_name) for name, _, live_name, _ in both if name in self.key]
        query = CHANGED.format(
            before_columns=listed((name for name, *_ in both), of="before"),
            as_live=SQL(", ").join(
                SQL("before.{}::{}").format(Identifier(name), SQL(type_)) for name, *_, type_ in both
            ),
            live_columns=listed((live_name for *_, live_name, _ in both), of="live"),
            key=Identifier(keys[0][1]),
            before=Identifier(self.before),
            table=Name(*rows(self.connection, NAME_NOW, [self.table.oid])[0]).sql,
            same_key=SQL(" AND ").join(
                SQL("before.{} = live.{}").format(Identifier(name), Identifier(live_name)) for name, live_name in keys
            ),
        )
        part = Part("rows", *self.name, key=self.key)
        part.columns = {name: type_ for name, type_, *_ in both} | {AFTER: "bigint"}
        part.files = [write_rows(self.session, query, self.path("rows.copy.gz"))]
        self.parts = [part]

    def _columns(self) -> list[tuple[int, str, str]]:
        return rows(self.connection, COLUMNS_BY_NUMBER, [self.table.oid])

    @property
    def _listed(self) -> Composable:
        return listed(name for name, _ in self.columns.values())

    def take_from_others(self) -> bool:
        """Ask another session for the rows; False where the table is shut for it."""
        with snapshot(self.connection) as session:
            try:
                session.execute(LOOK_AT_ONCE.format(table=self.name.sql))
            except (errors.LockNotAvailable, errors.UndefinedTable):
                return False
            path = self.path("before.copy.gz")
            query = TOUCHED.format(columns=self._listed, table=self.name.sql, where=IS_TOUCHED)
            write_rows(session, query, path)
        self._create_before(NO_ROWS)
        read_rows(self.session, path, Identifier(self.before), self._listed)
        path.unlink()
        return True

    def _create_before(self, where: Composable) -> None:
        create = CREATE_BEFORE.format(
            before=Identifier(self.before), columns=self._listed, table=self.name.sql, where=where
        )
        with plainly(self.session):
            execute(self.connection, create)


def is_emptied(connection: BaseDatabaseWrapper, table: Table) -> bool:
    query = COUNT.format(table=Name(table.schema, table.name).sql)
    return rows(connection, query.as_string(connection.connection)) == [(0,)]
