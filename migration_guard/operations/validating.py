"""Validating the constraint of a field, once it keeps new rows to the rule."""

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.operations.columns import field_of
from migration_guard.operations.editing import run

VALIDATE = "ALTER TABLE {table} VALIDATE CONSTRAINT {name}"


class ValidateConstraintOfField(Operation):
    """Validate a constraint that Django makes for a field, under locks that readers and writers do not meet.

    Rows that break it fail it; it changes nothing then. There is no way to make a constraint not valid again, so that
    undoing does nothing.
    """

    category = OperationCategory.ALTERATION
    # What the constraint is called in sentences.
    kind = "constraint"

    def __init__(self, model_name: str, name: str) -> None:
        self.model_name = model_name
        self.name = name

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return type(self).__qualname__, [], {"model_name": self.model_name, "name": self.name}

    def constraint_name(self, editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> str:
        """The name, quoted."""
        raise NotImplementedError

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The state knows the constraint already."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            name = self.constraint_name(schema_editor, model, field_of(model, self.name))
            run(schema_editor, VALIDATE, table=schema_editor.quote_name(model._meta.db_table), name=name)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """A validated constraint does the work of one that is not."""

    def references_model(self, name: str, app_label: str) -> bool:
        return name.lower() == self.model_name.lower()

    def describe(self) -> str:
        return f"Validate the {self.kind} {self.name} on {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"validate_{self.model_name.lower()}_{self.name.lower()}"
