"""What the tests of the book share."""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest
from django.db import connection, models
from django.test import Client
from django.urls import reverse

Add = Callable[[type[models.Model], Mapping[str, Any]], str]


@pytest.fixture(params=["owner", "application"])
def session(request: pytest.FixtureRequest, application_connection: psycopg.Connection) -> psycopg.Connection:
    """Plain SQL on the test database, as the role that owns it and as the one that serves; rolled back at the end."""
    connection.ensure_connection()
    owner: psycopg.Connection = connection.connection
    return owner if request.param == "owner" else application_connection


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
