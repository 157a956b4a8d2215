"""What a transaction has destroyed, found by looking at the catalog and its own counters before and after."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.catalog.queries import LEFT_OUT
from migration_guard.connections import rows

# The counters are those of this transaction and of what the session has not sent to the statistics yet. A table that
# inherits from another one comes after it, as it does when both are made again.
TABLES = f"""
    SELECT pg_class.oid::bigint, nspname, relname, coalesce(pg_partition_root(pg_class.oid), pg_class.oid)::bigint,
        CASE WHEN relispartition THEN (SELECT inhparent FROM pg_inherits WHERE inhrelid = pg_class.oid)::bigint END,
        relfilenode::bigint, pg_stat_get_xact_tuples_inserted(pg_class.oid),
        pg_stat_get_xact_tuples_updated(pg_class.oid) + pg_stat_get_xact_tuples_deleted(pg_class.oid)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND pg_class.oid >= 16384 AND relpersistence <> 't' AND relname NOT IN {LEFT_OUT}
        AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
    ORDER BY EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid), pg_class.oid
"""  # noqa: S608  # a constant
COLUMNS = """
    SELECT attrelid::bigint, attnum, attname, format_type(atttypid, atttypmod)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relkind IN ('r', 'p') AND attrelid >= 16384 AND relpersistence <> 't'
        AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
# Of composite types. What is taken out of one is taken out of every value, and no row is written for that.
ATTRIBUTES = """
    SELECT reltype::bigint, attnum, attname, format_type(reltype, NULL)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relkind = 'c' AND attrelid >= 16384 AND attnum > 0 AND NOT attisdropped
"""
# The columns of a type, and of what is made of it: arrays, domains, other composite types.
MADE_OF = """
    WITH RECURSIVE made (type) AS (
        SELECT %s::oid
        UNION
        SELECT pg_type.oid FROM made JOIN pg_type ON typelem = type OR typbasetype = type OR EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = typrelid AND atttypid = type AND NOT attisdropped
        )
    )
    SELECT attrelid::bigint, attname FROM pg_attribute JOIN made ON atttypid = type WHERE NOT attisdropped
"""
COUNTS = "SHOW track_counts"
INTEGERS = ("smallint", "integer", "bigint", "numeric")
TEXTS = ("character varying", "text")


class Table(NamedTuple):
    """As it was called before; `parent` is the table that it is a partition of, `root` the last of these or itself."""

    oid: int
    schema: str
    name: str
    root: int
    parent: int | None
    file: int
    inserted: int
    changed: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """The same for as long as nothing is written into it."""
        return self.file, self.inserted, self.changed

    def __str__(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


class Column(NamedTuple):
    """A column by its number, which renaming does not change."""

    table: int
    number: int
    name: str
    type: str


class Attribute(NamedTuple):
    """An attribute of a composite type, by its number."""

    type: int
    number: int
    name: str
    type_name: str

    def __str__(self) -> str:
        return f"the attribute {self.name} of the type {self.type_name}"

    def columns(self, connection: BaseDatabaseWrapper) -> list[tuple[int, str]]:
        """Those that have it in their values: the table's number and the column's name."""
        return rows(connection, MADE_OF, [self.type])


@dataclass(frozen=True)
class Destroyed:
    """Of one table: the whole of it, or columns whose values are gone, and whether rows were changed or taken out.

    `is_shut` is whether the table is locked against readers by what destroyed it, as after TRUNCATE.
    """

    table: Table
    is_gone: bool = False
    columns: tuple[Column, ...] = ()
    has_changed_rows: bool = False
    is_shut: bool = False


@dataclass(frozen=True)
class Look:
    """The tables, columns and attributes that a session sees now, in its own transaction where it has one."""

    tables: dict[int, Table]
    columns: dict[tuple[int, int], Column]
    attributes: dict[tuple[int, int], Attribute] = field(default_factory=dict)
    # Whether the server counts what is written.
    is_counting: bool = True

    @classmethod
    def at(cls, connection: BaseDatabaseWrapper) -> Self:
        tables = (Table(*row) for row in rows(connection, TABLES))
        columns = (Column(*row) for row in rows(connection, COLUMNS))
        attributes = (Attribute(*row) for row in rows(connection, ATTRIBUTES))
        return cls(
            {table.oid: table for table in tables},
            {(column.table, column.number): column for column in columns},
            {(attribute.type, attribute.number): attribute for attribute in attributes},
            rows(connection, COUNTS) == [("on",)],
        )

    def destroyed_until(
        self, after: "Look", is_empty: Callable[[Table], bool], *, trusts_types: bool
    ) -> Iterator[Destroyed]:
        """What was there at this look and is not any more; a partition is told of only where its parent remains.

        A table in another file was truncated or written anew: with all of its rows as they were, where that is for a
        column that was added or has a wider type now, and `trusts_types` says that no USING has made other values.
        """
        lost_columns = self._lost_columns(after)
        trusted = {table for table, *_ in self._types() ^ after._types()} if trusts_types else set()
        for oid, table in self.tables.items():
            now = after.tables.get(oid)
            if now is None:
                if table.parent is None or table.parent in after.tables:
                    yield Destroyed(table, is_gone=True)
                continue
            root = self.tables.get(table.root, table)
            # Those of a partition are its root's.
            if table is root and oid in lost_columns:
                yield Destroyed(table, columns=tuple(lost_columns[oid]))
            if now.changed > table.changed:
                yield Destroyed(root, has_changed_rows=True)
            elif now.file != table.file and (now.inserted > table.inserted or oid not in trusted or is_empty(now)):
                yield Destroyed(root, has_changed_rows=True, is_shut=True)

    def attributes_lost_until(self, after: "Look") -> list[Attribute]:
        return [attribute for key, attribute in self.attributes.items() if key not in after.attributes]

    def written_until(self, after: "Look") -> set[int]:
        """The numbers of tables in which rows were written, and with a partition of its root; all where none counts."""
        if not (self.is_counting and after.is_counting):
            return {*after.tables}
        written = [
            now
            for oid, now in after.tables.items()
            if (then := self.tables.get(oid)) is None or now.counts != then.counts
        ]
        return {table.oid for table in written} | {table.root for table in written}

    def altered_until(self, after: "Look") -> set[int]:
        """Those that have columns which they had not, or have them no more."""
        return {table for table, *_ in self._types() ^ after._types()}

    def lost_until(self, after: "Look") -> set[int]:
        """Those of whose columns a value may be lost."""
        return {*self._lost_columns(after)}

    def _types(self) -> set[tuple[int, int, str]]:
        return {(column.table, column.number, column.type) for column in self.columns.values()}

    def _lost_columns(self, after: "Look") -> dict[int, list[Column]]:
        """By table, also of those that are gone."""
        lost = defaultdict[int, list[Column]](list)
        for key, column in self.columns.items():
            now = after.columns.get(key)
            if now is None or not keeps_values(column.type, now.type):
                lost[column.table].append(column)
        return lost


def keeps_values(old: str, new: str) -> bool:
    """Whether every value of the old type is the same in the new one; where that is not known, no."""
    old_name, old_size = _split(old)
    new_name, new_size = _split(new)
    if old == new:
        return True
    if old_name in TEXTS and new_name in TEXTS:
        return not new_size or (bool(old_size) and new_size >= old_size)
    if old_name in INTEGERS and new_name in INTEGERS:
        return _holds_number(old_name, old_size, new_name, new_size)
    return False


def _holds_number(old: str, old_size: tuple[int, ...], new: str, new_size: tuple[int, ...]) -> bool:
    if new != "numeric":
        return old != "numeric" and INTEGERS.index(new) >= INTEGERS.index(old)
    if not new_size:
        return True
    if old != "numeric" or not old_size:
        return False
    return new_size[1] >= old_size[1] and new_size[0] - new_size[1] >= old_size[0] - old_size[1]


def _split(type_: str) -> tuple[str, tuple[int, ...]]:
    """The name of a type and the numbers in its brackets, for the ones that are looked at here."""
    match = re.fullmatch(r"([^(]+)(?:\(([\d,]+)\))?", type_)
    if match is None:
        return type_, ()
    return match[1], tuple(map(int, match[2].split(","))) if match[2] else ()
