"""The primary key of a table."""

from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import rows

KEY = """
    SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
    WHERE indisprimary AND indrelid = to_regclass(%s) ORDER BY array_position(indkey::smallint[], attnum)
"""


def primary_key(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """Its columns, in their order; none where the table, whose name is quoted, has no such key."""
    return [column for (column,) in rows(connection, KEY, [table])]
