"""A part of the rows of a database, with all that they refer to, as of one moment."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_guard.applied import Say
from migration_guard.connections import another_session
from migration_guard.rehearsal.results import TableRows

SEED = 1
# Smaller tables are taken whole: what everything refers to is small.
WHOLE_UP_TO_ROWS = 1_000
KEYS_AT_ONCE = 5_000
BEGIN = """
    SET statement_timeout = 0; SET lock_timeout = '1s';
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
"""
SNAPSHOT = "SELECT pg_export_snapshot()"
OWN = """
    nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
    )
"""
# A partition's rows are those of its parent.
TABLES = f"""
    SELECT nspname, relname, array(
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
    )
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND {OWN} ORDER BY nspname, relname
"""  # noqa: S608  # constants
FOREIGN_KEYS = """
    SELECT pg_namespace.nspname, pg_class.relname, other_schema.nspname, other.relname,
        array(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY key (number, place)
            JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place),
        array(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY key (number, place)
            JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place),
        array(SELECT format_type(atttypid, atttypmod) FROM unnest(confkey) WITH ORDINALITY key (number, place)
            JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place)
    FROM pg_constraint
    JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_class other ON other.oid = confrelid JOIN pg_namespace other_schema ON other_schema.oid = other.relnamespace
    WHERE contype = 'f' AND conparentid = 0 AND NOT pg_class.relispartition
"""
SEQUENCES = "SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
SET_SEQUENCE = SQL("SELECT setval({}, {})")
COUNT = SQL("SELECT count(*) FROM {table}")
COUNT_UP_TO = SQL("SELECT count(*) FROM (SELECT FROM {table} LIMIT {most}) counted")
ALL = SQL("SELECT {columns} FROM {table}")
PART = SQL("SELECT {columns} FROM {table} TABLESAMPLE BERNOULLI ({percent}) REPEATABLE ({seed})")
# Keys that are referred to and are not there.
MISSING = SQL("""
    SELECT DISTINCT {child_columns} FROM {child} child
    WHERE {not_null} AND NOT EXISTS (SELECT FROM {parent} parent WHERE {equal}) LIMIT {most}
""")
BY_KEY = SQL("""
    SELECT {columns} FROM {parent} WHERE ({key}) IN (SELECT * FROM unnest({values}))
""")
SEND = SQL("COPY ({query}) TO STDOUT")
TAKE = SQL("COPY {table} ({columns}) FROM STDIN")


class Table(NamedTuple):
    """A table with the columns that can be written."""

    schema: str
    name: str
    columns: list[str]

    @property
    def sql(self) -> Composable:
        return Identifier(self.schema, self.name)

    @property
    def listed(self) -> Composable:
        return SQL(", ").join(map(Identifier, self.columns))


class ForeignKey(NamedTuple):
    """Columns of a child and the ones of its parent that they refer to, whose types are `types`."""

    child_schema: str
    child: str
    parent_schema: str
    parent: str
    child_columns: list[str]
    parent_columns: list[str]
    types: list[str]


class Sample:
    """Rows of one snapshot of a live database, put into a copy that has its tables and no constraints yet."""

    def __init__(
        self, live: BaseDatabaseWrapper, copy: BaseDatabaseWrapper, percent: float, purpose: str, progress: Say
    ) -> None:
        self._source = another_session(live, purpose)
        self._source.ensure_connection()
        self._live: Connection[Any] = self._source.connection
        copy.ensure_connection()
        self._copy: Connection[Any] = copy.connection
        self._percent = percent
        self._progress = progress
        with self._source.wrap_database_errors:
            self._live.execute(BEGIN)
            self.snapshot = str(self._live.execute(SNAPSHOT).fetchall()[0][0])
            self._tables = [Table(*row) for row in self._live.execute(TABLES).fetchall()]

    def close(self) -> None:
        self._source.close()

    def take(self) -> list[TableRows]:
        """The part, and what it refers to; gives how many rows there are, and how many were taken."""
        with self._source.wrap_database_errors:
            counts = [(table, self._take(table)) for table in self._tables]
            self._take_missing_parents()
            self._set_sequences()
            return [TableRows(table.name, count, self._count(table)) for table, count in counts]

    def take_whole(self, names: Collection[str]) -> None:
        """All rows of these tables alone, and where the sequences stand."""
        with self._source.wrap_database_errors:
            for table in (table for table in self._tables if table.name in names):
                self._send(table, ALL.format(columns=table.listed, table=table.sql))
            self._set_sequences()

    def _take(self, table: Table) -> int:
        self._progress(f"Sampling {table.name}")
        some = COUNT_UP_TO.format(table=table.sql, most=Literal(WHOLE_UP_TO_ROWS + 1))
        is_small = _number(self._live, some) <= WHOLE_UP_TO_ROWS
        query = PART.format(columns=table.listed, table=table.sql, percent=Literal(self._percent), seed=Literal(SEED))
        self._send(table, ALL.format(columns=table.listed, table=table.sql) if is_small else query)
        return _number(self._live, COUNT.format(table=table.sql))

    def _send(self, table: Table, query: Composable) -> None:
        with (
            self._live.cursor().copy(SEND.format(query=query)) as sent,
            self._copy.cursor().copy(TAKE.format(table=table.sql, columns=table.listed)) as taken,
        ):
            for data in sent:
                taken.write(data)

    def _take_missing_parents(self) -> None:
        """Until none is missing: what is taken refers to others in its turn."""
        keys = [ForeignKey(*row) for row in self._live.execute(FOREIGN_KEYS).fetchall()]
        while any(self._take_parents(key) for key in keys):
            continue

    def _take_parents(self, key: ForeignKey) -> bool:
        parent = next(each for each in self._tables if each[:2] == (key.parent_schema, key.parent))
        took = False
        while missing := list(self._missing(key, parent)):
            took = True
            self._progress(f"Sampling what {key.child} refers to in {key.parent}")
            arrays = [
                SQL("{}::text[]::{}[]").format(Literal(list(values)), SQL(type_))
                for values, type_ in zip(zip(*missing, strict=True), key.types, strict=True)
            ]
            query = BY_KEY.format(
                columns=parent.listed,
                parent=parent.sql,
                key=SQL(", ").join(map(Identifier, key.parent_columns)),
                values=SQL(", ").join(arrays),
            )
            self._send(parent, query)
        return took

    def _missing(self, key: ForeignKey, parent: Table) -> Iterator[tuple[str, ...]]:
        columns = [Identifier("child", column) for column in key.child_columns]
        equal = [
            SQL("{} = {}").format(Identifier("parent", theirs), Identifier("child", own))
            for own, theirs in zip(key.child_columns, key.parent_columns, strict=True)
        ]
        query = MISSING.format(
            child_columns=SQL(", ").join(SQL("{}::text").format(column) for column in columns),
            child=Identifier(key.child_schema, key.child),
            not_null=SQL(" AND ").join(SQL("{} IS NOT NULL").format(column) for column in columns),
            parent=parent.sql,
            equal=SQL(" AND ").join(equal),
            most=Literal(KEYS_AT_ONCE),
        )
        yield from self._copy.execute(query).fetchall()

    def _set_sequences(self) -> None:
        for schema, name, last in self._live.execute(SEQUENCES).fetchall():
            quoted = Identifier(schema, name).as_string(self._copy)
            self._copy.execute(SET_SEQUENCE.format(Literal(quoted), Literal(last)))

    def _count(self, table: Table) -> int:
        return _number(self._copy, COUNT.format(table=table.sql))


def _number(session: Connection[Any], query: Composed) -> int:
    return int(session.execute(query).fetchall()[0][0])
