"""Databases that the guard makes beside a live one and drops again: scratch databases, and copies to rehearse on."""

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_guard.applied import Say
from migration_guard.connections import execute, rows

PREFIX = "migration_guard_"
AT_WORK = "-c statement_timeout=0 -c lock_timeout=0 -c synchronous_commit=off -c default_transaction_read_only=off"
RETRY_EVERY_SECONDS = 0.2
# Newest first; `is_own` is whether this role may drop it.
DATABASES = "SELECT datname, pg_has_role(datdba, 'USAGE') AS is_own FROM pg_database ORDER BY oid DESC"
TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"
UNLOCK = "SELECT pg_advisory_unlock(%s)"
IS_HELD_ELSEWHERE = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid <> pg_backend_pid()
            AND (classid::bigint << 32) | objid::bigint = %s
    )
"""
WHO = "SELECT current_user"
CREATE = SQL("CREATE DATABASE {name} TEMPLATE template0 {locale}")
# Of the database, for all roles. The guard's connections have limits of their own, what is copied has to be written,
# and what lists names is the connection's (search_path) or the server's.
SETTINGS = """
    SELECT split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
    FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase CROSS JOIN unnest(setconfig) setting
    WHERE datname = current_database() AND setrole = 0 AND split_part(setting, '=', 1)
        !~ '(_timeout|_libraries|^search_path|^temp_tablespaces|^default_transaction_read_only)$'
"""
SET = SQL("ALTER DATABASE {name} SET {setting} TO {value}")
# What suits requests of the web, and stands in the way of work on databases.
USUAL = """
    SELECT pg_is_in_recovery(), current_setting('statement_timeout'), current_setting('default_transaction_read_only')
"""
SET_USUAL = "SELECT set_config('statement_timeout', %s, false), set_config('default_transaction_read_only', %s, false)"
COMMENT = SQL("COMMENT ON DATABASE {name} IS {text}")
DROP_BUSY = SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
# It goes with every encoding, and no schema depends on it.
LOCALE_C = SQL("ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")


class MayNotCreate(CommandError):
    """The role has no right to make a database."""

    def __init__(self, user: str) -> None:
        super().__init__(
            f"The role {user} may not create databases, and this needs one of its own beside the live one. Nothing was "
            f"changed. A superuser can allow it: ALTER ROLE {Identifier(user).as_string(None)} CREATEDB. Or name with "
            "--database an alias whose role may.",
            returncode=2,
        )


class OnStandby(CommandError):
    """The server replays another one's log, and nothing else can be written on it."""

    def __init__(self, alias: str) -> None:
        super().__init__(
            f"The server of the alias {alias} is a standby: no database can be made there, and this needs one. Nothing "
            "was changed. Name with --database an alias of another server, as of its primary.",
            returncode=2,
        )


@contextmanager
def alone(server: BaseDatabaseWrapper, what: str, say: Say, *, of: str = "") -> Iterator[None]:
    """Let one process at a time do `what`, one word, with databases of this one; the lock ends with the process.

    `of` names a live database whose copies may be held from another database of the server: the lock counts in all.
    """
    key = int.from_bytes(hashlib.sha256(f"migration_guard {what} {of}".strip().encode()).digest()[:8], signed=True)
    is_told = False
    while not _take(server, key, is_of_server=bool(of)):
        if not is_told:
            say(f"Waiting for another {what} on this database to finish.")
            is_told = True
        time.sleep(RETRY_EVERY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
    try:
        yield
    finally:
        if server.is_usable():
            rows(server, UNLOCK, [key])


def _take(server: BaseDatabaseWrapper, key: int, *, is_of_server: bool) -> bool:
    """Take the lock, unless it is held in this database or, as each has locks of its own, in another one."""
    if rows(server, TRY_LOCK, [key]) != [(True,)]:
        return False
    if not is_of_server or rows(server, IS_HELD_ELSEWHERE, [key]) == [(False,)]:
        return True
    rows(server, UNLOCK, [key])
    return False


def create(server: BaseDatabaseWrapper, name: str, text: str, locale: Composable = LOCALE_C) -> None:
    """Make an empty database; `text` says to who finds it what it is. Raises MayNotCreate."""
    try:
        with unhindered(server):
            execute(server, CREATE.format(name=Identifier(name), locale=locale))
            execute(server, COMMENT.format(name=Identifier(name), text=Literal(text)))
    except DatabaseError as error:
        if not isinstance(error.__cause__, errors.InsufficientPrivilege):
            raise
        raise MayNotCreate(rows(server, WHO)[0][0]) from error


def drop(server: BaseDatabaseWrapper, name: str) -> None:
    """With those that are connected: the server process of a killed run may still be at work."""
    if not server.is_usable():
        server.close()
    with unhindered(server):
        execute(server, DROP_BUSY.format(name=Identifier(name)))


@contextmanager
def unhindered(server: BaseDatabaseWrapper) -> Iterator[None]:
    """To drop a database waits for a checkpoint, and a session that only reads may make none. Raises OnStandby."""
    ((is_standby, limit, read_only),) = rows(server, USUAL)
    if is_standby:
        raise OnStandby(server.alias)
    rows(server, SET_USUAL, ["0", "off"])
    try:
        yield
    finally:
        if server.is_usable():
            rows(server, SET_USUAL, [limit, read_only])


def take_settings(live: BaseDatabaseWrapper, server: BaseDatabaseWrapper, name: str) -> list[str]:
    """Give the database of that name what ALTER DATABASE has set for the live one; a note for each that it cannot."""
    notes = []
    for setting, value in rows(live, SETTINGS):
        words = Identifier(*setting.split("."))
        try:
            with unhindered(server):
                execute(server, SET.format(name=Identifier(name), setting=words, value=Literal(value)))
        except DatabaseError as error:
            notes.append(f"The copy is without the database's setting {setting}: {error}")
    return notes


def connection_to(
    name: str, server: BaseDatabaseWrapper, alias: str, *, search_path: str, purpose: str
) -> BaseDatabaseWrapper:
    """A connection of its own to a database on the server, to stand in for the alias, with the live search_path."""
    connection = server.copy(alias)
    connection.settings_dict["NAME"] = name
    options = connection.settings_dict["OPTIONS"]
    options.pop("pool", None)
    escaped = search_path.replace("\\", "\\\\").replace(" ", "\\ ")
    given = f"{options.get('options', '')} -c search_path={escaped} {AT_WORK}"
    options["options"] = given.strip()
    options["application_name"] = f"migration_guard {purpose}"
    return connection


def prefix_of(database: str) -> str:
    """How the names begin of the databases that are made for this one."""
    return f"{PREFIX}{hashlib.sha256(database.encode()).hexdigest()[:12]}_"
