"""A part of the rows of a database, with all that they refer to, as of one moment."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_guard.applied import Say
from migration_guard.connections import another_session
from migration_guard.rehearsal.closing import take_missing_parents
from migration_guard.rehearsal.relations import NAME
from migration_guard.rehearsal.results import TableRows

SEED = 1
# Smaller tables are taken whole: what everything refers to is small.
WHOLE_UP_TO_ROWS = 1_000
# What one session writes, the other one has to read alike; and whoever is waited for longer, the watcher tells.
SETTINGS = """
    SELECT set_config(name, value, false) FROM (VALUES
        ('statement_timeout', '0'), ('lock_timeout', '5s'), ('idle_in_transaction_session_timeout', '0'),
        ('transaction_timeout', '0'), ('idle_session_timeout', '0'), ('datestyle', 'ISO, YMD'),
        ('intervalstyle', 'postgres'), ('extra_float_digits', '3'), ('row_security', 'off')
    ) wanted (name, value) JOIN pg_settings USING (name)
"""
BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Until the end no table changes; it is the first statement, so that the snapshot is younger than the locks.
LOCK = SQL("LOCK TABLE {tables} IN ACCESS SHARE MODE")
SNAPSHOT = "SELECT pg_export_snapshot()"
OWN = """
    nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
    )
"""
# A partition's rows are those of its parent, and so are its statistics' estimates.
TABLES = f"""
    SELECT nspname, relname, {NAME}, array(
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
    ), CASE relkind WHEN 'r' THEN reltuples ELSE (
        SELECT sum(leaf.reltuples) FROM pg_partition_tree(pg_class.oid) JOIN pg_class leaf ON leaf.oid = relid
        WHERE isleaf HAVING min(leaf.reltuples) >= 0
    ) END::bigint, CASE relkind WHEN 'r' THEN 'ONLY ' ELSE '' END
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND {OWN} ORDER BY nspname, relname
"""  # noqa: S608  # constants
SEQUENCES = "SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
SET_SEQUENCE = SQL("SELECT setval({}, {})")
COUNT = SQL("SELECT count(*) FROM {table}")
COUNT_UP_TO = SQL("SELECT count(*) FROM (SELECT FROM {table} LIMIT {most}) counted")
ALL = SQL("SELECT {columns} FROM {table}")
PART = SQL("SELECT {columns} FROM {table} TABLESAMPLE BERNOULLI ({percent}) REPEATABLE ({seed})")
SEND = SQL("COPY ({query}) TO STDOUT")
TAKE = SQL("COPY {table} ({columns}) FROM STDIN")


class Table(NamedTuple):
    """A table with the columns that can be written; `estimate` is of the statistics, and of no use below 1."""

    schema: str
    name: str
    title: str
    columns: list[str]
    estimate: int | None
    # A table that others inherit from is read without their rows.
    only: str

    @property
    def sql(self) -> Composable:
        return Identifier(self.schema, self.name)

    @property
    def rows(self) -> Composable:
        return SQL(self.only) + self.sql

    @property
    def listed(self) -> Composable:
        return SQL(", ").join(map(Identifier, self.columns))


class Sample:
    """Rows of one snapshot of a live database, put into a copy that has its tables and no constraints yet."""

    def __init__(
        self,
        live: BaseDatabaseWrapper,
        copy: BaseDatabaseWrapper,
        purpose: str,
        progress: Say,
        require_sight: Callable[[], None],
    ) -> None:
        self._source = another_session(live, purpose)
        self._source.ensure_connection()
        self._live: Connection[Any] = self._source.connection
        copy.ensure_connection()
        self._copy: Connection[Any] = copy.connection
        self._progress = progress
        self._require_sight = require_sight
        with self._source.wrap_database_errors:
            self._live.execute(SETTINGS)
            self._copy.execute(SETTINGS)
            tables = self._tables_now()
            self._live.execute(BEGIN)
            if tables:
                self._live.execute(LOCK.format(tables=SQL(", ").join(table.rows for table in tables)))
            self.snapshot = str(self._live.execute(SNAPSHOT).fetchall()[0][0])
            self._tables = self._tables_now()

    def close(self) -> None:
        self._source.close()

    def take(self, percent: float) -> list[TableRows]:
        """The part, and what it refers to; gives how many rows there are, and how many were taken."""
        with self._source.wrap_database_errors:
            counts = [(table, self._take(table, percent)) for table in self._tables]
            self._progress("Sampling what the rows refer to")
            take_missing_parents(self._live, self._copy, self.send)
            self._set_sequences()
            return [TableRows(table.title, count, self._number(self._copy, COUNT, table)) for table, count in counts]

    def take_whole(self, names: Collection[str]) -> None:
        """All rows of these tables alone, and where the sequences stand."""
        with self._source.wrap_database_errors:
            for table in (table for table in self._tables if table.name in names):
                self.send(table.sql, table.columns, ALL.format(columns=table.listed, table=table.rows))
            self._set_sequences()

    def send(self, table: Composable, columns: Iterable[str], query: Composable) -> None:
        """Put what the query finds in the source into the table of the copy."""
        for _ in handing_over(self._live, self._copy, query, table, columns):
            self._require_sight()

    def _tables_now(self) -> list[Table]:
        return [Table(*row) for row in self._live.execute(TABLES).fetchall()]

    def _take(self, table: Table, percent: float) -> int:
        """Give how many rows the source has: exactly where they are few or the statistics do not know."""
        self._progress(f"Sampling {table.title}")
        few = self._number(self._live, COUNT_UP_TO, table)
        query = ALL.format(columns=table.listed, table=table.rows)
        if few < WHOLE_UP_TO_ROWS:
            self.send(table.sql, table.columns, query)
            return few
        part = PART.format(columns=table.listed, table=table.rows, percent=Literal(percent), seed=Literal(SEED))
        self.send(table.sql, table.columns, part)
        return max(table.estimate or 0, 0) or self._number(self._live, COUNT, table)

    def _set_sequences(self) -> None:
        for schema, name, last in self._live.execute(SEQUENCES).fetchall():
            quoted = Identifier(schema, name).as_string(self._copy)
            self._copy.execute(SET_SEQUENCE.format(Literal(quoted), Literal(last)))

    def _number(self, session: Connection[Any], query: SQL, table: Table) -> int:
        counting: Composed = query.format(table=table.rows, most=Literal(WHOLE_UP_TO_ROWS))
        return int(session.execute(counting).fetchall()[0][0])


def handing_over(
    live: Connection[Any], copy: Connection[Any], query: Composable, table: Composable, columns: Iterable[str]
) -> Iterator[None]:
    """Put what the query finds in the one database into the table of the other, a piece at each step."""
    listed = SQL(", ").join(map(Identifier, columns))
    with (
        live.cursor().copy(SEND.format(query=query)) as sent,
        copy.cursor().copy(TAKE.format(table=table, columns=listed)) as taken,
    ):
        for data in sent:
            taken.write(data)
            yield
