"""What undoing migrations would take away: tables and columns, with the rows and values that are in them now."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    AlterModelTable,
    CreateModel,
    RenameField,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import StateApps
from django.db.models import Model

COUNT_WITHIN_SECONDS = 10
IS_THERE = "SELECT to_regclass(%s) IS NOT NULL"
ESTIMATE = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)"


@dataclass(frozen=True)
class Loss:
    """A table, or a column of one, that would go, with the rows that hold something there; None where it is not."""

    table: str
    column: str | None
    rows: int
    is_estimate: bool = False

    def __str__(self) -> str:
        rows = f"{'about ' if self.is_estimate else ''}{self.rows} row{'' if self.rows == 1 else 's'}"
        if self.column is None:
            return f"Drops the table {self.table} with {rows}."
        return f"Drops the column {self.table}.{self.column}, which has a value in {rows}."


class Losses:
    """Walks the migrations in the order of their undoing, so that what has been renamed since is found."""

    def __init__(self, connection: BaseDatabaseWrapper, loader: MigrationLoader) -> None:
        self.connection = connection
        self.loader = loader
        # The present names of what had another one when it was made; a table by its name, a column by both.
        self._present: dict[tuple[str, ...], str] = {}

    def of(self, migration: Migration) -> list[Loss]:
        state = self.loader.project_state((migration.app_label, migration.name), at_end=False)
        made: list[Loss] = []
        made_by_operation: list[tuple[Operation, StateApps, StateApps]] = []
        for operation in migration.operations:
            before = state.apps
            state = state.clone()
            operation.state_forwards(migration.app_label, state)
            made_by_operation.append((operation, before, state.apps))
        for operation, before, after in reversed(made_by_operation):
            made.extend(self._of_operation(operation, migration.app_label, before, after))
        return made

    def _of_operation(self, operation: Operation, app: str, before: StateApps, after: StateApps) -> Iterator[Loss]:
        match operation:
            case SeparateDatabaseAndState():
                for inner in reversed(operation.database_operations):
                    yield from self._of_operation(inner, app, before, after)
            case CreateModel():
                model = after.get_model(app, operation.name)
                if model._meta.can_migrate(self.connection):
                    yield from self._tables(model)
            case AddField():
                yield from self._field(after.get_model(app, operation.model_name), operation.name)
            case _:
                self._follow_renaming(operation, app, before, after)

    def _follow_renaming(self, operation: Operation, app: str, before: StateApps, after: StateApps) -> None:
        match operation:
            case RenameModel():
                self._rename(before.get_model(app, operation.old_name), after.get_model(app, operation.new_name))
            case AlterModelTable():
                self._rename(before.get_model(app, operation.name), after.get_model(app, operation.name))
            case RenameField():
                model = before.get_model(app, operation.model_name)
                old = _column(model, operation.old_name)
                new = _column(after.get_model(app, operation.model_name), operation.new_name)
                if old and new:
                    table = model._meta.db_table
                    self._present[table, old] = self._present.get((table, new), new)

    def _rename(self, old: type[Model], new: type[Model]) -> None:
        table = new._meta.db_table
        self._present[old._meta.db_table,] = self._present.get((table,), table)

    def _tables(self, model: type[Model]) -> Iterator[Loss]:
        """The model's own table, and those that Django makes for its many-to-many fields."""
        yield from self._count(model._meta.db_table, None)
        for field in model._meta.local_many_to_many:
            yield from self._field(model, field.name)

    def _field(self, model: type[Model], name: str) -> Iterator[Loss]:
        through = getattr(model._meta.get_field(name).remote_field, "through", None)
        if through is not None and through._meta.auto_created:
            yield from self._count(through._meta.db_table, None)
        elif (column := _column(model, name)) and model._meta.can_migrate(self.connection):
            yield from self._count(model._meta.db_table, column)

    def _count(self, table: str, column: str | None) -> Iterator[Loss]:
        column = self._present.get((table, column), column) if column else None
        table = self._present.get((table,), table)
        quote = self.connection.ops.quote_name
        if not self._one(IS_THERE, [quote(table)]):
            return
        count = f"SELECT count({quote(column) if column else '*'}) FROM {quote(table)}"  # noqa: S608  # quoted
        try:
            with transaction.atomic(using=self.connection.alias):
                with self.connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = '{COUNT_WITHIN_SECONDS}s'")
                rows, is_estimate = self._one(count, []), False
        except OperationalError:
            rows, is_estimate = self._one(ESTIMATE, [quote(table)]), True
        yield Loss(table, column, rows, is_estimate)

    def _one(self, query: str, parameters: list[str]) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return int(cursor.fetchone()[0])


def _column(model: type[Model], name: str) -> str | None:
    column: str | None = getattr(model._meta.get_field(name), "column", None)
    return column
