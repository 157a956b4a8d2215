"""Fields and models that go, or take another name, while the previous release still uses them."""

from django.db.migrations.operations import (
    AddField,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.models import ManyToManyField

from migration_guard.operations import RenameModelKeepingView, RetireField, RetireModel
from migration_guard.operations.columns import field_of, tables_of
from migration_guard.safer.pieces import Piece, Place, Scene

RENAMED_COLUMN = (
    "The previous release uses the old column name, which is gone after this. To keep the column as it is,\n"
    'give the renamed field db_column="{column}" and make this migration again.'
)


def remove_field(operation: RemoveField, scene: Scene) -> list[Piece]:
    """Where a field of that name comes back at once, the column has to make room."""
    field = scene.field(operation.model_name, operation.name)
    has_table = isinstance(field, ManyToManyField) and bool(tables_of(field))
    comes_back = any(
        isinstance(other, AddField)
        and other.is_same_model_operation(operation)
        and other.is_same_field_operation(operation)
        for other in scene.following
    )
    if comes_back or field.primary_key or not (has_table or field.column):
        return []
    return [Piece.plain(RetireField(operation.model_name, operation.name))]


def delete_model(operation: DeleteModel, scene: Scene) -> list[Piece]:
    table = scene.model(operation.name)._meta.db_table
    for other in scene.following:
        if isinstance(other, CreateModel) and table in (
            other.options.get("db_table"),
            f"{scene.app_label}_{other.name_lower}",
        ):
            return []
    return [Piece.plain(RetireModel(operation.name))]


def rename_model(operation: RenameModel, scene: Scene) -> list[Piece]:
    old, new = scene.model(operation.old_name), scene.model_after(operation, operation.new_name)
    if old._meta.db_table == new._meta.db_table:
        return []
    kept = RenameModelKeepingView(operation.old_name, operation.new_name)
    return [Piece([kept], Place.ALONE, "rename")]


def rename_field(operation: RenameField, scene: Scene) -> list[Piece]:
    """PostgreSQL cannot give a column two names."""
    old = scene.field(operation.model_name, operation.old_name)
    new = field_of(scene.model_after(operation, operation.model_name), operation.new_name)
    is_same = old.column == new.column and not isinstance(old, ManyToManyField)
    if is_same:
        return []
    comment = RENAMED_COLUMN.format(column=old.column) if old.column else ""
    return [Piece([operation], Place.ALONE, "rename", comment=comment, serves_previous_release=False)]
