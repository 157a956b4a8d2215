"""Scratch databases: what applied migrations build, kept on the server under a name that tells what is in it."""

import hashlib
import io
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout
from functools import cached_property

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from migration_guard.applied import WHERE, Applied, CouldNotBuild, Say
from migration_guard.catalog import Catalog, read
from migration_guard.connections import execute, rows
from migration_guard.leading import everything_leads_to

KEPT = 3
PREFIX = "migration_guard_"
BUILDING = "building"
RETRY_EVERY_SECONDS = 0.2
# Of the live database, so that each has its own.
BUILD_KEY = int.from_bytes(b"migdrift", "big")
TRY_LOCK = f"SELECT pg_try_advisory_lock({BUILD_KEY})"
UNLOCK = f"SELECT pg_advisory_unlock({BUILD_KEY})"
# Newest first; `is_own` is whether this role may drop it.
DATABASES = "SELECT datname, pg_has_role(datdba, 'USAGE') AS is_own FROM pg_database ORDER BY oid DESC"
EXTENSIONS = "SELECT extname, nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
# The locale C goes with every encoding, and no schema depends on it.
CREATE = SQL("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
COMMENT = SQL("COMMENT ON DATABASE {name} IS {text}")
COMMENT_TEXT = "What the migrations applied in {live} build. Made and dropped by manage.py drift."
RENAME = SQL("ALTER DATABASE {name} RENAME TO {new_name}")
DROP = SQL("DROP DATABASE IF EXISTS {name}")
DROP_BUSY = SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
CREATE_SCHEMA = SQL("CREATE SCHEMA IF NOT EXISTS {schema}")
CREATE_EXTENSION = SQL("CREATE EXTENSION IF NOT EXISTS {name} SCHEMA {schema} CASCADE")


@contextmanager
def alone(live: BaseDatabaseWrapper, say: Say) -> Iterator[None]:
    """Let one process at a time build and drop scratch databases of this live database; the lock ends with it."""
    is_told = False
    while rows(live, TRY_LOCK) != [(True,)]:
        if not is_told:
            say("Waiting for another drift on this database to finish.")
            is_told = True
        time.sleep(RETRY_EVERY_SECONDS)
    try:
        yield
    finally:
        if live.is_usable():
            rows(live, UNLOCK)


class Scratches:
    """The databases of one live database that hold what migrations build; to be used while `alone`."""

    def __init__(self, live: BaseDatabaseWrapper) -> None:
        self.live = live

    @cached_property
    def prefix(self) -> str:
        ((database, *_),) = rows(self.live, WHERE)
        return _prefix(database)

    def catalog_of(self, applied: Applied, progress: Say) -> Catalog:
        """What the migrations build; only the first time they have to be run for it."""
        name = f"{self.prefix}{applied.fingerprint()}"
        databases = [database for database, _ in rows(self.live, DATABASES)]
        self._drop(f"{self.prefix}{BUILDING}")
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
        execute(self.live, RENAME.format(name=Identifier(unfinished), new_name=Identifier(name)))

    def _fill(
        self, name: str, applied: Applied, progress: Say, extensions: list[tuple[str, str]] | None = None
    ) -> None:
        self._drop(name)
        self._create(name, applied)
        try:
            with closing(_connection_to(name, applied)) as scratch, everything_leads_to(scratch, applied.live):
                _prepare(scratch, applied.schema, extensions or [])
                with redirect_stdout(io.StringIO()):
                    applied.apply_to(scratch, progress)
        except BaseException:
            self._drop(name)
            raise

    def _create(self, name: str, applied: Applied) -> None:
        try:
            execute(self.live, CREATE.format(name=Identifier(name)))
        except DatabaseError as error:
            if not isinstance(error.__cause__, errors.InsufficientPrivilege):
                raise
            raise CouldNotBuild(
                f"The role {applied.user} may not create databases, and drift builds what the migrations say in one "
                f"of its own. Nothing was changed. A superuser can allow it: ALTER ROLE "
                f"{Identifier(applied.user).as_string(None)} CREATEDB. Or name with --database an alias whose role may."
            ) from error
        text = COMMENT_TEXT.format(live=applied.database)
        execute(self.live, COMMENT.format(name=Identifier(name), text=Literal(text)))

    def _drop(self, name: str) -> None:
        """With those that are connected: the server process of a killed build may still be at work."""
        execute(self.live, DROP_BUSY.format(name=Identifier(name)))

    def _drop_old(self, current: str) -> None:
        """Keep the newest few of this live database, and none of a live database that is gone."""
        databases = rows(self.live, DATABASES)
        prefixes = {_prefix(name) for name, _ in databases}
        scratches = [name for name, is_own in databases if is_own and _is_scratch(name)]
        kept = [name for name in scratches if name.startswith(self.prefix) and name != current][: KEPT - 1]
        for name in scratches:
            is_orphan = name[: len(self.prefix)] not in prefixes
            if is_orphan or (name.startswith(self.prefix) and name not in {current, *kept}):
                _drop_unused(self.live, name)


def _connection_to(name: str, applied: Applied) -> BaseDatabaseWrapper:
    """A connection of its own to a scratch database, with the search_path of the live one."""
    scratch = applied.live.copy()
    scratch.settings_dict["NAME"] = name
    options = scratch.settings_dict["OPTIONS"]
    options.pop("pool", None)
    search_path = applied.search_path.replace("\\", "\\\\").replace(" ", "\\ ")
    given = f"-c search_path={search_path} -c statement_timeout=0 -c lock_timeout=0 -c synchronous_commit=off"
    options["options"] = f"{options.get('options', '')} {given}".strip()
    options["application_name"] = "migration_guard drift"
    return scratch


def _prepare(scratch: BaseDatabaseWrapper, schema: str, extensions: list[tuple[str, str]]) -> None:
    execute(scratch, CREATE_SCHEMA.format(schema=Identifier(schema)))
    for name, extension_schema in extensions:
        if not extension_schema.startswith("pg_"):
            execute(scratch, CREATE_SCHEMA.format(schema=Identifier(extension_schema)))
            execute(scratch, CREATE_EXTENSION.format(name=Identifier(name), schema=Identifier(extension_schema)))


def _prefix(database: str) -> str:
    return f"{PREFIX}{hashlib.sha256(database.encode()).hexdigest()[:12]}_"


def _is_scratch(name: str) -> bool:
    """Whether the name is one that this module gives."""
    return re.fullmatch(rf"{PREFIX}[0-9a-f]{{12}}_({BUILDING}|[0-9a-f]{{24}})", name) is not None


def _drop_unused(live: BaseDatabaseWrapper, name: str) -> None:
    """Leave one that somebody is looking at, or that another process has just dropped, to the next call."""
    try:
        execute(live, DROP.format(name=Identifier(name)))
    except DatabaseError as error:
        if not isinstance(error.__cause__, errors.ObjectInUse | errors.InvalidCatalogName):
            raise
