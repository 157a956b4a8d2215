"""What the tests of the book share."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, models
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.test import Client
from django.test.utils import setup_databases, teardown_databases
from django.urls import reverse
from psycopg import sql
from pytest_django import DjangoDbBlocker

from config.postgres import Address
from tests.project import CHECKOUT, DROP_DATABASE, Project, database_environment

CLONE_DATABASE = sql.SQL("CREATE DATABASE {database} TEMPLATE {template}")

Add = Callable[[type[models.Model], Mapping[str, Any]], str]
Connect = Callable[[str], psycopg.Connection]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Make the test database also where no test of the run asks for `db`, as pytest-django would: one is copied."""
    if str(connection.settings_dict["NAME"]).startswith(TEST_DATABASE_PREFIX):
        yield
        return
    with django_db_blocker.unblock():
        databases = setup_databases(verbosity=0, interactive=False, serialized_aliases=())
    yield
    with django_db_blocker.unblock():
        teardown_databases(databases, verbosity=0)


@pytest.fixture(params=["owner", "application"])
def session(request: pytest.FixtureRequest, application_connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Plain SQL on the test database, as the role that owns it and as the one that serves; rolled back at the end."""
    connection.ensure_connection()
    owner: psycopg.Connection = connection.connection
    session = owner if request.param == "owner" else application_connection
    # A savepoint on Django's connection, which is asked for deferred constraints when the test has ended.
    with session.transaction(force_rollback=True):
        yield session


@pytest.fixture
def add(operator_client: Client) -> Add:
    """Send the admin's form for a new row; returns the errors that it shows, nothing when the row is saved."""

    def add(model: type[models.Model], fields: Mapping[str, Any]) -> str:
        before = model._default_manager.count()
        response = operator_client.post(reverse(f"admin:trader_{model._meta.model_name}_add"), fields)
        if response.status_code == 302:
            return ""
        assert model._default_manager.count() == before
        shown = response.content.decode()
        errors = [error for found in response.context["errors"] for error in found]
        assert all(str(error) in shown for error in errors)
        return "\n".join(errors)

    return add


@pytest.fixture
def committed(application_role: str, django_db_blocker: DjangoDbBlocker) -> Iterator[Connect]:
    """A migrated, empty database of the test's own, to which Django's connection leads and where COMMIT is real.

    Gives further sessions of it, of the role "owner" or "application", which are closed at the end. For a test without
    `django_db`: the flush of a TransactionTestCase is a TRUNCATE, which the book's facts refuse.
    """
    sessions: list[psycopg.Connection] = []

    def connect(role: str) -> psycopg.Connection:
        there, who = connection.settings_dict, settings.POSTGRES_OWNER if role == "owner" else settings.POSTGRES_APP
        sessions.append(Address(there["HOST"], there["PORT"], who["USER"], who["PASSWORD"], there["NAME"]).connect())
        return sessions[-1]

    with django_db_blocker.unblock(), cloned_database():
        yield connect
        for session in sessions:
            session.close()


@contextmanager
def cloned_database() -> Iterator[None]:
    """Django's connection leads to a copy of the test database, which is dropped at the end."""
    template, database = connection.settings_dict["NAME"], f"committed_{uuid.uuid4().hex}"
    maintenance = Project(CHECKOUT, database_environment("postgres"))
    # A database that somebody is connected to cannot be copied.
    connection.close()
    with maintenance.connect() as session:
        session.execute(CLONE_DATABASE.format(database=sql.Identifier(database), template=sql.Identifier(template)))
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = template
        with maintenance.connect() as session:
            session.execute(DROP_DATABASE.format(database=sql.Identifier(database)))
