"""Indexes of fields and unique constraints on a table in use, with the names of Django's plain form."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.migrations.operations import AddConstraint, AlterField
from django.db.migrations.state import ProjectState
from django.db.models import Model, UniqueConstraint

from migration_guard.operations.base import InSteps
from migration_guard.operations.columns import field_of
from migration_guard.operations.editing import (
    build_field_index,
    build_index,
    has_constraint,
    require_no_transaction,
    run,
    templates,
)

# Django's templates, each in two statements: the index first, then the constraint that takes it over.
UNIQUE_INDEX = (
    "CREATE UNIQUE INDEX CONCURRENTLY %(name)s ON %(table)s (%(columns)s)%(include)s%(nulls_distinct)s%(condition)s"
)
USING_INDEX = "ALTER TABLE %(table)s ADD CONSTRAINT %(name)s UNIQUE USING INDEX %(name)s%(deferrable)s"
DROP_CONSTRAINT = "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS {name}"


class AddUniqueConstraintConcurrently(InSteps, AddConstraint):
    """AddConstraint for a UniqueConstraint whose index is built while rows are read and written.

    What Django makes a constraint, as opposed to a unique index, takes that index over.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            build_unique(schema_editor, model, self.constraint)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            drop_unique(schema_editor, model, self.constraint.name)

    def describe(self) -> str:
        return f"Concurrently create unique constraint {self.constraint.name} on model {self.model_name}"


class AlterFieldConcurrently(InSteps, AlterField):
    """AlterField that only changes `db_index` or `unique`; the index is built, or dropped, concurrently.

    `unique_name`: what the unique constraint is called where that is not Django's name for it.
    """

    atomic = False

    def __init__(
        self,
        model_name: str,
        name: str,
        field: Any,
        preserve_default: bool = True,  # noqa: FBT001, FBT002  # Django's
        unique_name: str | None = None,
    ) -> None:
        super().__init__(model_name, name, field, preserve_default)
        self.unique_name = unique_name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, arguments, keywords = super().deconstruct()
        return name, list(arguments), keywords | ({"unique_name": self.unique_name} if self.unique_name else {})

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        old = field_of(from_state.apps.get_model(app_label, self.model_name), self.name)
        indexes = FieldIndexes(schema_editor, model, field_of(model, self.name), self.unique_name)
        indexes.build()
        indexes.drop_those_of(old)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self.database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"Concurrently alter the index of field {self.name} on {self.model_name}"


class FieldIndexes:
    """What a field's `db_index` and `unique` stand for in the database."""

    def __init__(
        self, editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any, unique_name: str | None
    ) -> None:
        self.editor: Any = editor
        self.model = model
        self.field = field
        self.unique_name = unique_name

    def build(self) -> None:
        if self.field.unique:
            build_unique(self.editor, self.model, UniqueConstraint(fields=[self.field.name], name=self._name_of_unique))
        for statement in self._statements():
            build_field_index(self.editor, statement, partitioned=False)

    def drop_those_of(self, old: Any) -> None:
        """Drop what the field has no more. Asks the catalog for names: a renamed table's indexes keep theirs."""
        wanted = {str(statement.parts["name"]).strip('"') for statement in self._statements()}
        if old.unique and not self.field.unique:
            named = {constraint.name for constraint in self.model._meta.constraints}
            for name in self._found(unique=True, primary_key=False, exclude=named):
                drop_unique(self.editor, self.model, name)
        if old.db_index or old.unique:
            named = {index.name for index in self.model._meta.indexes}
            for name in self._found(index=True, unique=False, type_="idx", exclude=named | wanted):
                run(self.editor, DROP_INDEX, name=self.editor.quote_name(name))

    @property
    def _name_of_unique(self) -> str:
        table = self.model._meta.db_table
        return self.unique_name or str(self.editor._unique_constraint_name(table, [self.field.column], quote=False))

    def _statements(self) -> list[Statement]:
        statements: list[Statement] = self.editor._field_indexes_sql(self.model, self.field)
        return statements

    def _found(self, **kinds: Any) -> list[str]:
        names: list[str] = self.editor._constraint_names(self.model, [self.field.column], **kinds)
        return names


def build_unique(editor: BaseDatabaseSchemaEditor, model: type[Model], constraint: Any) -> None:
    """Build the index of the UniqueConstraint, and the constraint where Django makes it one."""
    if has_constraint(editor, model._meta.db_table, constraint.name):
        return
    with templates(editor, sql_create_unique_index=UNIQUE_INDEX, sql_create_unique=UNIQUE_INDEX):
        build_index(editor, str(constraint.create_sql(model, editor)))
    if not is_index_only(constraint):
        with templates(editor, sql_create_unique=USING_INDEX):
            editor.execute(str(constraint.create_sql(model, editor)), params=None)


def drop_unique(editor: BaseDatabaseSchemaEditor, model: type[Model], name: str) -> None:
    """Drop the constraint with its index, or the index that has not become one."""
    quote = editor.quote_name
    run(editor, DROP_CONSTRAINT, table=quote(model._meta.db_table), name=quote(name))
    run(editor, DROP_INDEX, name=quote(name))


def is_index_only(constraint: Any) -> bool:
    """Whether Django makes a unique index of it, which PostgreSQL does not count among the constraints."""
    return bool(constraint.condition or constraint.include or constraint.opclasses or constraint.expressions)
