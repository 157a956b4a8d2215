"""A new column with a check of its type, as positive integers have it, on a table in use."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddField
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.operations.columns import field_of, implicit_name
from migration_guard.operations.editing import run, templates
from migration_guard.operations.validating import ValidateConstraintOfField

ADD_CHECK = "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({check}) NOT VALID"


class AddFieldCheckNotValid(AddField):
    """AddField whose column comes without its check, for which PostgreSQL would read all rows; that follows NOT VALID.

    `ValidateFieldCheck` is the next step. A field without such a check is added as ever.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        with templates(schema_editor, sql_check_constraint=""):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        model = to_state.apps.get_model(app_label, self.model_name)
        field = field_of(model, self.name)
        if self.allow_migrate_model(schema_editor.connection.alias, model) and has_check(schema_editor, field):
            check = str(field.db_check(schema_editor.connection))
            table = schema_editor.quote_name(model._meta.db_table)
            run(schema_editor, ADD_CHECK, table=table, name=name_of_check(schema_editor, model, field), check=check)


class ValidateFieldCheck(ValidateConstraintOfField):
    """Validate the check of a field that AddFieldCheckNotValid, or AddFieldKeepingDefault, has added."""

    kind = "check of"

    def constraint_name(self, editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> str:
        return name_of_check(editor, model, field)


def has_check(editor: BaseDatabaseSchemaEditor, field: Any) -> bool:
    return bool(field.db_check(editor.connection))


def name_of_check(editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> str:
    """PostgreSQL's own name for the check of a column, quoted."""
    return editor.quote_name(implicit_name(model._meta.db_table, field.column, "check"))
