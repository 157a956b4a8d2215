"""How a live schema differs from the expected one."""

import re
from collections.abc import Iterable
from graphlib import TopologicalSorter
from typing import NamedTuple

from migration_guard.catalog.mending import alter, create, drop, rename, same_but_name
from migration_guard.catalog.objects import Catalog, CatalogObject

# What is dropped goes before what is made, and what another thing may still use until then goes last.
DROPPED_FIRST = ("trigger", "view", "foreign key", "constraint", "index", "column", "table")
MADE = ("type", "sequence", "function", "table", "column", "constraint", "foreign key", "view", "index", "trigger")
DROPPED_LAST = ("function", "sequence", "type")


class Difference(NamedTuple):
    """Something missing in the live schema, extra in it, or different; `ddl` makes it as expected.

    `type` is that of a CatalogObject; `table` is empty for what is of no table, `found` for what is missing, `expected`
    for what is extra, and `ddl` for what is mended by the statement of another difference.
    """

    kind: str
    type: str
    table: str
    name: str
    found: str
    expected: str
    ddl: str


def differences(live: Catalog, expected: Catalog) -> list[Difference]:
    """Everything that differs, in an order in which all the statements can be run, each by itself."""
    live = live.without(_views_made_anew(live, expected))
    missing = [thing for key, thing in expected.by_key.items() if key not in live.by_key]
    extra = [thing for key, thing in live.by_key.items() if key not in expected.by_key]
    renamed = dict(_renamed(missing, extra))
    found = [
        *(_extra(thing, renamed) for thing in extra if not _goes_with_table(thing, expected)),
        *(_different(live.by_key[key], thing, live) for key, thing in expected.by_key.items() if key in live.by_key),
        *(_missing(thing, expected, renamed) for thing in missing if not _comes_with_table(thing, live)),
    ]
    return _in_order([difference for difference in found if difference], live, expected)


def _views_made_anew(live: Catalog, expected: Catalog) -> set[str]:
    """Views that are dropped and made again, and lose their indexes and triggers by that."""
    views = {thing.name: thing.facts for thing in live.objects if thing.type == "view"}
    return {thing.name for thing in expected.objects if thing.type == "view" and views.get(thing.name) != thing.facts}


def _renamed(missing: list[CatalogObject], extra: list[CatalogObject]) -> Iterable[tuple[CatalogObject, CatalogObject]]:
    """Pairs of an extra and a missing object that are the same but for their name."""
    free = list(missing)
    for old in extra:
        new = next((thing for thing in free if same_but_name(old, thing)), None)
        if new:
            free.remove(new)
            yield old, new


def _missing(thing: CatalogObject, expected: Catalog, renamed: dict[CatalogObject, CatalogObject]) -> Difference:
    ddl = "" if thing in renamed.values() else create(thing, expected)
    return Difference("missing", *thing.key, "", thing.definition, ddl)


def _extra(thing: CatalogObject, renamed: dict[CatalogObject, CatalogObject]) -> Difference:
    ddl = rename(thing, renamed[thing].name) if thing in renamed else drop(thing)
    return Difference("extra", *thing.key, thing.definition, "", ddl)


def _different(found: CatalogObject, expected: CatalogObject, live: Catalog) -> Difference | None:
    if found.facts == expected.facts:
        return None
    ddl = alter(found, expected, live.version)
    return Difference("different", *found.key, found.definition, expected.definition, ddl)


def _goes_with_table(thing: CatalogObject, expected: Catalog) -> bool:
    """A foreign key is told by itself: it keeps the table that it refers to from being dropped."""
    is_on_table = thing.table and thing.type != "table"
    return bool(is_on_table and thing.table not in expected.relations and _kind(thing) != "foreign key")


def _comes_with_table(thing: CatalogObject, live: Catalog) -> bool:
    return thing.type == "column" and thing.table not in live.tables


def _kind(thing: CatalogObject) -> str:
    is_foreign_key = thing.type == "constraint" and thing.definition.startswith("FOREIGN KEY")
    return "foreign key" if is_foreign_key else thing.type


def _in_order(found: list[Difference], live: Catalog, expected: Catalog) -> list[Difference]:
    views = _views_in_order([*live.objects, *expected.objects])

    def place(difference: Difference) -> tuple[int, int, str, str]:
        catalog = live if difference.kind == "extra" else expected
        kind = _kind(catalog.by_key[difference[1:4]])
        level = views.get(difference.name, 0) if kind == "view" else catalog.level(difference.table)
        if difference.kind != "extra":
            return len(DROPPED_FIRST) + MADE.index(kind), level, difference.table, difference.name
        phase = DROPPED_FIRST.index(kind) if kind in DROPPED_FIRST else 100 + DROPPED_LAST.index(kind)
        return phase, -level, difference.table, difference.name

    return sorted(found, key=place)


def _views_in_order(objects: Iterable[CatalogObject]) -> dict[str, int]:
    """The place of each view behind those that its definition names."""
    views = {thing.name: thing.definition for thing in objects if thing.type == "view"}
    graph = {
        name: [other for other in views if other != name and re.search(rf"\b{re.escape(other)}\b", definition)]
        for name, definition in views.items()
    }
    return {name: place for place, name in enumerate(TopologicalSorter(graph).static_order())}
