"""What several operations do through a schema editor: compose statements, ask the catalog, build indexes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError, InterfaceError, NotSupportedError
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.backends.postgresql.psycopg_any import sql

from migration_guard.statements import ConcurrentStatement

IS_PARTITIONED = "SELECT FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'p'"
# In one transaction, the index is never there half built.
IF_NOT_EXISTS = (
    "CREATE INDEX IF NOT EXISTS %(name)s ON %(table)s%(using)s (%(columns)s)%(include)s%(extra)s%(condition)s"
)
HAS_CONSTRAINT = "SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"


def compose(template: str, **parts: str) -> str:
    """Fill in parts that are SQL already: names as the editor or the server quotes them."""
    # Parts of this kind are composed without a connection, by either psycopg.
    composed = sql.SQL(template).format(**{name: sql.SQL(part) for name, part in parts.items()})
    return str(composed.as_string(None))


def run(editor: BaseDatabaseSchemaEditor, template: str, **parts: str) -> None:
    """Run a statement, or collect it; the parts as in `compose`."""
    editor.execute(compose(template, **parts), params=None)


def rows(editor: BaseDatabaseSchemaEditor, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with editor.connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def one(editor: BaseDatabaseSchemaEditor, query: str, *parameters: Any) -> tuple[Any, ...] | None:
    found = rows(editor, query, *parameters)
    return found[0] if found else None


def is_partitioned(editor: BaseDatabaseSchemaEditor, table: str) -> bool:
    return bool(rows(editor, IS_PARTITIONED, editor.quote_name(table)))


def has_constraint(editor: BaseDatabaseSchemaEditor, table: str, name: str) -> bool:
    """Whether the table has a constraint of that name, which is not quoted. Collected SQL is that of a first try."""
    return not editor.collect_sql and bool(rows(editor, HAS_CONSTRAINT, editor.quote_name(table), name))


@contextmanager
def templates(editor: BaseDatabaseSchemaEditor, **changed: Any) -> Iterator[None]:
    """Let the editor compose its statements by other templates, within the block."""
    for name, template in changed.items():
        setattr(editor, name, template)
    try:
        yield
    finally:
        for name in changed:
            delattr(editor, name)


def require_no_transaction(editor: BaseDatabaseSchemaEditor, operation: object) -> None:
    if editor.connection.in_atomic_block:
        raise NotSupportedError(
            f"{type(operation).__name__} commits several times: set atomic = False on its migration."
        )


def build_index(editor: BaseDatabaseSchemaEditor, create: str) -> None:
    """Run a CREATE INDEX CONCURRENTLY, unless the index is there already.

    An INVALID one is dropped: that of an earlier try first, that of a try that fails at once. As long as it is there
    every write pays for it, and a unique one refuses rows.
    """
    statement = ConcurrentStatement.parse(create)
    if statement is None:
        raise ValueError(f"Not a CREATE INDEX CONCURRENTLY: {create}")
    if not editor.collect_sql and statement.is_done(editor.connection, began=True):
        return
    try:
        editor.execute(create, params=None)
    except DatabaseError:
        with suppress(DatabaseError, InterfaceError):
            statement.is_done(editor.connection, began=False)
        raise


def build_field_index(editor: BaseDatabaseSchemaEditor, statement: Statement, *, partitioned: bool) -> None:
    """Build an index that Django makes for a field: concurrently, where the table is not partitioned."""
    if partitioned:
        statement.template = IF_NOT_EXISTS
        editor.execute(statement, params=None)
    else:
        statement.template = editor.sql_create_index_concurrently  # type: ignore[attr-defined]
        build_index(editor, str(statement))
