"""Waiting for the database, and what it means when it does not answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

RETRY_EVERY_SECONDS = 0.2
REPORT_EVERY_SECONDS = 5.0


class DatabaseUnavailable(Exception):
    """The database did not answer a query in time, or answered that waiting is of no use."""


@dataclass(frozen=True)
class Diagnosis:
    """What a failed connection means: the cause, what mends it, and whether it may pass by itself."""

    sign: str
    cause: str
    remedy: str
    passes: bool = False


START_IT = "Start it: docker compose up db -d --wait, or uv run python manage.py db start"
ANOTHER_PORT = "Change POSTGRES_PORT or POSTGRES_SERVER, or stop the program that has the port."

WRONG_PASSWORD = Diagnosis(
    "password authentication failed",
    "the server refuses the password",
    "PostgreSQL keeps the password that it was created with; a change in .env does not reach it. Give the server "
    "the new one: uv run python manage.py db password",
)
NOTHING_LISTENS = Diagnosis("refused", "nothing listens there", START_IT, passes=True)
SAYS_NOTHING = Diagnosis(
    "timeout expired", "what listens there says nothing", f"{START_IT}. {ANOTHER_PORT}", passes=True
)
NO_DATABASE = Diagnosis(
    "does not exist", "the server has no such database or role", "Create it, or change POSTGRES_DB."
)
# The first whose sign is in libpq's message holds: a failed connection has no SQLSTATE.
DIAGNOSES = [
    WRONG_PASSWORD,
    Diagnosis("no password supplied", "the server asks for a password", "Set POSTGRES_PASSWORD."),
    Diagnosis("pg_hba.conf", "the server admits no such connection", "Allow it in the server's pg_hba.conf."),
    Diagnosis("not permitted to log in", "the role may not log in", "Allow it, as a superuser: ALTER ROLE ... LOGIN."),
    Diagnosis("certificate", "the server's certificate is not accepted", "PGSSLROOTCERT names the file of its issuer."),
    NO_DATABASE,
    Diagnosis("expected authentication request", "what listens there is no PostgreSQL server", ANOTHER_PORT),
    Diagnosis("invalid response to SSL negotiation", "what listens there is no PostgreSQL server", ANOTHER_PORT),
    Diagnosis("SSL was required", "the server does not speak TLS", "Set it up there, or change PGSSLMODE."),
    SAYS_NOTHING,
    NOTHING_LISTENS,
    Diagnosis(
        "resolve", "the host name is unknown", "Change POSTGRES_SERVER: localhost, or db in Compose.", passes=True
    ),
    *(
        Diagnosis(sign, "all connections of the server are taken", "End some, or raise max_connections.", passes=True)
        for sign in ("too many", "connection slots are reserved")
    ),
    *(
        Diagnosis(sign, "the server is starting", "Wait until it has recovered: its log tells.", passes=True)
        for sign in ("starting up", "not yet accepting connections", "in recovery mode")
    ),
    Diagnosis("shutting down", "the server is stopping", START_IT, passes=True),
]
UNKNOWN = Diagnosis("", "the connection failed", "The server's log may tell more.", passes=True)


def diagnose(error: Exception) -> Diagnosis:
    return next((diagnosis for diagnosis in DIAGNOSES if diagnosis.sign in str(error)), UNKNOWN)


def explain(error: Exception, address: str) -> str:
    """Which server was asked, why it did not answer, in libpq's words too, and what to do; no password is in it."""
    diagnosis = diagnose(error)
    said = " ".join(str(error).split())
    return f"PostgreSQL at {address}: {diagnosis.cause}.\n  It was said: {said}\n  {diagnosis.remedy}"


def address_of(connection: BaseDatabaseWrapper) -> str:
    return "{HOST}:{PORT} (database {NAME}, user {USER})".format_map(connection.settings_dict)


def wait_until_ready(*, timeout: float, say: Callable[[str], None], using: str = DEFAULT_DB_ALIAS) -> None:
    """Return once the database has answered a query, at the latest after `timeout` seconds.

    Says at the first failure and then every five seconds what it waits for, and why the last try failed. Raises
    DatabaseUnavailable when the time is over, or at once where waiting cannot help, such as for a wrong password.
    """
    connection = connections[using]
    deadline = time.monotonic() + timeout
    next_report = 0.0
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except OperationalError as error:
            connection.close()
            explanation = explain(error, address_of(connection))
            if not diagnose(error).passes:
                raise DatabaseUnavailable(explanation) from error
            if time.monotonic() >= deadline:
                raise DatabaseUnavailable(f"Gave up after {timeout:g} s. {explanation}") from error
            if time.monotonic() >= next_report:
                say(f"Waiting for the database. {explanation}")
                next_report = time.monotonic() + REPORT_EVERY_SECONDS
            time.sleep(RETRY_EVERY_SECONDS)
        else:
            return
