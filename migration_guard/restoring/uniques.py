"""Unique constraints that do not stand in the way of rows which return into each other's places.

They are looked at row by row while an UPDATE is at work, so that two values cannot change places by one.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Identifier

from migration_guard.connections import execute, rows
from migration_guard.restoring.tables import Name
from migration_guard.restoring.triggers import CHECK_NOW

# Not those that foreign keys rest on, that replicate, or that are looked at later anyway.
UNIQUES = """
    SELECT nspname, index.relname, conname,
        coalesce(pg_get_constraintdef(pg_constraint.oid), pg_get_indexdef(index.oid))
    FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
        LEFT JOIN pg_constraint ON conindid = indexrelid AND conrelid = indrelid AND contype IN ('u', 'x')
    WHERE indrelid = to_regclass(%s) AND (indisunique OR indisexclusion) AND indimmediate AND indisvalid
        AND NOT indisprimary AND NOT indisreplident AND NOT index.relispartition
        AND NOT EXISTS (SELECT FROM pg_constraint AS other WHERE other.conindid = indexrelid AND other.contype = 'f')
    ORDER BY index.oid
"""
DROP_CONSTRAINT = SQL("ALTER TABLE {table} DROP CONSTRAINT {name}")
ADD_CONSTRAINT = SQL("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
DROP_INDEX = SQL("DROP INDEX {name}")


@contextmanager
def without_uniques(connection: BaseDatabaseWrapper, names: Iterable[Name]) -> Iterator[None]:
    """Drop them, and make them again at the end of the block; who reads the tables waits until then."""
    found = [(name, *unique) for name in names for unique in rows(connection, UNIQUES, [str(name)])]
    for table, schema, index, constraint, _ in found:
        if constraint:
            execute(connection, DROP_CONSTRAINT.format(table=table.sql, name=Identifier(constraint)))
        else:
            execute(connection, DROP_INDEX.format(name=Identifier(schema, index)))
    yield
    # A table whose deferred constraints are still to be looked at cannot be altered.
    execute(connection, CHECK_NOW)
    for table, _, _, constraint, definition in found:
        if constraint:
            words = {"table": table.sql, "name": Identifier(constraint), "definition": SQL(definition)}
            execute(connection, ADD_CONSTRAINT.format(**words))
        else:
            execute(connection, definition)
