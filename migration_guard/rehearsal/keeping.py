"""Rows of tables as they stood before a migration, kept beside them, and what of them the way back does not return."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Composable, Identifier

from migration_guard.catalog.keys import primary_key
from migration_guard.catalog.queries import LEFT_OUT
from migration_guard.connections import execute, rows
from migration_guard.rehearsal.relations import IS_OF_USERS, NAME, identifier
from migration_guard.rehearsal.results import RowLoss

SCHEMA = "migration_guard_kept"
DROP_SCHEMA = SQL("DROP SCHEMA IF EXISTS {schema} CASCADE")
CREATE_SCHEMA = SQL("CREATE SCHEMA {schema}")
KEEP = SQL("CREATE UNLOGGED TABLE {kept} AS SELECT * FROM {table}")
# A materialized view has no rows of its own. Types without an equality, or whose equality is not identity, are compared
# by their text.
COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod),
        typcategory IN ('N', 'D', 'B', 'T') OR typname IN ('text', 'varchar', 'bpchar', 'uuid', 'bytea')
    FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid JOIN pg_class ON pg_class.oid = attrelid
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND relkind <> 'm'
    ORDER BY attname
"""
# A row is there where its key is, which is never null.
COMPARE = SQL("""
    SELECT count(*) FILTER (WHERE live.{key} IS NULL), count(*) FILTER (WHERE kept.{key} IS NULL) {differing}
    FROM {kept} kept FULL JOIN {table} live ON {same_key}
""")
# A value that came where there was none is no loss.
DIFFERING = SQL("""
    , count(*) FILTER (
        WHERE live.{key} IS NOT NULL AND kept.{column} IS NOT NULL
            AND kept.{column}{cast} IS DISTINCT FROM live.{column}{cast}
    )
    , count(*) FILTER (WHERE kept.{key} IS NOT NULL AND kept.{column} IS NULL AND live.{column} IS NOT NULL)
""")
WITHOUT_KEY = SQL("""
    SELECT (SELECT count(*) FROM (SELECT {columns} FROM {kept} EXCEPT ALL SELECT {columns} FROM {table}) gone),
        (SELECT count(*) FROM (SELECT {columns} FROM {table} EXCEPT ALL SELECT {columns} FROM {kept}) come)
""")
VALUES = SQL("SELECT count({column}) FROM {table}")
COUNT = SQL("SELECT count(*) FROM {table}")
# In a float, a sum of hashes would depend on the order of the rows.
CHECKSUM = SQL(
    "SELECT count(*), coalesce(sum(hashtextextended(ROW({columns})::text, 0)::numeric), 0)::text FROM {table}"
)
# How many rows were written, by table, committed or not; sent by each session at the end of its transaction.
CHANGES = f"""
    SELECT {NAME},
        pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid) + pg_stat_get_tuples_deleted(oid)
    FROM pg_class
    WHERE relkind = 'r' AND {IS_OF_USERS} AND relname NOT IN {LEFT_OUT}
        AND relnamespace::regnamespace::text <> '{SCHEMA}'
"""  # noqa: S608  # constants
SEND_NOW = "SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()"
TRUNCATE = SQL("TRUNCATE {tables} CASCADE")
AS_TEXT = SQL("::text")


class Returned(NamedTuple):
    """What the way back returned: what is lost, and rows and values that were not there before, with their numbers."""

    losses: list[RowLoss]
    added: dict[str, int]
    filled: dict[str, int]


class KeptRows:
    """Tables are named as relations.py names them; those that are not there are left out."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._tables: list[str] = []

    def keep(self, tables: Iterable[str]) -> None:
        """In place of those that were kept before."""
        execute(self.connection, DROP_SCHEMA.format(schema=Identifier(SCHEMA)))
        execute(self.connection, CREATE_SCHEMA.format(schema=Identifier(SCHEMA)))
        self._tables = [name for name in sorted(tables) if self._columns(identifier(name))]
        for name in self._tables:
            execute(self.connection, KEEP.format(kept=_kept(name), table=identifier(name)))

    def compare(self, unwritten: Collection[str]) -> Returned:
        """With the tables as they stand now; `unwritten` are those that nothing has changed since."""
        losses: list[RowLoss] = []
        added: dict[str, int] = {}
        filled: dict[str, int] = {}
        for name in (name for name in self._tables if name not in unwritten):
            found = self._compare(name)
            losses += [loss for loss in found.losses if loss.rows]
            added |= found.added
            filled |= found.filled
        return Returned(losses, added, filled)

    def _compare(self, name: str) -> Returned:
        table, kept = identifier(name), _kept(name)
        before, now = self._columns(kept), self._columns(table)
        if not now:
            return Returned([RowLoss(name, None, self._number(COUNT.format(table=kept)))], {}, {})
        gone = [
            RowLoss(name, column, self._number(VALUES.format(column=Identifier(column), table=kept)))
            for column in before.keys() - now.keys()
        ]
        common = {column: now[column] == before[column] and now[column][1] for column in before if column in now}
        missing, extra, *differing = self._differences(table, kept, common)
        lost = map(RowLoss, [name] * len(common), common, differing[::2])
        losses = [RowLoss(name, None, missing), *lost, *sorted(gone)]
        filled = {f"{name}.{column}": count for column, count in zip(common, differing[1::2], strict=False) if count}
        return Returned(losses, {name: extra} if extra else {}, filled)

    def _differences(self, table: Composable, kept: Composable, common: Mapping[str, bool]) -> tuple[int, ...]:
        """Rows that are gone, rows that have come, and for each column values that are lost, and that have come."""
        keys = primary_key(self.connection, self._text(table))
        if not keys or not all(common.get(key) for key in keys):
            columns = SQL(", ").join(SQL("{}::text").format(Identifier(column)) for column in common)
            query = WITHOUT_KEY.format(columns=columns, kept=kept, table=table)
        else:
            differing = [
                DIFFERING.format(
                    key=Identifier(keys[0]), column=Identifier(column), cast=SQL("") if is_equal else AS_TEXT
                )
                for column, is_equal in common.items()
            ]
            same_key = SQL(" AND ").join(SQL("kept.{0} = live.{0}").format(Identifier(key)) for key in keys)
            query = COMPARE.format(
                key=Identifier(keys[0]), differing=SQL("").join(differing), kept=kept, table=table, same_key=same_key
            )
        ((counts),) = rows(self.connection, self._text(query))
        return counts

    def _columns(self, table: Composable) -> dict[str, tuple[str, bool]]:
        """Each column with its type, and whether equality tells its values apart."""
        found = rows(self.connection, COLUMNS, [self._text(table)])
        return {column: (type_, is_equal) for column, type_, is_equal in found}

    def checksums(self, tables: Iterable[str]) -> dict[str, tuple[int, str]]:
        """The number of rows, and a sum that does not depend on the order of rows or columns."""
        return dict(self._checksums(tables))

    def _checksums(self, tables: Iterable[str]) -> Iterator[tuple[str, tuple[int, str]]]:
        for name in tables:
            table = identifier(name)
            if columns := self._columns(table):
                listed = SQL(", ").join(map(Identifier, columns))
                ((count, sum_),) = rows(self.connection, self._text(CHECKSUM.format(columns=listed, table=table)))
                yield name, (count, sum_)

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        return {name: self._number(COUNT.format(table=identifier(name))) for name in tables}

    def values(self, table: str, column: str) -> int:
        return self._number(VALUES.format(column=Identifier(column), table=identifier(table)))

    def _number(self, query: Composable) -> int:
        return int(rows(self.connection, self._text(query))[0][0])

    def _text(self, query: Composable) -> str:
        return query.as_string(self.connection.connection)


def empty(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> None:
    """Take all rows out of the tables, and of those that refer to them."""
    listed = SQL(", ").join(map(identifier, sorted(tables)))
    execute(connection, TRUNCATE.format(tables=listed))


def changes(connection: BaseDatabaseWrapper) -> dict[str, int]:
    """How many rows of each table have been written since it is there, by what has ended."""
    rows(connection, SEND_NOW)
    return dict(rows(connection, CHANGES))


def _kept(name: str) -> Composable:
    return Identifier(SCHEMA, name)
