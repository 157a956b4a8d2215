"""NOT NULL on a table in use."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.operations.base import InSteps
from migration_guard.operations.columns import field_of, with_default
from migration_guard.operations.editing import has_constraint, one, require_no_transaction, run

BATCH_ROWS = 2_000
ADD_CHECK = "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID"
VALIDATE = "ALTER TABLE {table} VALIDATE CONSTRAINT {name}"
DROP_CHECK = "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
SET_NOT_NULL = "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"
DROP_NOT_NULL = "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"
IS_NOT_NULL = "SELECT attnotnull FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s"


class AlterFieldToNotNull(InSteps, AlterField):
    """AlterField that only makes a field NOT NULL, through a check that is validated while rows are read and written.

    Rows without a value get the field's default, where it has one, in batches that commit one by one.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        field = field_of(to_state.apps.get_model(app_label, self.model_name), self.name)
        if not self.preserve_default:
            field = with_default(field, self.field.default)
        column = NullableColumn(schema_editor, model, field)
        if not column.is_not_null:
            column.add_check()
            column.fill()
            column.run(VALIDATE)
            column.run(SET_NOT_NULL)
        column.run(DROP_CHECK)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        column = NullableColumn(schema_editor, model, field_of(model, self.name))
        column.run(DROP_NOT_NULL)
        column.run(DROP_CHECK)

    def describe(self) -> str:
        return f"Make field {self.name} of {self.model_name} NOT NULL through a validated check"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name_lower}_{self.name_lower}_not_null"


class NullableColumn:
    """A column on its way to NOT NULL, and the check that leads there."""

    def __init__(self, editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> None:
        self.editor = editor
        self.model = model
        self.field = field
        any_editor: Any = editor
        self.check: str = any_editor._create_index_name(model._meta.db_table, [field.column], suffix="_not_null")

    @property
    def is_not_null(self) -> bool:
        """Collected SQL is that of a column that is not yet."""
        table = self.editor.quote_name(self.model._meta.db_table)
        return not self.editor.collect_sql and one(self.editor, IS_NOT_NULL, table, self.field.column) == (True,)

    def run(self, template: str) -> None:
        quote = self.editor.quote_name
        names = {"table": quote(self.model._meta.db_table), "column": quote(self.field.column)}
        run(self.editor, template, **names, name=quote(self.check))

    def add_check(self) -> None:
        """From now on no row without a value comes in."""
        if not has_constraint(self.editor, self.model._meta.db_table, self.check):
            self.run(ADD_CHECK)

    def fill(self) -> None:
        """Give the field's default to the rows without a value, by ranges of the primary key."""
        any_editor: Any = self.editor
        if any_editor.effective_default(self.field) is None:
            return
        if self.editor.collect_sql:
            self._collect_update(any_editor.effective_default(self.field))
            return
        value = any_editor._effective_default(self.field)
        rows = self.model._base_manager.using(self.editor.connection.alias)
        missing = rows.filter(**{f"{self.field.attname}__isnull": True}).order_by("pk").values_list("pk", flat=True)
        batch = list(missing[:BATCH_ROWS])
        while batch:
            rows.filter(pk__in=batch).update(**{self.field.attname: value})
            batch = list(missing.filter(pk__gt=batch[-1])[:BATCH_ROWS])

    def _collect_update(self, value: Any) -> None:
        quote = self.editor.quote_name
        update = self.editor.sql_update_with_default.split(";")[0]
        names = {"table": quote(self.model._meta.db_table), "column": quote(self.field.column)}
        self.editor.execute(update % {**names, "default": "%s"}, [value])
