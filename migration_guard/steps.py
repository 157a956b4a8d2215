"""A non-atomic migration, taken apart into steps that can each be done once."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.operations.base import InSteps
from migration_guard.operations.once import RunSQLOnce
from migration_guard.patience import sqlstate_of
from migration_guard.statements import ConcurrentStatement

ACTIVE_SQL_TRANSACTION = "25001"


@dataclass(frozen=True)
class Step:
    """One operation, or one statement of a RunSQL, in one direction."""

    operation: Operation
    app_label: str
    before: ProjectState
    after: ProjectState
    backwards: bool

    def __str__(self) -> str:
        return f"{'Undoing: ' if self.backwards else ''}{self.operation.describe()} ({self.app_label})"

    def run(self, editor: BaseDatabaseSchemaEditor) -> None:
        act = self.operation.database_backwards if self.backwards else self.operation.database_forwards
        act(self.app_label, editor, self.before, self.after)

    @property
    def may_be_transactional(self) -> bool:
        """Whether to try it in one transaction with its record.

        RunPython says so itself; an operation of another package may commit batches, so it runs as Django runs it, and
        one of this package that does so says it by its class.
        """
        operation = self.operation
        if isinstance(operation, RunPython) or not _is_of_django(operation):
            return bool(operation.atomic)
        return not isinstance(operation, NotInTransactionMixin | RunSQLOnce)

    @property
    def is_code(self) -> bool:
        """Whether nobody but its author knows what it does to which rows."""
        return isinstance(self.operation, RunPython | RunSQLOnce) or not _is_of_django(self.operation)

    def tables_of_app(self) -> list[str]:
        models = self.before.apps.get_models()
        return [model._meta.db_table for model in models if model._meta.app_label == self.app_label]

    @property
    def is_one_statement(self) -> bool:
        """Whether nothing of it can be there once it has failed and what it left is cleared away."""
        return _is_of_django(self.operation) and not isinstance(self.operation, RunPython | InSteps)

    def is_done(self, connection: BaseDatabaseWrapper, *, began: bool) -> bool:
        """Ask the database whether the step's work is there; clears away what a broken try has left."""
        if isinstance(self.operation, RunSQLOnce):
            with connection.cursor() as cursor:
                cursor.execute(self.operation.done)
                return bool(cursor.fetchone()[0]) is not self.backwards
        statement = self.concurrent_statement(connection)
        return statement is not None and statement.is_done(connection, began=began)

    def concurrent_statement(self, connection: BaseDatabaseWrapper) -> ConcurrentStatement | None:
        """The step's one statement with CONCURRENTLY, if that is what it is."""
        is_collected = self.is_one_statement and self.operation.reduces_to_sql
        if not is_collected:
            return None
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            self.run(editor)
        return ConcurrentStatement.parse("\n".join(editor.collected_sql))


def refuses_transactions(error: Exception) -> bool:
    """Whether the operation, or the server, said that it cannot run inside a transaction."""
    return isinstance(error, NotSupportedError) or sqlstate_of(error) == ACTIVE_SQL_TRANSACTION


def steps_forwards(operation: Operation, app_label: str, before: ProjectState, after: ProjectState) -> Iterator[Step]:
    if type(operation) is SeparateDatabaseAndState:
        for inner in operation.database_operations:
            state = before.clone()
            inner.state_forwards(app_label, state)
            yield from steps_forwards(inner, app_label, before, state)
            before = state
    else:
        for part in _statements(operation, backwards=False):
            yield Step(part, app_label, before, after, backwards=False)


def steps_backwards(operation: Operation, app_label: str, before: ProjectState, after: ProjectState) -> Iterator[Step]:
    """`before` is the state with the operation, `after` the one without it."""
    if type(operation) is SeparateDatabaseAndState:
        states = [after]
        for inner in operation.database_operations:
            states.append(states[-1].clone())
            inner.state_forwards(app_label, states[-1])
        for index, inner in reversed(list(enumerate(operation.database_operations))):
            yield from steps_backwards(inner, app_label, states[index + 1], states[index])
    else:
        for part in _statements(operation, backwards=True):
            yield Step(part, app_label, before, after, backwards=True)


def _statements(operation: Operation, *, backwards: bool) -> list[Operation]:
    """A RunSQL with a list of statements as one RunSQL for each: each commits by itself, as in Django."""
    if type(operation) is not RunSQL:
        return [operation]
    sql = operation.reverse_sql if backwards else operation.sql
    if not isinstance(sql, list | tuple):
        return [operation]
    return [RunSQL([statement], [statement], hints=operation.hints) for statement in sql]


def _is_of_django(operation: Operation) -> bool:
    """Whether Django defines what the operation does to the database, or this package."""
    module = type(operation).database_forwards.__module__
    return module.startswith(("django.db.migrations.", "django.contrib.", "migration_guard."))
