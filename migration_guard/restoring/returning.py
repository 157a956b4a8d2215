"""How what was kept of one table comes back into it.

`stage` copies it into a temporary table of the session, `describe` counts what that would change, `work` changes it in
the caller's transaction, `refer` and `let_refer` tie a whole table to others, and `check` compares row by row.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_guard.connections import execute, rows
from migration_guard.restoring.archives import RowsOf, Statements, blocks, copy_in, copy_rows
from migration_guard.restoring.files import read_rows
from migration_guard.restoring.keeping import AFTER
from migration_guard.restoring.looking import keeps_values
from migration_guard.restoring.points import Part, RestorePoint
from migration_guard.restoring.tables import Name, columns_of, ensure_schema, equal, key_of, listed, own_rows

KEPT = "migration_guard_kept_{number}"
# What an earlier one has left in this session.
CREATE = SQL("DROP TABLE IF EXISTS pg_temp.{kept}; CREATE TEMPORARY TABLE {kept} ({columns})")
ANALYZE = SQL("ANALYZE {kept}")
SINCE_TABLE = Identifier("migration_guard_since")
CREATE_SINCE = SQL("DROP TABLE IF EXISTS pg_temp.{since}; CREATE TEMPORARY TABLE {since} (LIKE {kept})")
# What was written after the values were copied stands over them; where there was no value, none returns.
SUPERSEDE = SQL("DELETE FROM {kept} kept USING {since} since WHERE {same_key}")
TAKE_OVER = SQL("INSERT INTO {kept} SELECT * FROM {since}")
WITHOUT_VALUE = SQL("DELETE FROM {kept} WHERE {column} IS NULL")
TAKE_IN = SQL("UPDATE {kept} kept SET {column} = value.{column} FROM {value} value WHERE {same_key}")
COUNT_KEPT = SQL("SELECT count(*) FROM {kept}")
COUNT_ROWS = SQL("SELECT count(*) FROM {table}")
COUNT = SQL("SELECT count(*) FROM {kept} kept JOIN {table} live ON {same_key} WHERE {condition}")
COUNT_GONE = SQL("SELECT count(*) FROM {kept} kept WHERE NOT EXISTS (SELECT FROM {table} live WHERE {same_key})")
ADD_COLUMN = SQL("ALTER TABLE {table} ADD COLUMN {column} {type}")
UPDATE = SQL("UPDATE {table} live SET {values} FROM {kept} kept WHERE {same_key} AND {differs}")
INSERT = SQL("""
    INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {kept_columns} FROM {kept} kept WHERE NOT EXISTS (SELECT FROM {table} live WHERE {same_key})
""")
DIFFERS = SQL("ROW({kept_columns})::text IS DISTINCT FROM ROW({live_columns})::text")
# Written by others since the migration did.
SINCE = SQL("kept.{after} IS DISTINCT FROM hashtextextended(ROW({live_columns})::text, 0)")
# What is numbered by the server alone cannot be set in a row that is there.
ALWAYS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attidentity = 'a'"
LOCK = SQL("LOCK TABLE {table} IN {mode} MODE")
INTEGERS = ("smallint", "integer", "bigint")
# The next number that a sequence gives is over every key that is there.
ADVANCE = SQL("""
    SELECT setval(sequence, highest) FROM (
        SELECT pg_get_serial_sequence({name}, {column}) AS sequence, (SELECT max({identifier}) FROM {table}) AS highest
    ) found WHERE sequence IS NOT NULL AND highest > coalesce(pg_sequence_last_value(sequence::regclass), 0)
""")
ADD_REFERENCE = SQL("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
FOREIGN_KEY = "FK CONSTRAINT"
# What the table, or an index of it, is a partition of: by name, as it stands at the end of the statement.
ATTACHES = re.compile(rb" ATTACH PARTITION (.+?)(?: (?:FOR VALUES|DEFAULT).*)?;\s*", re.DOTALL)
IS_OWN = """
    SELECT child = own OR EXISTS (SELECT FROM pg_index WHERE indexrelid = child AND indrelid = own)
    FROM (SELECT to_regclass(%s), to_regclass(%s)) named (child, own)
"""
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

    # Whether the whole table is to be made again.
    is_gone = False

    def stage(self) -> None:
        """Raises NotRestored where it cannot come back into the database as it is."""
        raise NotImplementedError

    def describe(self) -> Iterator[str]:
        raise NotImplementedError

    def work(self) -> None:
        raise NotImplementedError

    def refer(self) -> Iterator[str]:
        """Its foreign keys, once the keys of all tables are there; what is to be said of them."""
        yield from ()

    def let_refer(self) -> Iterator[str]:
        """The foreign keys of others, where they have not returned with these."""
        yield from ()

    def check(self) -> None:
        """Raises NotRestored where a row is not as it was kept."""

    @property
    def session(self) -> Connection[Any]:
        session: Connection[Any] = self.connection.connection
        return session

    # Nobody writes to it until all is compared.
    lock_mode = "SHARE ROW EXCLUSIVE"

    def lock(self) -> None:
        if not self.is_gone:
            execute(self.connection, LOCK.format(table=self.name.sql, mode=SQL(self.lock_mode)))

    @property
    def own_rows(self) -> Composable:
        return own_rows(self.connection, self.name)

    @property
    def same_key(self) -> Composable:
        return equal(self.part.key, "kept", "live")

    def number(self, query: SQL, **words: Composable) -> int:
        composed = query.format(kept=self.kept, table=self.own_rows, same_key=self.same_key, **words)
        return int(rows(self.connection, composed.as_string(self.session))[0][0])

    def create(self, table: Composable, columns: dict[str, str]) -> None:
        defined = SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(type_)) for name, type_ in columns.items())
        execute(self.connection, CREATE.format(kept=table, columns=defined))


class ColumnReturning(Returning):
    """Values of a column, into the rows that are still there."""

    def stage(self) -> None:
        there = columns_of(self.connection, self.name)
        if not there:
            raise NotRestored(
                f"There is no table {self.part.table}, whose {self.part.column} is to return. Undo what came since "
                "first, or restore it --into another database."
            )
        was = self.part.columns[self.part.column]
        if not keeps_values(was, now := there.get(self.part.column, was)):
            raise NotRestored(
                f"{self.part.table}.{self.part.column} has the type {now} now and was {was}, so that values would not "
                "be what they were. Undo the migration first: manage.py rollback."
            )
        self.create(self.kept, self.part.columns)
        read_values(self.connection, self.point, self.part, self.kept)
        execute(self.connection, ANALYZE.format(kept=self.kept))

    def describe(self) -> Iterator[str]:
        kept, gone = self.number(COUNT_KEPT), self.number(COUNT_GONE)
        yield f"{self.part.table}.{self.part.column}: {kept - gone:,} values return."
        if gone:
            yield f"{gone:,} rows that had a value are gone, and stay so unless they return too."
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
            table=self.own_rows, values=values, kept=self.kept, same_key=self.same_key, differs=self._differs
        )
        execute(self.connection, update)

    def check(self) -> None:
        if wrong := self.number(COUNT, condition=self._differs):
            raise NotRestored(f"{wrong:,} values of {self.part.table}.{self.part.column} are not what they were.")

    @property
    def lock_mode(self) -> str:  # type: ignore[override]  # known from the database here
        return super().lock_mode if self._is_there else "ACCESS EXCLUSIVE"

    @property
    def column(self) -> Identifier:
        return Identifier(self.part.column)

    @property
    def _is_there(self) -> bool:
        return self.part.column in columns_of(self.connection, self.name)

    @property
    def _differs(self) -> Composable:
        return SQL('kept.{0}::text COLLATE "C" IS DISTINCT FROM live.{0}::text COLLATE "C"').format(self.column)


def read_values(connection: BaseDatabaseWrapper, point: RestorePoint, part: Part, table: Composable) -> None:
    """Write the values of a column into a table that has its columns and nothing in it."""
    first, second = part.files
    columns, words = listed(part.columns), {"kept": table, "since": SINCE_TABLE}
    read_rows(connection.connection, point.path / first.name, table, columns)
    execute(connection, CREATE_SINCE.format(**words))
    read_rows(connection.connection, point.path / second.name, SINCE_TABLE, columns)
    execute(connection, SUPERSEDE.format(same_key=equal(part.key, "kept", "since"), **words))
    execute(connection, TAKE_OVER.format(**words))
    execute(connection, WITHOUT_VALUE.format(column=Identifier(part.column), **words))


class RowsReturning(Returning):
    """Rows as they were, over what they are now or in their place where they are gone."""

    def __init__(self, connection: BaseDatabaseWrapper, point: RestorePoint, part: Part, number: int) -> None:
        super().__init__(connection, point, part, number)
        self.columns = self._own_columns
        # Columns of this table that return too.
        self.values: list[ColumnReturning] = []

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
            raise NotRestored(
                f"{self.part.table} is not as it was: {what} is not there. Undo what came since first, or restore it "
                "--into another database."
            )
        if not (self.part.key and key_of(self.connection, self.name)):
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
        self.columns = self._own_columns
        for value in self.values:
            self._take_in(value)
        always = {column for (column,) in rows(self.connection, ALWAYS, [str(self.name)])}
        # Keys too: 1.10 and 1.1 are the same one, and so are texts where their case does not count.
        changed = [column for column in self.columns if column not in always]
        words: dict[str, Composable] = {"table": self.own_rows, "kept": self.kept, "same_key": self.same_key}
        if changed:
            values = SQL(", ").join(SQL("{0} = kept.{0}").format(Identifier(column)) for column in changed)
            execute(self.connection, UPDATE.format(values=values, differs=self.differs, **words))
        columns, kept_columns = listed(self.columns), listed(self.columns, of="kept")
        insert = INSERT.format(target=self.name.sql, columns=columns, kept_columns=kept_columns, **words)
        execute(self.connection, insert)
        for column in self.part.key:
            if self.part.columns[column] in INTEGERS:
                words |= {"name": Literal(str(self.name)), "column": Literal(column), "identifier": Identifier(column)}
                execute(self.connection, ADVANCE.format(**words))

    def check(self) -> None:
        if wrong := self.number(COUNT_GONE) + self.number(COUNT, condition=self.differs):
            raise NotRestored(f"{wrong:,} rows of {self.part.table} are not what they were.")

    def _take_in(self, value: ColumnReturning) -> None:
        """A row that returns has the value that returns."""
        type_ = SQL(value.part.columns[value.part.column])
        execute(self.connection, ADD_COLUMN.format(table=self.kept, column=value.column, type=type_))
        same_key = equal(self.part.key, "kept", "value")
        execute(
            self.connection, TAKE_IN.format(kept=self.kept, value=value.kept, column=value.column, same_key=same_key)
        )
        self.columns.append(value.part.column)

    @property
    def _own_columns(self) -> list[str]:
        return [column for column in self.part.columns if column != AFTER]

    @property
    def differs(self) -> Composable:
        return DIFFERS.format(
            kept_columns=listed(self.columns, of="kept"), live_columns=listed(self.columns, of="live")
        )

    @property
    def _since(self) -> Composable:
        return SINCE.format(after=Identifier(AFTER), live_columns=listed(self._own_columns, of="live"))


class TableReturning(RowsReturning):
    """A table as it was: the whole of it where it is gone, else its rows."""

    def __init__(self, connection: BaseDatabaseWrapper, point: RestorePoint, part: Part, number: int) -> None:
        super().__init__(connection, point, part, number)
        self._attachments: list[Statements] = []

    def stage(self) -> None:
        if self.is_gone:
            return
        self.require_table()
        self.create(self.kept, self.part.columns)
        copy_rows(self.session, self._archive, self.kept)
        execute(self.connection, ANALYZE.format(kept=self.kept))

    def describe(self) -> Iterator[str]:
        if self.is_gone:
            yield f"{self.part.table} returns whole, with {self.part.rows:,} rows."
        else:
            yield from super().describe()

    def work(self) -> None:
        if not self.is_gone:
            super().work()
            return
        ensure_schema(self.connection, self.part.schema)
        self._attachments.clear()
        for block in blocks(self._archive):
            if isinstance(block, RowsOf):
                copy_in(self.session, block, SQL(block.table))
            elif block.text.strip() and block.type != FOREIGN_KEY:
                self._make(block)
        for block in self._attachments:
            self.session.execute(block.text)

    def _make(self, block: Statements) -> None:
        """A partition has its own indexes before its root would make others for it."""
        attaches = ATTACHES.search(block.text)
        if attaches and rows(self.connection, IS_OWN, [attaches[1].decode(), str(self.name)]) == [(True,)]:
            self._attachments.append(block)
        else:
            self.session.execute(block.text)

    def refer(self) -> Iterator[str]:
        for block in blocks(self._archive, "--section=post-data") if self.is_gone else ():
            if isinstance(block, Statements) and block.type == FOREIGN_KEY:
                yield from self._refer(SQL("{}").format(SQL(block.text.decode().strip().rstrip(";"))), self.part.table)

    def let_refer(self) -> Iterator[str]:
        for reference in self.part.references:
            table = Name(reference.schema, reference.table)
            if rows(self.connection, LACKS_CONSTRAINT, [str(table), str(table), reference.name]) == [(True,)]:
                definition = SQL(reference.definition)
                words = {"table": table.sql, "name": Identifier(reference.name), "definition": definition}
                yield from self._refer(ADD_REFERENCE.format(**words), reference.table)

    def _refer(self, add: Composed, table: str) -> Iterator[str]:
        """Rows that refer to what is gone are not deleted for that: their constraint holds for those to come."""
        try:
            with transaction.atomic(using=self.connection.alias), self.connection.wrap_database_errors:
                execute(self.connection, add)
        except IntegrityError as error:
            execute(self.connection, SQL("{} NOT VALID").format(add))
            yield f"A foreign key of {table} is NOT VALID until its rows are mended: {' '.join(str(error).split())}"

    def check(self) -> None:
        if not self.is_gone:
            super().check()
        elif (count := self.number(COUNT_ROWS)) != self.part.rows:
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
