"""How what was kept of one table comes back into it.

`stage` copies it into a temporary table of the session, `describe` counts what that would change, `work` changes it in
the caller's transaction, and `check` compares row by row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_guard.connections import execute, rows
from migration_guard.restoring.archives import RowsOf, blocks, copy_in, run
from migration_guard.restoring.files import read_rows
from migration_guard.restoring.keeping import AFTER
from migration_guard.restoring.looking import keeps_values
from migration_guard.restoring.points import Part, RestorePoint
from migration_guard.restoring.tables import Name, columns_of, equal, key_of, listed

KEPT = "migration_guard_kept_{number}"
CREATE = SQL("CREATE TEMPORARY TABLE {kept} ({columns})")
ANALYZE = SQL("ANALYZE {kept}")
# What was written after the values were copied stands over them; where there was no value, none returns.
SUPERSEDE = SQL("DELETE FROM {kept} kept USING {since} since WHERE {same_key}")
TAKE_OVER = SQL("INSERT INTO {kept} SELECT * FROM {since}")
WITHOUT_VALUE = SQL("DELETE FROM {kept} WHERE {column} IS NULL")
COUNT_KEPT = SQL("SELECT count(*) FROM {kept}")
COUNT = SQL("SELECT count(*) FROM {kept} kept JOIN {table} live ON {same_key} WHERE {condition}")
COUNT_GONE = SQL("SELECT count(*) FROM {kept} kept WHERE NOT EXISTS (SELECT FROM {table} live WHERE {same_key})")
HAS_OTHER = SQL("live.{column} IS NOT NULL AND {differs}")
ADD_COLUMN = SQL("ALTER TABLE {table} ADD COLUMN {column} {type}")
UPDATE = SQL("UPDATE {table} live SET {values} FROM {kept} kept WHERE {same_key} AND {differs}")
INSERT = SQL("""
    INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {kept_columns} FROM {kept} kept WHERE NOT EXISTS (SELECT FROM {table} live WHERE {same_key})
""")
DIFFERS = SQL("ROW({kept_columns})::text IS DISTINCT FROM ROW({live_columns})::text")
# Written by others since the migration did.
SINCE = SQL("kept.{after} IS DISTINCT FROM hashtextextended(ROW({live_columns})::text, 0)")
TRIGGERS = """
    SELECT tgname, tgenabled FROM pg_trigger
    WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal AND tgenabled IN ('O', 'A') ORDER BY tgname
"""
SWITCH = SQL("ALTER TABLE {table} {switch} TRIGGER {trigger}")
CHECK_NOW = "SET CONSTRAINTS ALL IMMEDIATE"
INTEGERS = ("smallint", "integer", "bigint")
# The next number that a sequence gives is over every key that is there.
ADVANCE = SQL("""
    SELECT setval(sequence, highest) FROM (
        SELECT pg_get_serial_sequence({name}, {column}) AS sequence, (SELECT max({identifier}) FROM {table}) AS highest
    ) found WHERE sequence IS NOT NULL AND highest > coalesce(pg_sequence_last_value(sequence::regclass), 0)
""")
ADD_REFERENCE = SQL("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
LACKS_CONSTRAINT = """
    SELECT to_regclass(%s) IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s
    )
"""


class NotRestored(CommandError):
    """A point that cannot come back; nothing of it is in the database."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} Nothing was restored.", returncode=2)


class Returning:
    """One part of a point."""

    def __init__(self, connection: BaseDatabaseWrapper, point: RestorePoint, part: Part, number: int) -> None:
        self.connection = connection
        self.point = point
        self.part = part
        self.name = Name(part.schema, part.table)
        self.kept = Identifier(KEPT.format(number=number))
        self.since = Identifier(KEPT.format(number=f"{number}_since"))

    # Whether the whole table is to be made again.
    is_gone = False

    def stage(self) -> None:
        """Raises NotRestored where it cannot come back into the database as it is."""
        raise NotImplementedError

    def describe(self) -> Iterator[str]:
        raise NotImplementedError

    def work(self) -> None:
        raise NotImplementedError

    def connect(self) -> None:
        """What ties it to other tables, once all of them are there."""

    def check(self) -> None:
        """Raises NotRestored where a row is not as it was kept."""

    @property
    def session(self) -> Connection[Any]:
        session: Connection[Any] = self.connection.connection
        return session

    @property
    def same_key(self) -> Composable:
        return equal(self.part.key, "kept", "live")

    def number(self, query: SQL, **words: Composable) -> int:
        composed = query.format(kept=self.kept, table=self.name.sql, same_key=self.same_key, **words)
        return int(rows(self.connection, composed.as_string(self.session))[0][0])

    def create(self, table: Composable, columns: dict[str, str]) -> None:
        defined = SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(type_)) for name, type_ in columns.items())
        execute(self.connection, CREATE.format(kept=table, columns=defined))


class ColumnReturning(Returning):
    """Values of a column, into the rows that are still there."""

    def stage(self) -> None:
        there = columns_of(self.connection, self.name)
        if not there:
            raise NotRestored(f"There is no table {self.part.table}, whose {self.part.column} is to return.")
        was = self.part.columns[self.part.column]
        if not keeps_values(was, now := there.get(self.part.column, was)):
            raise NotRestored(
                f"{self.part.table}.{self.part.column} has the type {now} now and was {was}, so that values would not "
                "be what they were. Undo the migration first: manage.py rollback."
            )
        for table, file in zip((self.kept, self.since), self.part.files, strict=True):
            self.create(table, self.part.columns)
            read_rows(self.session, self.point.path / file.name, table, listed(self.part.columns))
        same_key = equal(self.part.key, "kept", "since")
        execute(self.connection, SUPERSEDE.format(kept=self.kept, since=self.since, same_key=same_key))
        execute(self.connection, TAKE_OVER.format(kept=self.kept, since=self.since))
        execute(self.connection, WITHOUT_VALUE.format(kept=self.kept, column=self.column))
        execute(self.connection, ANALYZE.format(kept=self.kept))

    def describe(self) -> Iterator[str]:
        kept, gone = self.number(COUNT_KEPT), self.number(COUNT_GONE)
        yield f"{self.part.table}.{self.part.column}: {kept - gone:,} values return."
        if gone:
            yield f"{gone:,} rows that had a value are gone, and stay so."
        if not self._is_there:
            yield "The column is not there: it is added again, without its constraints and indexes."
        elif other := self.number(
            COUNT, condition=SQL("live.{0} IS NOT NULL AND {1}").format(self.column, self._differs)
        ):
            yield f"{other:,} rows have another value now, which is overwritten."

    def work(self) -> None:
        if not self._is_there:
            type_ = SQL(self.part.columns[self.part.column])
            execute(self.connection, ADD_COLUMN.format(table=self.name.sql, column=self.column, type=type_))
        values = SQL("{0} = kept.{0}").format(self.column)
        update = UPDATE.format(
            table=self.name.sql, values=values, kept=self.kept, same_key=self.same_key, differs=self._differs
        )
        with without_triggers(self.connection, self.name):
            execute(self.connection, update)

    def check(self) -> None:
        if wrong := self.number(COUNT, condition=self._differs):
            raise NotRestored(f"{wrong:,} values of {self.part.table}.{self.part.column} are not what they were.")

    @property
    def column(self) -> Identifier:
        return Identifier(self.part.column)

    @property
    def _is_there(self) -> bool:
        return self.part.column in columns_of(self.connection, self.name)

    @property
    def _differs(self) -> Composable:
        return SQL("kept.{0}::text IS DISTINCT FROM live.{0}::text").format(self.column)


class RowsReturning(Returning):
    """Rows as they were, over what they are now or in their place where they are gone."""

    def stage(self) -> None:
        self.require_table()
        self.create(self.kept, self.part.columns)
        for file in self.part.files:
            read_rows(self.session, self.point.path / file.name, self.kept, listed(self.part.columns))
        execute(self.connection, ANALYZE.format(kept=self.kept))

    def require_table(self) -> None:
        there = columns_of(self.connection, self.name)
        missing = [column for column in self.columns if column not in there]
        if missing:
            what = f"its column {missing[0]}" if there else "it"
            raise NotRestored(f"{self.part.table} is not as it was: {what} is not there. Undo what came since first.")
        if not key_of(self.connection, self.name):
            raise NotRestored(
                f"{self.part.table} has no primary key that would tell its rows apart: restore it --into another "
                "database, and take from there what is wanted."
            )

    def describe(self) -> Iterator[str]:
        gone = self.number(COUNT_GONE)
        other = self.number(COUNT, condition=self.differs)
        yield f"{self.part.table}: {gone:,} rows return, {other:,} are changed back."
        if since := self.number(COUNT, condition=SQL("{} AND {}").format(self.differs, self._since)):
            yield f"{since:,} of these were written since, and that is overwritten."

    def work(self) -> None:
        with without_triggers(self.connection, self.name):
            values = SQL(", ").join(
                SQL("{0} = kept.{0}").format(Identifier(column))
                for column in self.columns
                if column not in self.part.key
            )
            words: dict[str, Composable] = {"table": self.name.sql, "kept": self.kept, "same_key": self.same_key}
            if set(self.columns) - set(self.part.key):
                execute(self.connection, UPDATE.format(values=values, differs=self.differs, **words))
            insert = INSERT.format(columns=listed(self.columns), kept_columns=listed(self.columns, of="kept"), **words)
            execute(self.connection, insert)
        for column in self.part.key:
            if self.part.columns[column] in INTEGERS:
                words |= {"name": Literal(str(self.name)), "column": Literal(column), "identifier": Identifier(column)}
                execute(self.connection, ADVANCE.format(**words))

    def check(self) -> None:
        if wrong := self.number(COUNT_GONE) + self.number(COUNT, condition=self.differs):
            raise NotRestored(f"{wrong:,} rows of {self.part.table} are not what they were.")

    @property
    def columns(self) -> list[str]:
        return [column for column in self.part.columns if column != AFTER]

    @property
    def differs(self) -> Composable:
        return DIFFERS.format(kept_columns=listed(self.columns, of="kept"), live_columns=self._live)

    @property
    def _live(self) -> Composable:
        return listed(self.columns, of="live")

    @property
    def _since(self) -> Composable:
        return SINCE.format(after=Identifier(AFTER), live_columns=self._live)


class TableReturning(RowsReturning):
    """A table as it was: the whole of it where it is gone, else its rows."""

    def stage(self) -> None:
        if self.is_gone:
            return
        self.require_table()
        self.create(self.kept, self.part.columns)
        for block in blocks(self._archive, "--section=data"):
            if isinstance(block, RowsOf):
                copy_in(self.session, block, self.kept)
        execute(self.connection, ANALYZE.format(kept=self.kept))

    def describe(self) -> Iterator[str]:
        if self.is_gone:
            yield f"{self.part.table} returns whole, with {self.part.rows:,} rows."
        else:
            yield from super().describe()

    def work(self) -> None:
        if self.is_gone:
            run(self.session, self._archive, "--section=pre-data")
            run(self.session, self._archive, "--section=data")
        else:
            super().work()

    def connect(self) -> None:
        if self.is_gone:
            run(self.session, self._archive, "--section=post-data")
        for reference in self.part.references:
            table = Name(reference.schema, reference.table)
            if rows(self.connection, LACKS_CONSTRAINT, [str(table), str(table), reference.name]) == [(True,)]:
                definition = SQL(reference.definition)
                words = {"table": table.sql, "name": Identifier(reference.name), "definition": definition}
                execute(self.connection, ADD_REFERENCE.format(**words))

    def check(self) -> None:
        if not self.is_gone:
            super().check()
        elif (count := rows(self.connection, f"SELECT count(*) FROM {self.name}")[0][0]) != self.part.rows:  # noqa: S608
            raise NotRestored(f"{self.part.table} has {count:,} rows, and had {self.part.rows:,}.")

    @cached_property
    def is_gone(self) -> bool:  # type: ignore[override]  # known from the database here
        return not columns_of(self.connection, self.name)

    @property
    def _archive(self) -> Path:
        return self.point.path / self.part.files[0].name

    @property
    def _since(self) -> Composable:
        """Nobody has noted what the migration made of the rows."""
        return SQL("false")


RETURNING: dict[str, type[Returning]] = {"column": ColumnReturning, "rows": RowsReturning, "table": TableReturning}


@contextmanager
def without_triggers(connection: BaseDatabaseWrapper, table: Name) -> Iterator[None]:
    """Rows return as they were: no trigger refuses that or adds to it."""
    found = rows(connection, TRIGGERS, [str(table)])
    for trigger, _ in found:
        _switch(connection, table, trigger, "DISABLE")
    yield
    if found:
        # A table whose deferred constraints are still to be looked at cannot be altered.
        execute(connection, CHECK_NOW)
    for trigger, mode in found:
        _switch(connection, table, trigger, "ENABLE ALWAYS" if mode == "A" else "ENABLE")


def _switch(connection: BaseDatabaseWrapper, table: Name, trigger: str, switch: str) -> None:
    execute(connection, SWITCH.format(table=table.sql, switch=SQL(switch), trigger=Identifier(trigger)))
