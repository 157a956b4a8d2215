"""What every test can ask for."""

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from config.roles import grant_application_role
from tests.factories import UserFactory
from tests.project import Project, copy_tree, fresh_database
from trader.models import User


@pytest.fixture(autouse=True)
def plain_static_files(settings: Settings) -> None:
    """No manifest of hashed names and no folder of collected files: both are the image's, made by collectstatic."""
    settings.WHITENOISE_AUTOREFRESH = True
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture
def operator(db: None) -> User:
    """A superuser."""
    return UserFactory.create(is_staff=True, is_superuser=True)


@pytest.fixture
def operator_client(client: Client, operator: User) -> Client:
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture(scope="session")
def application_role(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> str:
    """The role that gunicorn serves with, with its rights on the test database."""
    role = settings.POSTGRES_APP
    # Roles belong to the whole server, which the workers share: one at a time.
    with (Path(tempfile.gettempdir()) / "my-trader-tests-role.lock").open("w") as lock, django_db_blocker.unblock():
        fcntl.flock(lock, fcntl.LOCK_EX)
        grant_application_role(connection, name=role["USER"], password=role["PASSWORD"])
    return role["USER"]


@pytest.fixture
def application_connection(application_role: str, db: None) -> Iterator[psycopg.Connection]:
    """A session of the application's role in the test database, outside the test's own transaction; rolled back."""
    parameters = connection.settings_dict
    with psycopg.connect(
        host=parameters["HOST"],
        port=parameters["PORT"],
        dbname=parameters["NAME"],
        user=application_role,
        password=settings.POSTGRES_APP["PASSWORD"],
    ) as session:
        yield session
        session.rollback()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A copy of the tree with an empty database of its own."""
    with fresh_database() as variables:
        yield Project(copy_tree(tmp_path / "my-trader"), variables)
