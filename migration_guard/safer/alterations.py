"""A field that changes: one change at a time, each in the form that its kind allows."""

from typing import Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.operations import AlterField
from django.db.migrations.operations.base import Operation
from django.db.models import ForeignKey, ManyToManyField, OneToOneField

from migration_guard.operations import (
    AlterFieldConcurrently,
    AlterFieldForeignKeyNotValid,
    AlterFieldToNotNull,
    ValidateForeignKey,
    retyping,
)
from migration_guard.operations.columns import field_of, with_attributes
from migration_guard.operations.foreign_keys import can_do
from migration_guard.safer.additions import lasting_field
from migration_guard.safer.pieces import Piece, Place, Scene, written


def alter_field(operation: AlterField, scene: Scene) -> list[Piece]:
    if scene.is_partitioned(operation.model_name):
        return []
    old = scene.field(operation.model_name, operation.name)
    new = field_of(scene.model_after(operation, operation.model_name), operation.name)
    if not _are_columns(old, new):
        return []
    return Alteration(operation, scene, old, new).pieces()


def _are_columns(*fields: Any) -> bool:
    return not any(
        isinstance(field, ManyToManyField) or field.generated or field.primary_key or not field.column
        for field in fields
    )


class Alteration:
    """From the old field to the new one: first what else changes, then NOT NULL, then the index."""

    def __init__(self, operation: AlterField, scene: Scene, old: Any, new: Any) -> None:
        self.operation = operation
        self.model_name, self.name = operation.model_name, operation.name
        self.scene = scene
        self.old = old
        # What the operations before the last one leave as it was.
        self.nulls = {"null": True} if old.null and not new.null and not new.has_db_default() else {}
        self.index: dict[str, Any] = {}
        if new.unique and not old.unique:
            self.index = {"unique": False, "db_index": old.db_index}
        elif new.db_index and not (old.db_index or old.unique):
            self.index = {"db_index": False}

    def pieces(self) -> list[Piece]:
        pieces = self._foreign_key() or self._rest()
        if self.nulls:
            field = self._field(once=True, **self.index)
            not_null = AlterFieldToNotNull(self.model_name, self.name, field, self.operation.preserve_default)
            pieces.append(Piece.outside(not_null, "not_null"))
        if self.index:
            index = AlterFieldConcurrently(self.model_name, self.name, self._field())
            pieces.append(Piece.outside(index, "unique" if "unique" in self.index else "index"))
        return pieces

    def _foreign_key(self) -> list[Piece]:
        """A constraint for a column that is there, together with its index."""
        alone = {"unique": False} if "unique" in self.index else {}
        operation = AlterFieldForeignKeyNotValid(self.model_name, self.name, self._field(**self.nulls, **alone))
        new = field_of(self.scene.model_after(operation, self.model_name), self.name)
        if not can_do(self.old, new, connections[DEFAULT_DB_ALIAS]):
            return []
        self.index = self.index if alone else {}
        return [
            Piece.outside(operation, "foreign_key"),
            Piece.validation(ValidateForeignKey(self.model_name, self.name)),
        ]

    def _rest(self) -> list[Piece]:
        """What is neither NOT NULL nor an index."""
        if not self.nulls and not self.index:
            return self._retyped(self.operation) or [Piece.plain(self.operation)]
        field = self._field(**self.nulls, **self.index)
        before = self.scene.before.models[self.scene.app_label, self.model_name.lower()].fields[self.name]
        if _in_database(field) == _in_database(before):
            return []
        operation = AlterField(self.model_name, self.name, field)
        return self._retyped(operation) or [Piece.plain(operation)]

    def _retyped(self, operation: AlterField) -> list[Piece]:
        new = field_of(self.scene.model_after(operation, self.model_name), self.name)
        files = retyping.plan(self.model_name, self.name, self.old, new, connections[DEFAULT_DB_ALIAS]) or []
        return [_retyping_file(operations, number) for number, operations in enumerate(files, 1)]

    def _field(self, *, once: bool = False, **kept: Any) -> Any:
        """The field as it will be, but for what is kept; `once`: with the default that is given for this alone."""
        field = self.operation.field if once else lasting_field(self.operation)
        if isinstance(field, OneToOneField) and "unique" in kept:
            _, _, arguments, keywords = field.deconstruct()
            return ForeignKey(*arguments, **{**keywords, **kept})
        return with_attributes(field, **kept)


def _in_database(field: Any) -> str:
    """The field without what the database does not know of; a change of that goes with the change after it."""
    path, arguments, keywords = field.deconstruct()[1:]
    unknown = {*field.non_db_attrs, "default"} - {"db_column"}
    return written([path, arguments, {word: value for word, value in keywords.items() if word not in unknown}])


def _retyping_file(operations: list[Operation], number: int) -> Piece:
    commits = any(isinstance(operation, NotInTransactionMixin) for operation in operations)
    return Piece(operations, Place.OUTSIDE if commits else Place.ALONE, f"retype_{number}")
