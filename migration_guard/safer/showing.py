"""What migrations that were just written would do: their review, and their SQL both ways."""

import importlib
from collections.abc import Iterator

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.loader import MigrationLoader

from migration_guard.review.choosing import ask
from migration_guard.review.offline import offline
from migration_guard.review.reports import as_text
from migration_guard.review.reviewing import review
from migration_guard.review.syntax import ParserMissing


def shown(migrations: list[Migration], connection: BaseDatabaseWrapper, *, asks: bool) -> Iterator[str]:
    """Lines for a terminal: the SQL, then the review. Without `asks` the database is left alone.

    Names that only it knows are Django's usual ones then.
    """
    importlib.invalidate_caches()
    loader = MigrationLoader(None)
    loader.connection = connection if asks else offline(connection)
    for migration in migrations:
        for backwards in (False, True):
            yield f"{migration.app_label}.{migration.name}, {'backwards' if backwards else 'forwards'}:"
            for line in _sql(loader, (migration.app_label, migration.name), backwards=backwards):
                yield f"    {line}"
    if connection.vendor == "postgresql":
        yield _review(loader, migrations, connection, asks=asks)


def _review(
    loader: MigrationLoader, migrations: list[Migration], connection: BaseDatabaseWrapper, *, asks: bool
) -> str:
    """The report; without the parser, what installs that: the files are written all the same."""
    database, _ = ask(connection) if asks else (None, "")
    keys = [(migration.app_label, migration.name) for migration in migrations]
    try:
        return as_text(review(loader, keys, connection, database))
    except ParserMissing as error:
        return str(error)


def _sql(loader: MigrationLoader, key: tuple[str, str], *, backwards: bool) -> list[str]:
    plan = [(loader.graph.nodes[key], backwards)]
    try:
        statements = loader.collect_sql(plan)
    except IrreversibleError:
        return ["-- cannot be undone"]
    except DatabaseError as error:
        # Some operations ask the catalog for what the migrations before them are still to make.
        return [f"-- known once the migrations before it are applied ({str(error).splitlines()[0]})"]
    lines = [line for statement in statements for line in statement.splitlines() if not line.startswith("--")]
    return lines or ["-- none, or what it finds in the database when it runs"]
