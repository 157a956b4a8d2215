"""unique_together on a table in use."""

from collections.abc import Collection
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AlterUniqueTogether
from django.db.migrations.state import ProjectState
from django.db.models import Model, UniqueConstraint

from migration_guard.operations.base import InSteps
from migration_guard.operations.concurrently import build_unique
from migration_guard.operations.editing import is_partitioned, require_no_transaction

Together = Collection[tuple[str, ...]]


class UniqueTogetherConcurrently(InSteps, AlterUniqueTogether):
    """AlterUniqueTogether whose new constraints are built as concurrent indexes, which then become the constraints.

    Readers and writers go on meanwhile; a row that breaks the rule fails it and leaves no index. The constraints have
    the names that Django gives them. What is not unique any more is dropped after that. The index of a partitioned
    table cannot be built so: there it is AlterUniqueTogether.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        model = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        old, new = (self._tuples(app_label, state) for state in (from_state, to_state))
        if is_partitioned(schema_editor, model._meta.db_table):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        for fields in sorted(new - old):
            add_unique(schema_editor, model, fields)
        for fields in sorted(old - new):
            remove_unique(schema_editor, model, fields)

    def _tuples(self, app_label: str, state: ProjectState) -> set[tuple[str, ...]]:
        together = state.models[app_label, self.name_lower].options.get(self.option_name)
        return {tuple(fields) for fields in together or ()}

    def describe(self) -> str:
        return f"Concurrently alter unique_together for {self.name} ({len(self.unique_together or ())} constraint(s))"


def add_unique(editor: BaseDatabaseSchemaEditor, model: type[Model], fields: tuple[str, ...]) -> None:
    any_editor: Any = editor
    name = any_editor._unique_constraint_name(model._meta.db_table, _columns(model, fields), quote=False)
    build_unique(editor, model, UniqueConstraint(fields=fields, name=str(name)))


def remove_unique(editor: BaseDatabaseSchemaEditor, model: type[Model], fields: tuple[str, ...]) -> None:
    """Drop the constraint, as Django finds it; a broken try may have dropped it already, or may not have made it."""
    any_editor: Any = editor
    flags = {"unique": True, "primary_key": False}
    others = {rule.name for rule in [*model._meta.constraints, *model._meta.indexes]}
    if any_editor._constraint_names(model, _columns(model, fields), exclude=others, **flags):
        any_editor._delete_composed_index(model, fields, flags, editor.sql_delete_unique)


def _columns(model: type[Model], fields: tuple[str, ...]) -> list[str]:
    return [str(model._meta.get_field(field).column) for field in fields]  # type: ignore[union-attr]
