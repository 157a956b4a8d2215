"""What undoing migrations would take away: tables and columns, with the rows and values that are in them now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations import (
    AddField,
    AlterField,
    AlterModelTable,
    CreateModel,
    RenameField,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState, StateApps
from django.db.models import Model

COUNT_WITHIN_SECONDS = 10
IS_THERE = "SELECT to_regclass(%s) IS NOT NULL"
COLUMN_IS_THERE = """
    SELECT count(*) FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attname = (parse_ident(%s))[1] AND NOT attisdropped
"""
ESTIMATE = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)"
LOOKED_AT = (AddField, AlterField, AlterModelTable, CreateModel, RenameField, RenameModel)


@dataclass(frozen=True)
class Loss:
    """A table, or a column of one, that would go, with the number of rows that hold something there; None: unknown."""

    table: str
    column: str | None
    rows: int | None
    is_estimate: bool = False

    def __str__(self) -> str:
        if self.rows is None:
            return f"What {self.table} would lose could not be counted."
        rows = f"{'about ' if self.is_estimate else ''}{self.rows} row{'' if self.rows == 1 else 's'}"
        if self.column is None:
            return f"Drops the table {self.table}{f' with {rows}' if self.rows else ', which is empty'}."
        values = f"has a value in {rows}" if self.rows else "is empty"
        return f"Drops the column {self.table}.{self.column}, which {values}."


class Losses:
    """Walks the migrations in the order of their undoing, so that what has been renamed since is found."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        # The present names of what had another one when it was made; a table by its name, a column by both.
        self._present: dict[tuple[str, ...], str] = {}

    def of(self, app: str, operations: Sequence[Operation], state: ProjectState) -> Iterator[Loss]:
        """What undoing these operations of one migration takes away; `state` is the one before them."""
        for operation, before, after in reversed(_with_states(operations, app, state)):
            try:
                yield from list(self._of_operation(operation, app, before, after))
            except (DatabaseError, FieldDoesNotExist, LookupError, ValueError):
                # A state that cannot be rendered, or a table that is not as the migrations say.
                yield Loss(f"{app} ({operation.describe()})", None, None)

    def _of_operation(self, operation: Operation, app: str, old: ProjectState, new: ProjectState) -> Iterator[Loss]:
        if isinstance(operation, SeparateDatabaseAndState):
            for inner, inner_old, inner_new in reversed(_with_states(operation.database_operations, app, old)):
                yield from self._of_operation(inner, app, inner_old, inner_new)
            return
        if not isinstance(operation, LOOKED_AT):
            # The models of a state are made at its first use, and that takes long.
            return
        before, after = old.apps, new.apps
        match operation:
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
            case AlterField():
                model, altered = before.get_model(app, operation.model_name), after.get_model(app, operation.model_name)
                self._rename_column(model, _column(model, operation.name), _column(altered, operation.name))
            case RenameField():
                model = before.get_model(app, operation.model_name)
                old = _column(model, operation.old_name)
                new = _column(after.get_model(app, operation.model_name), operation.new_name)
                self._rename_column(model, old, new)
                renamed = after.get_model(app, operation.model_name)._meta.get_field(operation.new_name)
                self._rename_through(model._meta.get_field(operation.old_name), renamed)

    def _rename_column(self, model: type[Model], old: str | None, new: str | None) -> None:
        if old and new and old != new:
            table = model._meta.db_table
            self._present[table, old] = self._present.get((table, new), new)

    def _rename_through(self, old: Any, new: Any) -> None:
        if (through := getattr(old.remote_field, "through", None)) and through._meta.auto_created:
            self._rename(through, new.remote_field.through)

    def _rename(self, old: type[Model], new: type[Model]) -> None:
        """The table, the columns that are followed under its new name, and the tables of its many-to-many fields."""
        table, old_table = new._meta.db_table, old._meta.db_table
        if table != old_table:
            self._present[old_table,] = self._present.get((table,), table)
            for key, column in list(self._present.items()):
                if len(key) == 2 and key[0] == table:
                    self._present[old_table, key[1]] = column
        for field in old._meta.local_many_to_many:
            self._rename_through(field, new._meta.get_field(field.name))

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
        is_there = COLUMN_IS_THERE if column else IS_THERE
        if not self._one(is_there, [quote(table), quote(column)] if column else [quote(table)]):
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


def _with_states(
    operations: Sequence[Operation], app: str, state: ProjectState
) -> list[tuple[Operation, ProjectState, ProjectState]]:
    """Each operation with the state before and after it."""
    found = []
    for operation in operations:
        after = state.clone()
        operation.state_forwards(app, after)
        found.append((operation, state, after))
        state = after
    return found


def _column(model: type[Model], name: str) -> str | None:
    column: str | None = getattr(model._meta.get_field(name), "column", None)
    return column
