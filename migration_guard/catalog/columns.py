"""The statements that make a column as it is expected to be."""

from collections.abc import Iterator

from psycopg.sql import SQL, Composed, Identifier

from migration_guard.catalog.objects import CatalogObject, Column

ALTER = SQL("ALTER TABLE {table} {changes};")
CHANGE = SQL("ALTER COLUMN {column} {change}")
CHANGE_TYPE = SQL("ALTER COLUMN {column} TYPE {type} USING {column}::{bare_type}")
DROP_COLUMN = SQL("ALTER TABLE {table} DROP COLUMN {column};")
ADD_COLUMN = SQL("ALTER TABLE {table} ADD COLUMN {column} {definition};")
# A new identity counts from 1, whatever the table holds.
COUNT_ON = SQL(
    "SELECT setval(pg_get_serial_sequence({table_name}, {column_name}), coalesce(max({column}), 0) + 1, false) "
    "FROM {table};"
)
SET_EXPRESSION_SINCE = 17


def alter_column(found: CatalogObject, expected: CatalogObject, version: int) -> str:
    """The statements for the live server's major; where nothing else is possible the column is made anew."""
    old, new = Column(*found.facts), Column(*expected.facts)
    if old.generated != new.generated and new.generated:
        keeps_column = version >= SET_EXPRESSION_SINCE and old.generated.endswith("STORED")
        if not (keeps_column and new.generated.endswith("STORED")):
            return _made_anew(expected)
    changes = [CHANGE.format(column=Identifier(found.name), change=SQL(text)) for text in _before_type(old, new)]
    if (old.type, old.collation) != (new.type, new.collation):
        changes.append(_change_type(found.name, new))
    changes += [CHANGE.format(column=Identifier(found.name), change=SQL(text)) for text in _after_type(old, new)]
    statement = ALTER.format(table=Identifier(found.table), changes=SQL(", ").join(changes)).as_string(None)
    counts_anew = new.identity and not old.identity
    return f"{statement}\n{_count_on(found)}" if counts_anew else statement


def _before_type(old: Column, new: Column) -> Iterator[str]:
    if old.generated and not new.generated:
        yield "DROP EXPRESSION"
    if old.identity and not new.identity:
        yield "DROP IDENTITY IF EXISTS"
        # A serial column's default goes by another name.
        yield "DROP DEFAULT"
    elif old.default and old.default != new.default:
        yield "DROP DEFAULT"


def _after_type(old: Column, new: Column) -> Iterator[str]:
    if old.not_null != new.not_null:
        yield "SET NOT NULL" if new.not_null else "DROP NOT NULL"
    if new.default and old.default != new.default:
        yield f"SET {new.default}"
    if new.generated and old.generated != new.generated:
        yield f"SET EXPRESSION {new.generated.removeprefix('GENERATED ALWAYS ').removesuffix(' STORED')}"
    if new.identity and old.identity != new.identity:
        kind = new.identity.removesuffix(" AS IDENTITY")
        yield f"SET {kind}" if old.identity else f"ADD {new.identity}"


def _change_type(name: str, new: Column) -> Composed:
    return CHANGE_TYPE.format(
        column=Identifier(name), type=SQL(f"{new.type} {new.collation}".rstrip()), bare_type=SQL(new.type)
    )


def _made_anew(expected: CatalogObject) -> str:
    table, column = Identifier(expected.table), Identifier(expected.name)
    added = ADD_COLUMN.format(table=table, column=column, definition=SQL(expected.definition))
    return f"{DROP_COLUMN.format(table=table, column=column).as_string(None)}\n{added.as_string(None)}"


def _count_on(column: CatalogObject) -> str:
    return COUNT_ON.format(
        table=Identifier(column.table),
        column=Identifier(column.name),
        table_name=Identifier(column.table).as_string(None),
        column_name=column.name,
    ).as_string(None)
