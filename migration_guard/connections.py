"""The connection that migrates: one session of its own from the first statement to the last."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakSet

from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo
from psycopg.sql import Composed

from migration_guard.conf import GuardSettings

SERVER_PROCESS = "SELECT pg_backend_pid()"
ONLY_READS = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean"
# A proxy in transaction mode hands the server process that was used last to the next client, unless a third
# client is quicker.
OTHER_CLIENTS = 4
ANSWER_WITHIN_SECONDS = 2


_own_sessions: WeakSet[BaseDatabaseWrapper] = WeakSet()


class UnfitSession(Exception):
    """No schema can be changed in it."""


class ReadOnlySession(UnfitSession):
    """Nothing can be written in it."""


class TransactionPooling(UnfitSession):
    """Between two statements another client may get this session, with its locks and settings."""


def require_postgresql(connection: BaseDatabaseWrapper) -> None:
    """Raise CommandError for a database of another vendor, which Django migrates alone."""
    if connection.vendor != "postgresql":
        raise CommandError(
            f"The database {connection.alias} is {connection.display_name}: the guard knows PostgreSQL only.",
            returncode=2,
        )


@contextmanager
def own_session(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """The connection of that alias, put in place of a pooled one or one through a proxy until the end of the block.

    DIRECT_DATABASE stands in for the default database; whatever asks for the alias meanwhile gets the direct one.
    """
    usual = connections[alias]
    direct = GuardSettings.load().DIRECT_DATABASE if alias == DEFAULT_DB_ALIAS else None
    needs_own = direct or usual.settings_dict["OPTIONS"].get("pool")
    if usual in _own_sessions or usual.in_atomic_block or not needs_own:
        yield usual
        return
    own = connections[direct or alias].copy(alias)
    own.settings_dict["OPTIONS"].pop("pool", None)
    _own_sessions.add(own)
    connections[alias] = own
    try:
        yield own
    finally:
        own.close()
        connections[alias] = usual


def keep_as_own(connection: BaseDatabaseWrapper) -> None:
    """Let whatever asks for a session of its own take this one, wherever DIRECT_DATABASE leads."""
    _own_sessions.add(connection)


def another_session(connection: BaseDatabaseWrapper, purpose: str) -> BaseDatabaseWrapper:
    """A second connection to the same database as the same user, for any thread, named for its purpose."""
    session = connection.copy()
    session.settings_dict["OPTIONS"].pop("pool", None)
    session.settings_dict["OPTIONS"] |= {"application_name": f"migration_guard {purpose}", "connect_timeout": 5}
    session.inc_thread_sharing()
    return session


def conninfo_of(connection: BaseDatabaseWrapper, purpose: str) -> str:
    """Where it leads, in libpq's words, password included, for a program that knows no Django."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    parameters = connection.get_connection_params() | {"application_name": f"migration_guard {purpose}"}
    return make_conninfo("", **{key: value for key, value in parameters.items() if key in known})


def why_only_read(connection: BaseDatabaseWrapper) -> str | None:
    """What keeps sessions there from writing; None where nothing does."""
    ((is_standby, is_read_only),) = rows(connection, ONLY_READS)
    if is_standby:
        return "it is a standby, or still in recovery: nothing can be changed there"
    if is_read_only:
        return "default_transaction_read_only is on: it was set for the server, the database or role"
    return None


def refuse_read_only(connection: BaseDatabaseWrapper) -> None:
    """Raise ReadOnlySession where nothing can be written."""
    if why := why_only_read(connection):
        raise ReadOnlySession(
            f"Nothing was changed in the database {connection.settings_dict['NAME']}: {why}. Give a server that can be "
            "written to, or a role that may."
        )


def refuse_transaction_pooling(connection: BaseDatabaseWrapper) -> None:
    """Raise TransactionPooling where a second client gets this session's server process while this one is open."""
    process = _server_process(connection)
    if process == connection.connection.info.backend_pid:
        return
    if _server_process(connection) != process or _is_shared(connection, process):
        raise TransactionPooling(
            "The connection goes through a proxy that hands its server process to another client after each "
            "transaction (transaction pooling, as PgBouncer's pool_mode = transaction): a lock of the session would "
            "not be this process's own. Nothing was changed. Name an alias of DATABASES that leads to the server "
            "itself, or to a pool in session mode, in MIGRATION_GUARD['DIRECT_DATABASE']."
        )


def _is_shared(connection: BaseDatabaseWrapper, process: int) -> bool:
    """Each further client keeps its transaction open until the end, so that the next one gets another process."""
    with ExitStack() as clients:
        threads = ThreadPoolExecutor(OTHER_CLIENTS)
        clients.callback(threads.shutdown, wait=False)
        for _ in range(OTHER_CLIENTS):
            client = another_session(connection, "proxy check")
            clients.callback(client.close)
            answer = threads.submit(_server_process_in_transaction, client)
            try:
                if answer.result(timeout=ANSWER_WITHIN_SECONDS) == process:
                    return True
            except TimeoutError:
                # A pool in session mode whose processes are all given out lets the client wait.
                clients.callback(client.connection.cancel)
                return False
            except DatabaseError:
                return False
    return False


def _server_process_in_transaction(client: BaseDatabaseWrapper) -> int:
    client.set_autocommit(False)
    return _server_process(client)


def _server_process(connection: BaseDatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute(SERVER_PROCESS)
        return int(cursor.fetchone()[0])


def rows(connection: BaseDatabaseWrapper, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def major_of(connection: BaseDatabaseWrapper) -> int:
    """The server's major version."""
    return int(connection.pg_version // 10_000)  # type: ignore[attr-defined]  # of Django's wrapper for PostgreSQL


def execute(connection: BaseDatabaseWrapper, statement: str | Composed) -> None:
    """Names in a string come from the server's own quoting or are words of a migration.

    Django's cursors get text: an execute_wrapper of the project, as one that adds a comment, may know nothing else.
    """
    with connection.cursor() as cursor:
        cursor.execute(statement if isinstance(statement, str) else statement.as_string(connection.connection))
