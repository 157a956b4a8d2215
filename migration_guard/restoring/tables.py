"""What PostgreSQL says of one table that is to be kept or brought back."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier

from migration_guard.catalog.keys import primary_key
from migration_guard.connections import another_session, execute, rows
from migration_guard.restoring.points import Reference

SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# As long as it takes, and while pg_dump is at work.
WITHOUT_LIMITS = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
# In the order of the table; what is generated has no values of its own.
COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod)
    FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum
"""
# A partition is dumped when it is named.
WITH_PARTITIONS = """
    SELECT quote_ident(nspname) || '.' || quote_ident(relname)
    FROM (SELECT to_regclass(%s) AS oid) named
    CROSS JOIN LATERAL (SELECT named.oid UNION SELECT relid FROM pg_partition_tree(named.oid)) tree (member)
    JOIN pg_class ON pg_class.oid = member JOIN pg_namespace ON pg_namespace.oid = relnamespace
"""
IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)"
REFERENCES = """
    SELECT nspname, relname, conname, pg_get_constraintdef(pg_constraint.oid)
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE contype = 'f' AND conparentid = 0 AND confrelid = to_regclass(%s) AND conrelid <> confrelid
    ORDER BY pg_constraint.oid
"""

LACKS_SCHEMA = "SELECT to_regnamespace(quote_ident(%s)) IS NULL"
CREATE_SCHEMA = SQL("CREATE SCHEMA {schema}")


class Name(NamedTuple):
    """Of a table, with its schema."""

    schema: str
    table: str

    @property
    def sql(self) -> Composable:
        return Identifier(self.schema, self.table)

    def __str__(self) -> str:
        """Quoted, as to_regclass and pg_dump take it."""
        return self.sql.as_string(None)


def columns_of(connection: BaseDatabaseWrapper, name: Name) -> dict[str, str]:
    """Each column with its type; none where there is no such table."""
    return dict(rows(connection, COLUMNS, [str(name)]))


def key_of(connection: BaseDatabaseWrapper, name: Name) -> list[str]:
    """The columns of the primary key, in their order; none where there is none, or one that the server makes up."""
    key = primary_key(connection, str(name))
    return key if {*key} <= columns_of(connection, name).keys() else []


def own_rows(connection: BaseDatabaseWrapper, name: Name) -> Composable:
    """The table after FROM: with its partitions, and without the tables that inherit from it, which are kept alone."""
    is_partitioned = rows(connection, IS_PARTITIONED, [str(name)]) == [(True,)]
    return SQL("{}" if is_partitioned else "ONLY {}").format(name.sql)


def with_partitions(connection: BaseDatabaseWrapper, name: Name) -> list[str]:
    return [table for (table,) in rows(connection, WITH_PARTITIONS, [str(name)])]


def ensure_schema(connection: BaseDatabaseWrapper, name: str) -> None:
    """Asked first: who may not make one may yet work in one that is there."""
    if rows(connection, LACKS_SCHEMA, [name]) == [(True,)]:
        execute(connection, CREATE_SCHEMA.format(schema=Identifier(name)))


def references_to(connection: BaseDatabaseWrapper, name: Name) -> list[Reference]:
    return [Reference(*row) for row in rows(connection, REFERENCES, [str(name)])]


def listed(columns: Iterable[str], *, of: str = "") -> Composable:
    """The columns in a row, each with the name of what it is of."""
    return SQL(", ").join(Identifier(*filter(None, (of, column))) for column in columns)


def equal(columns: Sequence[str], left: str, right: str) -> Composable:
    return SQL(" AND ").join(SQL("{} = {}").format(Identifier(left, key), Identifier(right, key)) for key in columns)


@contextmanager
def snapshot(connection: BaseDatabaseWrapper) -> Iterator[Connection[Any]]:
    """What is committed at the first question, seen by a session of its own."""
    other = another_session(connection, "restore point")
    try:
        other.ensure_connection()
        other.connection.execute(WITHOUT_LIMITS)
        other.connection.execute(SNAPSHOT)
        yield other.connection
    finally:
        other.close()
