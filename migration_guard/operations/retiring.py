"""Removing a column in two steps: first the release that does without it, then, once no other runs, the drop."""

from typing import Any

from django.core.management.base import CommandError
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RemoveField
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from django.db.models import ManyToManyField, Model

from migration_guard.operations.columns import (
    add_foreign_key,
    add_foreign_keys,
    as_column,
    drop_foreign_key,
    drop_foreign_keys,
    field_of,
    run_on,
    tables_of,
    with_attributes,
)
from migration_guard.operations.editing import compose, one
from migration_guard.operations.retiring_models import drop_of_table

DROP_NOT_NULL = "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"
SET_NOT_NULL = "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"
COUNT_NULLS = "SELECT count(*) FROM {table} WHERE {column} IS NULL"
# A squash leaves out a field that it adds and retires.
DROP_COLUMN = "ALTER TABLE {table} DROP COLUMN IF EXISTS {column} CASCADE"


class RowsWithoutValue(CommandError):
    """Rows written since a field was retired have no value in its column, which was NOT NULL before."""


class RetireField(RemoveField):
    """RemoveField that leaves the column where it is, for the release that still uses it.

    In the database it drops NOT NULL and, of a relation, the foreign key: the new release neither fills the column nor
    cascades over it. `DropRetiredField` drops the column later, `DropRetiredModel` the table of a ManyToManyField.
    Undoing this fills rows without a value with the field's default, and raises RowsWithoutValue where it has none.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        field = field_of(model, self.name)
        if isinstance(field, ManyToManyField):
            for table in tables_of(field):
                drop_foreign_keys(schema_editor, table)
        elif field.column:
            drop_foreign_key(schema_editor, model, field)
            if _is_always_filled(field):
                run_on(schema_editor, DROP_NOT_NULL, model, field)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        field = field_of(model, self.name)
        if isinstance(field, ManyToManyField):
            for table in tables_of(field):
                add_foreign_keys(schema_editor, table)
        elif field.column:
            if _is_always_filled(field):
                _fill(schema_editor, model, field)
                run_on(schema_editor, SET_NOT_NULL, model, field)
            add_foreign_key(schema_editor, model, field)

    def contractions(self, app_label: str, state: ProjectState) -> list[Operation]:
        """The later steps: the column's, or that of the table of a ManyToManyField; `state` is that before this."""
        field = field_of(state.apps.get_model(app_label, self.model_name), self.name)
        if isinstance(field, ManyToManyField):
            return [drop_of_table(table) for table in tables_of(field)]
        return [DropRetiredField(self.model_name, self.name, as_column(field))]

    def describe(self) -> str:
        return f"Retire field {self.name} of {self.model_name}; its column stays for the previous release"

    @property
    def migration_name_fragment(self) -> str:
        return f"retire_{self.model_name_lower}_{self.name_lower}"


class DropRetiredField(Operation):
    """Drop the column that RetireField left.

    `field` tells undoing what to add again: a column without its values, without NOT NULL and without a foreign key.
    """

    category = OperationCategory.REMOVAL

    def __init__(self, model_name: str, name: str, field: Any) -> None:
        self.model_name = model_name
        self.name = name
        self.field = field

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__qualname__, [], {"model_name": self.model_name, "name": self.name, "field": self.field}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The state has done without it since it was retired."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        field = self.field.clone()
        field.set_attributes_from_name(self.name)
        run_on(schema_editor, DROP_COLUMN, model, field)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        state = to_state.clone()
        field = with_attributes(self.field, null=True)
        state.add_field(app_label, self.model_name.lower(), self.name, field, preserve_default=True)
        model = state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.add_field(model, field_of(model, self.name))

    def describe(self) -> str:
        return f"Drop what the retired field {self.name} of {self.model_name} left in the database"

    @property
    def migration_name_fragment(self) -> str:
        return f"drop_{self.model_name.lower()}_{self.name.lower()}"

    def references_model(self, name: str, app_label: str) -> bool:
        return name.lower() == self.model_name.lower()


def _is_always_filled(field: Any) -> bool:
    return not (field.null or field.generated or field.primary_key)


def _fill(editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> None:
    """Give the field's default to rows without a value; RowsWithoutValue where it has none and they are there."""
    names = {"table": editor.quote_name(model._meta.db_table), "column": editor.quote_name(field.column)}
    default = editor.effective_default(field)
    if default is not None:
        editor.execute(editor.sql_update_with_default % {**names, "default": "%s"}, [default])
    elif not editor.collect_sql:
        (rows,) = one(editor, compose(COUNT_NULLS, **names)) or (0,)
        if rows:
            raise RowsWithoutValue(
                f"{rows} rows of {names['table']} have no {names['column']}: they were written since {field} was "  # noqa: S608
                "retired, and it has no default to fill them with. Nothing of this migration was undone. Give them "
                f"values (UPDATE {names['table']} SET {names['column']} = ... WHERE {names['column']} IS NULL), then "
                "run the command again.",
                returncode=2,
            )
