"""Removing a table in two steps: first the release that does without it, then, once no other runs, the drop."""

from typing import Any

from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import CreateModel, DeleteModel
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.operations.columns import (
    add_foreign_keys,
    as_column,
    default_table,
    drop_foreign_keys,
    own_tables,
)
from migration_guard.operations.editing import run

# A squash leaves out a model that it creates and retires.
DROP_TABLE = "DROP TABLE IF EXISTS {table} CASCADE"


class RetireModel(DeleteModel):
    """DeleteModel that leaves the table where it is, for the release that still uses it.

    In the database it drops the table's foreign keys: the new release does not cascade over its rows.
    `DropRetiredModel` drops the table later.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            for table in own_tables(model):
                drop_foreign_keys(schema_editor, table)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            for table in own_tables(model):
                add_foreign_keys(schema_editor, table)

    def contractions(self, app_label: str, state: ProjectState) -> list[Operation]:
        """The later steps, a table each; `state` is that before this."""
        model = state.apps.get_model(app_label, self.name)
        return [drop_of_table(table) for table in reversed(list(own_tables(model)))]

    def describe(self) -> str:
        return f"Retire model {self.name}; its table stays for the previous release"

    @property
    def migration_name_fragment(self) -> str:
        return f"retire_{self.name_lower}"


class DropRetiredModel(Operation):
    """Drop a table that RetireModel left, or RetireField of a ManyToManyField.

    `fields` and `options` tell undoing what to create again: the table, empty and without foreign keys.
    """

    category = OperationCategory.REMOVAL
    serialization_expand_args = ["fields", "options"]

    def __init__(self, name: str, fields: list[tuple[str, Any]], options: dict[str, Any] | None = None) -> None:
        self.name = name
        self.fields = fields
        self.options = options or {}

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        keywords: dict[str, Any] = {"name": self.name, "fields": self.fields}
        return type(self).__qualname__, [], keywords | ({"options": self.options} if self.options else {})

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The state has done without it since it was retired."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if router.allow_migrate(schema_editor.connection.alias, app_label, model_name=self.name.lower()):
            table = self.options.get("db_table") or default_table(app_label, self.name)
            run(schema_editor, DROP_TABLE, table=schema_editor.quote_name(table))

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if not router.allow_migrate(schema_editor.connection.alias, app_label, model_name=self.name.lower()):
            return
        state = to_state.clone()
        CreateModel(self.name, self.fields, self.options).state_forwards(app_label, state)
        schema_editor.create_model(state.apps.get_model(app_label, self.name))

    def describe(self) -> str:
        return f"Drop the table of the retired model {self.name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"drop_{self.name.lower()}"

    def references_model(self, name: str, app_label: str) -> bool:
        return name.lower() == self.name.lower()


def drop_of_table(model: type[Model]) -> DropRetiredModel:
    """DropRetiredModel for the table of a model, or for that of a many-to-many field."""
    fields = [(field.name, as_column(field)) for field in model._meta.local_concrete_fields]
    # What the table is made of; managers, permissions and the like are not in the database.
    meta: Any = model._meta
    made_of = {
        "db_table": meta.db_table,
        "db_table_comment": meta.db_table_comment,
        "unique_together": [tuple(names) for names in meta.unique_together],
        "constraints": meta.constraints,
        "indexes": meta.indexes,
    }
    return DropRetiredModel(model.__name__, fields, {word: value for word, value in made_of.items() if value})
