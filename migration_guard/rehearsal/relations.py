"""Tables and indexes of a database, and the names that a rehearsal has for them."""

import re
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import Composable, Identifier

# As it is; in quotes where it has a dot; behind its schema where it would not be found without, and then in quotes
# where one of the two needs some.
NAME = """
    CASE WHEN pg_table_is_visible(pg_class.oid) THEN '' ELSE relnamespace::regnamespace || '.' END
    || CASE WHEN strpos(relname, '.') > 0
        OR (NOT pg_table_is_visible(pg_class.oid) AND strpos(relnamespace::regnamespace || relname, '"') > 0)
    THEN quote_ident(relname) ELSE relname END
"""
# No catalog, no TOAST, nothing temporary.
IS_OF_USERS = "relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'"
RELATIONS = f"""
    SELECT pg_class.oid, {NAME}, relkind::text, relfilenode, coalesce(indrelid, pg_class.oid)
    FROM pg_class LEFT JOIN pg_index ON indexrelid = pg_class.oid
    WHERE relkind IN ('r', 'p', 'm', 'i', 'I') AND {IS_OF_USERS}
"""  # noqa: S608  # constants
TABLE_KINDS = {"r", "p", "m"}
QUALIFIED = re.compile(r"""("(?:[^"]|"")+"|[^."]+)\.("(?:[^"]|"")+"|[^."]+)""")


class Relation(NamedTuple):
    """A table or an index; `filenode` names the file that holds it, and another one means that it was written anew."""

    name: str
    kind: str
    filenode: int
    # Of an index, that of its table.
    table_oid: int


def relations(connection: BaseDatabaseWrapper) -> dict[int, Relation]:
    """The tables and indexes of the database, by oid."""
    with connection.wrap_database_errors, connection.cursor() as cursor:
        cursor.execute(RELATIONS)
        return {oid: Relation(*rest) for oid, *rest in cursor.fetchall()}


def identifier(name: str) -> Composable:
    """The table of that name, by which NAME tells it."""
    if "." not in name:
        return Identifier(name)
    qualified = QUALIFIED.fullmatch(name)
    return Identifier(*map(_unquoted, qualified.groups() if qualified else [name]))


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
