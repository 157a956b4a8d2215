import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

pytestmark = pytest.mark.django_db

FORGET_LAST = """
    DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations) RETURNING id, app, name, applied
"""
RECORD = "INSERT INTO django_migrations (id, app, name, applied) VALUES (%s, %s, %s, %s)"
RECORD_UNKNOWN = "INSERT INTO django_migrations (app, name, applied) VALUES ('trader', '9999_of_a_newer_one', now())"
FORGET_UNKNOWN = "DELETE FROM django_migrations WHERE name = '9999_of_a_newer_one'"

SILENT = {"status": "unavailable", "reason": "the database does not answer"}
OUTDATED = {"status": "unavailable", "reason": "the schema is older than this process needs"}


@pytest.fixture
def another_session() -> Iterator[psycopg.Connection]:
    """A session of the owner beside the test's transaction: the probe sees what it commits."""
    parameters = connection.settings_dict
    with psycopg.connect(
        host=parameters["HOST"],
        port=parameters["PORT"],
        dbname=parameters["NAME"],
        user=parameters["USER"],
        password=parameters["PASSWORD"],
        autocommit=True,
    ) as session:
        yield session


@pytest.fixture
def forgotten_migration(another_session: psycopg.Connection) -> Iterator[str]:
    """A migration that the files have and the database does not know."""
    row = another_session.execute(FORGET_LAST).fetchone()
    assert row is not None
    yield f"{row[1]}.{row[2]}"
    another_session.execute(RECORD, row)


@pytest.fixture
def unknown_migration(another_session: psycopg.Connection) -> Iterator[None]:
    """A migration that the database knows and the files do not have."""
    another_session.execute(RECORD_UNKNOWN)
    yield
    another_session.execute(FORGET_UNKNOWN)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What the connections that are opened during the test execute."""
    executed: list[str] = []

    def note(execute: Callable[..., Any], statement: str, *arguments: Any) -> Any:
        executed.append(statement)
        return execute(statement, *arguments)

    def watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
        connection.execute_wrappers.append(note)

    connection_created.connect(watch)
    yield executed
    connection_created.disconnect(watch)


def test_livez_asks_no_database(
    client: Client, statements: list[str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = client.get("/livez")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert statements == []


def test_readyz_asks_the_database_one_query(client: Client, statements: list[str]) -> None:
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (200, {"status": "ready"})
    assert len(statements) == 1


def test_a_missing_migration_is_unready_and_named_in_the_log_alone(
    client: Client, forgotten_migration: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (503, OUTDATED)
    [record] = caplog.records
    assert forgotten_migration in record.getMessage()


def test_a_migration_that_only_the_database_knows_is_no_obstacle(client: Client, unknown_migration: None) -> None:
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (200, {"status": "ready"})


def test_a_database_that_hangs_is_unready_within_two_seconds_until_it_answers(
    client: Client, another_session: psycopg.Connection
) -> None:
    client.get("/livez")

    with another_session.transaction():
        another_session.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")
        start = time.monotonic()
        response = client.get("/readyz")
        took = time.monotonic() - start

    assert (response.status_code, response.json()) == (503, SILENT)
    assert took < 3
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_an_orchestrator_needs_neither_host_name_nor_https_nor_login(settings: Settings, path: str) -> None:
    settings.ALLOWED_HOSTS = ["trader.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    client = Client(headers={"host": "10.0.0.7:8000"})

    response = client.get(path)

    assert response.status_code == 200
    assert response.cookies == {}
    assert client.get("/admin/", headers={"host": "trader.example.com"}).status_code == 301
