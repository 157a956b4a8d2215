"""The rows of a database for one in which its tables are made anew, in the columns that they have by then."""

from collections.abc import Collection
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_guard.rehearsal.attempts import CHECK_DEFERRED
from migration_guard.rehearsal.relations import identifier
from migration_guard.rehearsal.sampling import ALL, COUNT_UP_TO, handing_over

MOST_ROWS = 10_000
COLUMNS = """
    SELECT attname, pg_get_serial_sequence(%s, attname) FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
# Nobody waits for what reads them, and it waits for nobody.
GENTLY = "SET LOCAL lock_timeout = 100; SET LOCAL statement_timeout = 10000; SET TRANSACTION READ ONLY"
ADVANCE = SQL("SELECT setval(%s::regclass, max({column})) FROM {table} HAVING max({column}) IS NOT NULL")


class Seeds:
    """What a live database has in its tables; of large ones nothing is taken."""

    def __init__(self, live: BaseDatabaseWrapper) -> None:
        self.live = live

    def sow(self, copy: BaseDatabaseWrapper, tables: Collection[str]) -> set[str]:
        """Put the rows into these empty tables of the copy; gives those that took some.

        A table that refuses them, by a rule that they have met only later, stays empty.
        """
        self.live.ensure_connection()
        sown: set[str] = set()
        # One that refers to another of them takes its rows once the other has its own.
        while taken := {name for name in set(tables) - sown if self._sow(copy.connection, name)}:
            sown |= taken
        return sown

    def _sow(self, copy: Connection[Any], name: str) -> bool:
        live, table = self.live.connection, identifier(name)
        try:
            with live.transaction(), copy.transaction():
                live.execute(GENTLY)
                (count,) = live.execute(COUNT_UP_TO.format(table=table, most=Literal(MOST_ROWS + 1))).fetchone()
                own = _columns(copy, table)
                columns = [column for column in _columns(live, table) if column in own]
                if not columns or not 0 < count <= MOST_ROWS:
                    return False
                query = ALL.format(columns=SQL(", ").join(map(Identifier, columns)), table=table)
                for _ in handing_over(live, copy, query, table, columns):
                    pass
                copy.execute(CHECK_DEFERRED)
                for column, sequence in own.items():
                    if sequence:
                        copy.execute(ADVANCE.format(column=Identifier(column), table=table), [sequence])
        except psycopg.Error:
            return False
        return True


def _columns(session: Connection[Any], table: Composable) -> dict[str, str | None]:
    """The columns that can be written, each with the sequence that it draws from."""
    quoted = table.as_string(session)
    return dict(session.execute(COLUMNS, [quoted, quoted]).fetchall())
