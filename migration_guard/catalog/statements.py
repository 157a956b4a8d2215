"""Statements about one object, put together."""

from psycopg.sql import SQL, Composable, Identifier

from migration_guard.catalog.objects import CatalogObject

BY_HAND = "-- No statement makes {type} {name} of {found} into {expected}: it has to be made anew."


def about(statement: SQL, thing: CatalogObject, **others: Composable) -> str:
    """The statement with the object's `table`, `name` and `definition`, and with what else it takes."""
    values = {"table": Identifier(thing.table), "name": Identifier(thing.name), "definition": SQL(thing.definition)}
    return statement.format(**(values | others)).as_string(None)


def by_hand(found: CatalogObject, expected: CatalogObject) -> str:
    """A comment in the place of a statement that PostgreSQL does not have."""
    told = BY_HAND.format(
        type=found.type,
        name=found.name,
        found=found.definition or "a plain one",
        expected=expected.definition or "a plain one",
    )
    return " ".join(told.split())
