"""A new column that the previous release can leave out: it keeps its default until that release is gone."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED

from migration_guard.operations.checks import AddFieldCheckNotValid
from migration_guard.operations.columns import field_of, with_default
from migration_guard.operations.editing import templates


class AddFieldKeepingDefault(AddFieldCheckNotValid):
    """AddField whose column keeps the field's default in the database, so that an INSERT that leaves it out works.

    Django drops that default at once, and what does not know the column cannot insert any more. A callable default is
    asked once, as Django does. `DropDefault` is the later step, once the previous release is gone. The check of a
    positive integer is left to `ValidateFieldCheck`.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        # The editor's statement at the end, that drops the default, is left out.
        with templates(schema_editor, skip_default_on_alter=lambda field: True):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"{super().describe()}, keeping its default in the database"

    def contractions(self, app_label: str, state: ProjectState) -> list[Operation]:
        """The later step; the default goes with it where the state forgets it."""
        default = NOT_PROVIDED if self.preserve_default else self.field.default
        return [DropDefault(self.model_name, self.name, default)]


class DropDefault(Operation):
    """Take the default of AddFieldKeepingDefault out of the database.

    `default`: what undoing this sets again, where the field of the model has none of its own.
    """

    category = OperationCategory.ALTERATION

    def __init__(self, model_name: str, name: str, default: Any = NOT_PROVIDED) -> None:
        self.model_name = model_name
        self.name = name
        self.default = default

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        keywords = {"model_name": self.model_name, "name": self.name}
        given = {} if self.default is NOT_PROVIDED else {"default": self.default}
        return type(self).__qualname__, [], keywords | given

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The state has had no default in the database all along."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._alter_default(app_label, schema_editor, to_state, drop=True)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._alter_default(app_label, schema_editor, to_state, drop=False)

    def _alter_default(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, state: ProjectState, *, drop: bool
    ) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(editor.connection.alias, model):
            return
        field = field_of(model, self.name)
        # A default that the model itself keeps in the database stays there.
        if field.has_db_default():
            return
        if self.default is not NOT_PROVIDED:
            field = with_default(field, self.default)
        change, parameters = editor._alter_column_default_sql(model, None, field, drop=drop)  # type: ignore[attr-defined]
        table = editor.quote_name(model._meta.db_table)
        editor.execute(editor.sql_alter_column % {"table": table, "changes": change}, parameters)

    def describe(self) -> str:
        return f"Drop the default of {self.model_name}.{self.name} from the database"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name.lower()}_{self.name.lower()}_drop_default"

    def references_model(self, name: str, app_label: str) -> bool:
        return name.lower() == self.model_name.lower()
