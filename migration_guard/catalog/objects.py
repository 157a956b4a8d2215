"""One schema of one database, as it was when it was read."""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.catalog.canonical import canonical
from migration_guard.catalog.queries import CATALOG

VERSION = "1"
# The name of an object within its schema: type, table (empty for what is of no table), name.
Key = tuple[str, str, str]


class CatalogObject(NamedTuple):
    """A table, column, constraint, index, sequence, trigger, function, view or type; `facts` are pieces of SQL."""

    type: str
    table: str
    name: str
    facts: tuple[str, ...]

    @property
    def key(self) -> Key:
        return self.type, self.table, self.name

    @property
    def definition(self) -> str:
        return " ".join(filter(None, self.facts))


class Table(NamedTuple):
    """The facts of a table; `parent` is a name, and `bound` the part of it that a partition holds."""

    partition_key: str
    parent: str
    bound: str


class Column(NamedTuple):
    """The facts of a column; a serial one is told as the identity that it amounts to."""

    type: str
    collation: str
    default: str
    generated: str
    identity: str
    not_null: str


@dataclass(frozen=True)
class Catalog:
    """The objects of the current schema, sorted; `version` is the server's major."""

    objects: tuple[CatalogObject, ...]
    version: int

    @cached_property
    def by_key(self) -> dict[Key, CatalogObject]:
        return {thing.key: thing for thing in self.objects}

    @cached_property
    def tables(self) -> dict[str, Table]:
        return {thing.name: Table(*thing.facts) for thing in self.objects if thing.type == "table"}

    @cached_property
    def relations(self) -> set[str]:
        """The names of tables and views."""
        return {thing.name for thing in self.objects if thing.type in {"table", "view"}}

    @cached_property
    def columns(self) -> dict[str, list[CatalogObject]]:
        """The columns of each table, by name."""
        found: dict[str, list[CatalogObject]] = {table: [] for table in self.tables}
        for thing in self.objects:
            if thing.type == "column":
                found[thing.table].append(thing)
        return found

    @cached_property
    def by_table(self) -> dict[str, list[CatalogObject]]:
        found: dict[str, list[CatalogObject]] = {}
        for thing in self.objects:
            found.setdefault(thing.table, []).append(thing)
        return found

    def fingerprint(self, tables: Collection[str] | None = None) -> str:
        """A hash of everything, or of these tables with what is on them: the version of the method, a colon, hex."""
        named = self.by_table if tables is None else self.by_table.keys() & set(tables)
        chosen = sorted(thing for table in named for thing in self.by_table[table])
        return f"{VERSION}:{hashlib.sha256(json.dumps(chosen).encode()).hexdigest()}"

    def without(self, tables: Collection[str]) -> "Catalog":
        return replace(self, objects=tuple(thing for thing in self.objects if thing.table not in tables))

    def level(self, table: str) -> int:
        """How many tables a partition is below; 0 for what is no partition."""
        parent = self.tables[table].parent if table in self.tables else ""
        return 1 + self.level(parent) if parent else 0


def read(connection: BaseDatabaseWrapper) -> Catalog:
    """Read the current schema, by one query that takes no lock on any table of it."""
    with connection.cursor() as cursor:
        cursor.execute(CATALOG)
        rows: Iterable[tuple[str, str, str, list[str]]] = cursor.fetchall()
        version = cursor.connection.info.server_version // 10_000
    return Catalog(tuple(sorted(_object(*row) for row in rows)), version)


def _object(type_: str, table: str, name: str, facts: list[str]) -> CatalogObject:
    # The body of a function is kept as it was written.
    kept = facts if type_ == "function" else map(canonical, facts)
    return CatalogObject(type_, table, name, tuple(kept))
