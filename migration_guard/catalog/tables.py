"""The statements that make a table, or a partition, as it is expected to be."""

from psycopg.sql import SQL, Identifier

from migration_guard.catalog.objects import Catalog, CatalogObject, Table
from migration_guard.catalog.statements import about, by_hand

CREATE_TABLE = SQL("CREATE TABLE {table} (\n    {columns}\n){partition_key};")
CREATE_PARTITION = SQL("CREATE TABLE {table} PARTITION OF {parent} {bound}{partition_key};")
DETACH = SQL("ALTER TABLE {parent} DETACH PARTITION {table};")
ATTACH = SQL("ALTER TABLE {parent} ATTACH PARTITION {table} {bound};")


def create_table(thing: CatalogObject, catalog: Catalog) -> str:
    """The table with its columns; its constraints and indexes are made by themselves."""
    table = Table(*thing.facts)
    partition_key = SQL(f" {table.partition_key}" if table.partition_key else "")
    if table.parent:
        parent, bound = Identifier(table.parent), SQL(table.bound)
        return about(CREATE_PARTITION, thing, parent=parent, bound=bound, partition_key=partition_key)
    columns = [Identifier(column.name) + SQL(f" {column.definition}") for column in catalog.columns[thing.name]]
    return about(CREATE_TABLE, thing, columns=SQL(",\n    ").join(columns), partition_key=partition_key)


def alter_table(found: CatalogObject, expected: CatalogObject) -> str:
    old, new = Table(*found.facts), Table(*expected.facts)
    if old.partition_key != new.partition_key:
        return by_hand(found, expected)
    statements = []
    if old.parent:
        statements.append(about(DETACH, found, parent=Identifier(old.parent)))
    if new.parent:
        statements.append(about(ATTACH, found, parent=Identifier(new.parent), bound=SQL(new.bound)))
    return "\n".join(statements)
