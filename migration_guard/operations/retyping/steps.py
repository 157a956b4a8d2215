"""The four operations by which a column in use gets another type: expand, fill, index, swap."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AlterField
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.state import ProjectState
from django.db.models import Field, Model

from migration_guard.operations.base import InSteps
from migration_guard.operations.editing import require_no_transaction
from migration_guard.operations.retyping.filling import Filling
from migration_guard.operations.retyping.shadow import Shadow
from migration_guard.operations.retyping.swapping import swap
from migration_guard.operations.retyping.twins import Twins


class ShadowOperation(FieldOperation):
    """A step that changes no state: the model's field has its old type until the swap."""

    category = OperationCategory.ALTERATION
    field: "Field[Any, Any]"

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        given = {"model_name": self.model_name, "name": self.name, "field": self.field}
        return type(self).__qualname__, [], given

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """No release knows of the column."""

    def shadow(self, app_label: str, editor: BaseDatabaseSchemaEditor, state: ProjectState) -> Shadow | None:
        """None where this database does not have the model's table."""
        model: type[Model] = state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(editor.connection.alias, model):
            return None
        return Shadow.of(editor, model, self.name, model._meta.get_field(self.name), self.field)


class AddShadowColumn(ShadowOperation):
    """Add a column of the field's new type, and a trigger that gives it the field's value at each INSERT and UPDATE.

    Both releases write the old column. Raises ColumnInUse where something uses the column that the steps cannot take
    along: a view, a trigger on UPDATE, a policy, partitions.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if shadow := self.shadow(app_label, schema_editor, to_state):
            shadow.refuse_other_users()
            shadow.add()
            shadow.keep_equal()

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if shadow := self.shadow(app_label, schema_editor, to_state):
            shadow.drop()

    def describe(self) -> str:
        return f"Add a column for the new type of {self.name} on {self.model_name}, kept equal by a trigger"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name_lower}_{self.name_lower}_shadow"


class FillShadowColumn(InSteps, ShadowOperation):
    """Give the new column the values of the rows of before the trigger, in batches that commit one by one."""

    atomic = False
    reduces_to_sql = False

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        if shadow := self.shadow(app_label, schema_editor, to_state):
            model = to_state.apps.get_model(app_label, self.model_name)
            Filling(shadow, str(model._meta.pk.column)).run()

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """The values go with the column."""

    def describe(self) -> str:
        return f"Fill the column for the new type of {self.name} on {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name_lower}_{self.name_lower}_fill"


class IndexShadowColumn(InSteps, ShadowOperation):
    """Give the new column what the old one has, under other names: indexes, unique ones too, checks and NOT NULL.

    They are built concurrently, and validated after they were added. Raises NotFilled before that, where a row has
    another value than its old column. What there is, is read from the catalog, so that no SQL can be shown beforehand.
    """

    atomic = False
    reduces_to_sql = False

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        if shadow := self.shadow(app_label, schema_editor, to_state):
            shadow.require_filled()
            twins = Twins(shadow)
            twins.build(concurrently=True)
            twins.analyze()

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        if shadow := self.shadow(app_label, schema_editor, to_state):
            Twins(shadow).drop()

    def describe(self) -> str:
        return f"Index the column for the new type of {self.name} on {self.model_name}, and set up its rules"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name_lower}_{self.name_lower}_index"


class SwapShadowColumn(AlterField):
    """Put the new column in the old one's place, with all names as they were, in one short transaction.

    The state changes here. The way back writes the table anew, as AlterField does in both directions, and holds off
    readers and writers meanwhile: it gives the column its old type, and makes a new shadow of it, filled and indexed,
    so that the step can be taken again.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if shadow := self._shadow(app_label, schema_editor, from_state):
            swap(shadow)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        if shadow := self._shadow(app_label, schema_editor, to_state):
            shadow.add()
            shadow.fill_at_once()
            shadow.keep_equal()
            Twins(shadow).build(concurrently=False)

    def _shadow(self, app_label: str, editor: BaseDatabaseSchemaEditor, old_state: ProjectState) -> Shadow | None:
        return AddShadowColumn(self.model_name, self.name, self.field).shadow(app_label, editor, old_state)

    def describe(self) -> str:
        return f"Swap field {self.name} on {self.model_name} for its column of the new type"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name_lower}_{self.name_lower}_swap"

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        # Not into one with a later AlterField: the steps before need this one.
        return not operation.references_field(self.model_name, self.name, app_label)
