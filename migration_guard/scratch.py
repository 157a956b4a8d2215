"""Scratch databases: what applied migrations build, kept on the server under a name that tells what is in it."""

import io
import re
from contextlib import closing, redirect_stdout
from functools import cached_property

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors
from psycopg.sql import SQL, Identifier

from migration_guard.applied import WHERE, Applied, CouldNotBuild, Say
from migration_guard.catalog import Catalog, read
from migration_guard.connections import execute, rows
from migration_guard.databases import DATABASES, PREFIX, connection_to, create, drop, prefix_of, unhindered
from migration_guard.leading import everything_leads_to

KEPT = 3
BUILDING = "building"
EXTENSIONS = "SELECT extname, nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
COMMENT_TEXT = "What the migrations applied in {live} build. Made and dropped by manage.py drift."
RENAME = SQL("ALTER DATABASE {name} RENAME TO {new_name}")
DROP = SQL("DROP DATABASE IF EXISTS {name}")
CREATE_SCHEMA = SQL("CREATE SCHEMA IF NOT EXISTS {schema}")
CREATE_EXTENSION = SQL("CREATE EXTENSION IF NOT EXISTS {name} SCHEMA {schema} CASCADE")


class Scratches:
    """The databases of one live database that hold what migrations build; to be used while `alone`."""

    def __init__(self, live: BaseDatabaseWrapper) -> None:
        self.live = live

    @cached_property
    def prefix(self) -> str:
        ((database, *_),) = rows(self.live, WHERE)
        return prefix_of(database)

    def catalog_of(self, applied: Applied, progress: Say) -> Catalog:
        """What the migrations build; only the first time they have to be run for it."""
        name = f"{self.prefix}{applied.fingerprint()}"
        databases = [database for database, _ in rows(self.live, DATABASES)]
        drop(self.live, f"{self.prefix}{BUILDING}")
        if name not in databases:
            self._build(name, applied, progress)
        with closing(_connection_to(name, applied)) as scratch:
            catalog = read(scratch)
        self._drop_old(name)
        return catalog

    def _build(self, name: str, applied: Applied, progress: Say) -> None:
        """Under another name until it is whole, so that a killed build is never taken for one that is."""
        unfinished = f"{self.prefix}{BUILDING}"
        try:
            self._fill(unfinished, applied, progress)
        except CouldNotBuild as error:
            # What an administrator has installed need not be in any migration.
            if not isinstance(error.__cause__, DatabaseError):
                raise
            self._fill(unfinished, applied, progress, extensions=rows(self.live, EXTENSIONS))
        with unhindered(self.live):
            execute(self.live, RENAME.format(name=Identifier(unfinished), new_name=Identifier(name)))

    def _fill(
        self, name: str, applied: Applied, progress: Say, extensions: list[tuple[str, str]] | None = None
    ) -> None:
        drop(self.live, name)
        create(self.live, name, COMMENT_TEXT.format(live=applied.database))
        try:
            with closing(_connection_to(name, applied)) as scratch, everything_leads_to(scratch, applied.live):
                _prepare(scratch, applied.schema, extensions or [])
                with redirect_stdout(io.StringIO()):
                    applied.apply_to(scratch, progress)
        except BaseException:
            drop(self.live, name)
            raise

    def _drop_old(self, current: str) -> None:
        """Keep the newest few of this live database, and none of a live database that is gone."""
        databases = rows(self.live, DATABASES)
        prefixes = {prefix_of(name) for name, _ in databases}
        scratches = [name for name, is_own in databases if is_own and _is_scratch(name)]
        kept = [name for name in scratches if name.startswith(self.prefix) and name != current][: KEPT - 1]
        for name in scratches:
            is_orphan = name[: len(self.prefix)] not in prefixes
            if is_orphan or (name.startswith(self.prefix) and name not in {current, *kept}):
                _drop_unused(self.live, name)


def _connection_to(name: str, applied: Applied) -> BaseDatabaseWrapper:
    return connection_to(name, applied.live, applied.live.alias, search_path=applied.search_path, purpose="drift")


def _prepare(scratch: BaseDatabaseWrapper, schema: str, extensions: list[tuple[str, str]]) -> None:
    execute(scratch, CREATE_SCHEMA.format(schema=Identifier(schema)))
    for name, extension_schema in extensions:
        if not extension_schema.startswith("pg_"):
            execute(scratch, CREATE_SCHEMA.format(schema=Identifier(extension_schema)))
            execute(scratch, CREATE_EXTENSION.format(name=Identifier(name), schema=Identifier(extension_schema)))


def _is_scratch(name: str) -> bool:
    """Whether the name is one that this module gives."""
    return re.fullmatch(rf"{PREFIX}[0-9a-f]{{12}}_({BUILDING}|[0-9a-f]{{24}})", name) is not None


def _drop_unused(live: BaseDatabaseWrapper, name: str) -> None:
    """Leave one that somebody is looking at, or that another process has just dropped, to the next call."""
    try:
        with unhindered(live):
            execute(live, DROP.format(name=Identifier(name)))
    except DatabaseError as error:
        if not isinstance(error.__cause__, errors.ObjectInUse | errors.InvalidCatalogName):
            raise
