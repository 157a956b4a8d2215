"""Tables whose own triggers do not fire while rows return into them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Identifier

from migration_guard.connections import execute, rows
from migration_guard.restoring.tables import Name

# Those of a partition are switched with its root's, unless they are its own.
TRIGGERS = """
    SELECT nspname, relname, tgname, tgenabled
    FROM (SELECT to_regclass(%s) AS oid) named
    CROSS JOIN LATERAL (SELECT named.oid UNION SELECT relid FROM pg_partition_tree(named.oid)) tree (member)
    JOIN pg_trigger ON tgrelid = member AND NOT tgisinternal AND tgparentid = 0 AND tgenabled IN ('O', 'A')
    JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    ORDER BY pg_trigger.oid
"""
SWITCH = SQL("ALTER TABLE {table} {switch} TRIGGER {trigger}")
CHECK_NOW = "SET CONSTRAINTS ALL IMMEDIATE"


@contextmanager
def without_triggers(connection: BaseDatabaseWrapper, names: Iterable[Name]) -> Iterator[None]:
    """Rows return as they were: no trigger refuses that or adds to it."""
    found = [trigger for name in names for trigger in rows(connection, TRIGGERS, [str(name)])]
    for schema, table, trigger, _ in found:
        _switch(connection, Name(schema, table), trigger, "DISABLE")
    yield
    # A table whose deferred constraints are still to be looked at cannot be altered.
    execute(connection, CHECK_NOW)
    for schema, table, trigger, mode in found:
        _switch(connection, Name(schema, table), trigger, "ENABLE ALWAYS" if mode == "A" else "ENABLE")


def _switch(connection: BaseDatabaseWrapper, table: Name, trigger: str, switch: str) -> None:
    execute(connection, SWITCH.format(table=table.sql, switch=SQL(switch), trigger=Identifier(trigger)))
