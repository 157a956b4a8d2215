"""A database that a test builds with operations of migrations, one state after the other, in the test's own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from pytest_django import DjangoDbBlocker

from tests.project import fresh_database

APP = "shop"


class Built:
    """A database and the state of the one app that its operations have led to."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.state = ProjectState()

    def apply(self, *operations: Operation) -> None:
        for operation in operations:
            after = self.state.clone()
            operation.state_forwards(APP, after)
            with self.connection.schema_editor() as editor:
                operation.database_forwards(APP, editor, self.state, after)
            self.state = after

    def model(self, name: str) -> Any:
        """The model as it is in the present state; rows go where this database is."""
        return self.state.apps.get_model(APP, name)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def key() -> tuple[str, "models.Field[Any, Any]"]:
    return "id", models.BigAutoField(primary_key=True)


@contextmanager
def built(blocker: DjangoDbBlocker) -> Iterator[Built]:
    """An empty database, in place of the default one until the end."""
    usual = connections["default"]
    with fresh_database() as variables, blocker.unblock():
        connection = usual.copy("default")
        connection.settings_dict["NAME"] = variables["POSTGRES_DB"]
        connections["default"] = connection
        try:
            yield Built(connection)
        finally:
            connection.close()
            connections["default"] = usual
