"""A new field: its column first, then its index, then its foreign key."""

from typing import Any

from django.db import connection
from django.db.migrations.operations import AddField
from django.db.models import NOT_PROVIDED, ForeignKey, ManyToManyField

from migration_guard.operations import (
    AddFieldCheckNotValid,
    AddFieldKeepingDefault,
    AlterFieldConcurrently,
    AlterFieldForeignKeyNotValid,
    ValidateFieldCheck,
    ValidateForeignKey,
)
from migration_guard.operations.columns import field_of, has_foreign_key, implicit_name, with_attributes
from migration_guard.safer.pieces import Piece, Scene


def add_field(operation: AddField, scene: Scene) -> list[Piece]:
    model = scene.model_after(operation, operation.model_name)
    field = field_of(model, operation.name)
    if isinstance(field, ManyToManyField) or field.generated or field.primary_key or not field.column:
        return []
    is_plain = scene.is_partitioned(operation.model_name) or not (
        field.unique or field.db_index or has_foreign_key(field)
    )
    column = operation.field if is_plain else bare(operation.field)
    has_check = bool(field.db_check(connection))
    pieces = [Piece.plain(_added(operation, column, has_check=has_check))]
    if has_check:
        pieces.append(Piece.validation(ValidateFieldCheck(operation.model_name, operation.name)))
    if not is_plain:
        unique_name = implicit_name(model._meta.db_table, field.column, "key") if field.unique else None
        pieces += indexed(operation, field, unique_name)
    return pieces


def bare(field: Any) -> Any:
    """The field as a column alone, without an index and without a foreign key."""
    if isinstance(field, ForeignKey):
        _, _, arguments, keywords = field.deconstruct()
        alone = {"unique": False, "db_index": False, "db_constraint": False}
        return ForeignKey(*arguments, **{**keywords, **alone})
    return with_attributes(field, unique=False, db_index=False)


def lasting_field(operation: Any) -> Any:
    """The operation's field as the state has it: a default that was given for this once is not in it."""
    field: Any = operation.field.clone()
    if not operation.preserve_default:
        field.default = NOT_PROVIDED
    return field


def _added(operation: AddField, column: Any, *, has_check: bool) -> AddField:
    fills = not column.null and not column.has_db_default() and _has_default(column)
    plain = AddFieldCheckNotValid if has_check else AddField
    kind = AddFieldKeepingDefault if fills else plain
    return kind(operation.model_name, operation.name, column, operation.preserve_default)


def _has_default(field: Any) -> bool:
    """Whether Django knows what to put into the rows that are there (BaseDatabaseSchemaEditor._effective_default)."""
    is_text = bool(field.blank and field.empty_strings_allowed)
    is_time = bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
    return is_text or is_time or bool(field.has_default())


def indexed(operation: AddField, field: Any, unique_name: str | None) -> list[Piece]:
    """From the bare column to what the model says."""
    model_name, name = operation.model_name, operation.name
    target = lasting_field(operation)
    refers = has_foreign_key(field)
    pieces = []
    if field.unique or not refers:
        kept = with_attributes(target, db_constraint=False) if refers else target
        index = AlterFieldConcurrently(model_name, name, kept, unique_name=unique_name)
        pieces.append(Piece.outside(index, "unique" if field.unique else "index"))
    if refers:
        pieces.append(Piece.outside(AlterFieldForeignKeyNotValid(model_name, name, target), "foreign_key"))
        pieces.append(Piece.validation(ValidateForeignKey(model_name, name)))
    return pieces
