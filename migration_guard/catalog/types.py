"""The statements that make an enum or a domain as it is expected to be."""

from collections.abc import Iterator

from psycopg.sql import SQL

from migration_guard.catalog.objects import CatalogObject
from migration_guard.catalog.statements import about, by_hand

CREATE_ENUM = SQL("CREATE TYPE {name} AS ENUM ({labels});")
ADD_LABEL = SQL("ALTER TYPE {name} ADD VALUE {label} {place};")
CREATE_DOMAIN = SQL("CREATE DOMAIN {name} {facts};")
ALTER_DOMAIN = SQL("ALTER DOMAIN {name} {change};")


def create_type(thing: CatalogObject) -> str:
    kind, *facts = thing.facts
    if kind == "ENUM":
        return about(CREATE_ENUM, thing, labels=SQL(", ".join(facts)))
    return about(CREATE_DOMAIN, thing, facts=SQL(" ".join(filter(None, facts))))


def alter_type(found: CatalogObject, expected: CatalogObject) -> str:
    if found.facts[0] == expected.facts[0] == "ENUM":
        return _add_labels(found.facts[1:], expected) or by_hand(found, expected)
    if found.facts[:2] == expected.facts[:2]:
        changes = _domain_changes(found.facts[2:], expected.facts[2:])
        return "\n".join(about(ALTER_DOMAIN, found, change=SQL(change)) for change in changes)
    return by_hand(found, expected)


def _add_labels(old: tuple[str, ...], expected: CatalogObject) -> str:
    """Empty where a label would have to be dropped, or to change its place."""
    labels = expected.facts[1:]
    if [label for label in labels if label in old] != list(old):
        return ""
    statements = []
    for number, label in enumerate(labels):
        if label not in old:
            place = f"AFTER {labels[number - 1]}" if number else f"BEFORE {old[0]}"
            statements.append(about(ADD_LABEL, expected, label=SQL(label), place=SQL(place)))
    return "\n".join(statements)


def _domain_changes(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[str]:
    """From the default, NOT NULL and constraints of a domain to others."""
    old_default, old_not_null, *old_constraints = old
    default, not_null, *constraints = new
    for text in old_constraints:
        if text not in constraints:
            yield f"DROP {text.partition(' CHECK ')[0]}"
    if default != old_default:
        yield f"SET {default}" if default else "DROP DEFAULT"
    if not_null != old_not_null:
        yield "SET NOT NULL" if not_null else "DROP NOT NULL"
    for text in constraints:
        if text not in old_constraints:
            yield f"ADD {text}"
