"""The statements that make a live schema as it is expected to be; each may be run by itself, outside a transaction."""

from psycopg.sql import SQL, Identifier

from migration_guard.catalog.columns import alter_column
from migration_guard.catalog.objects import Catalog, CatalogObject
from migration_guard.catalog.statements import about
from migration_guard.catalog.tables import alter_table, create_table
from migration_guard.catalog.types import alter_type, create_type

CREATES = {
    "column": SQL("ALTER TABLE {table} ADD COLUMN {name} {definition};"),
    "constraint": SQL("ALTER TABLE {table} ADD CONSTRAINT {name} {definition};"),
    "sequence": SQL("CREATE SEQUENCE {name} {definition};"),
}
DROPS = {
    "table": SQL("DROP TABLE {name};"),
    "column": SQL("ALTER TABLE {table} DROP COLUMN {name};"),
    "constraint": SQL("ALTER TABLE {table} DROP CONSTRAINT {name};"),
    "sequence": SQL("DROP SEQUENCE {name};"),
    "trigger": SQL("DROP TRIGGER {name} ON {table};"),
    "index": SQL("DROP INDEX {concurrently}{name};"),
    "view": SQL("DROP {kind} {name};"),
    "type": SQL("DROP {kind} {name};"),
    "function": SQL("DROP ROUTINE {signature};"),
}
DROPPED_AS = {"ENUM": "TYPE", "DOMAIN": "DOMAIN", "VIEW": "VIEW", "MATERIALIZED VIEW": "MATERIALIZED VIEW"}
RENAMES = {
    "constraint": SQL("ALTER TABLE {table} RENAME CONSTRAINT {name} TO {new_name};"),
    "index": SQL("ALTER INDEX {name} RENAME TO {new_name};"),
}
CREATE_VIEW = SQL("CREATE {kind} {name} {options} AS\n{query}")
ENABLE_TRIGGER = SQL("ALTER TABLE {table} {state} TRIGGER {name};")
# The body of a function in SQL may name a table that is made after it.
BODIES_UNCHECKED = "SET check_function_bodies = off;\n"
# What is mended in its place where its first fact is right and only its state is not.
STATE_ONLY = {
    "constraint": SQL("ALTER TABLE {table} VALIDATE CONSTRAINT {name};"),
    "index": SQL("REINDEX INDEX CONCURRENTLY {name};"),
}
ALTER_SEQUENCE = SQL("ALTER SEQUENCE {name} {definition};")


def create(thing: CatalogObject, catalog: Catalog) -> str:
    """The statements that make the object; a table comes with its columns, which the catalog has."""
    if thing.type in CREATES:
        return about(CREATES[thing.type], thing)
    if thing.type == "table":
        return create_table(thing, catalog)
    return _created_by_itself(thing)


def drop(thing: CatalogObject) -> str:
    """The statement that drops the object, with nothing but what is on it."""
    return about(
        DROPS[thing.type],
        thing,
        signature=SQL(thing.name),
        kind=SQL(DROPPED_AS.get(thing.facts[0], "")),
        concurrently=SQL("" if _is_of_partitions(thing.facts[0]) else "CONCURRENTLY "),
    )


def alter(found: CatalogObject, expected: CatalogObject, version: int) -> str:
    """The statements that make the found object the expected one; `version` is the major of the live server."""
    match found.type:
        case "table":
            return alter_table(found, expected)
        case "column":
            return alter_column(found, expected, version)
        case "type":
            return alter_type(found, expected)
        case "function":
            return _create_function(expected)
        case "sequence":
            return about(ALTER_SEQUENCE, expected)
        case _:
            return _mend_state(found, expected) or f"{drop(found)}\n{create(expected, Catalog((), version))}"


def same_but_name(one: CatalogObject, other: CatalogObject) -> bool:
    """Whether renaming makes the one the other; only constraints and indexes are compared so."""
    if one[:2] != other[:2] or one.type not in RENAMES:
        return False
    return one.facts[1:] == other.facts[1:] and _nameless(one) == _nameless(other)


def rename(thing: CatalogObject, new_name: str) -> str:
    return about(RENAMES[thing.type], thing, new_name=Identifier(new_name))


def _nameless(thing: CatalogObject) -> tuple[str, ...]:
    """The definition around the first ` ON `, before which that of an index names it."""
    before, _, after = thing.facts[0].partition(" ON ")
    return (before.partition(" INDEX ")[0], after) if thing.type == "index" else (before, after)


def _created_by_itself(thing: CatalogObject) -> str:
    match thing.type:
        case "index":
            return _create_index(thing.facts[0])
        case "trigger":
            enabling = f"\n{_enable(thing)}" if thing.facts[1] else ""
            return f"{thing.facts[0]};{enabling}"
        case "function":
            return _create_function(thing)
        case "view":
            kind, options, query = map(SQL, thing.facts)
            return about(CREATE_VIEW, thing, kind=kind, options=options, query=query)
        case _:
            return create_type(thing)


def _create_function(thing: CatalogObject) -> str:
    created = f"{thing.definition.rstrip()};"
    return f"{BODIES_UNCHECKED}{created}" if " LANGUAGE sql" in created else created


def _create_index(definition: str) -> str:
    if _is_of_partitions(definition):
        return f"{definition.replace(' ON ONLY ', ' ON ', 1)};"
    return f"{definition.replace(' INDEX ', ' INDEX CONCURRENTLY ', 1)};"


def _is_of_partitions(definition: str) -> bool:
    """PostgreSQL knows no CONCURRENTLY for the index of a partitioned table, which it makes and drops whole."""
    return " ON ONLY " in definition


def _mend_state(found: CatalogObject, expected: CatalogObject) -> str:
    """Empty where more than the state is wrong, or where no statement mends that alone."""
    if found.facts[0] != expected.facts[0]:
        return ""
    if found.type == "trigger":
        return _enable(expected)
    is_mendable = found.type in STATE_ONLY and not expected.facts[1] and not _is_of_partitions(found.facts[0])
    return about(STATE_ONLY[found.type], expected) if is_mendable else ""


def _enable(trigger: CatalogObject) -> str:
    return about(ENABLE_TRIGGER, trigger, state=SQL(trigger.facts[1] or "ENABLE"))
