"""Indexes and constraints of a model's Meta."""

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db.migrations.operations import AddConstraint, AddIndex, AlterUniqueTogether, RemoveIndex
from django.db.models import CheckConstraint, UniqueConstraint

from migration_guard.operations import AddUniqueConstraintConcurrently, UniqueTogetherConcurrently
from migration_guard.safer.pieces import Piece, Scene


def add_index(operation: AddIndex, scene: Scene) -> list[Piece]:
    if scene.is_partitioned(operation.model_name):
        return []
    return [Piece.outside(AddIndexConcurrently(operation.model_name, operation.index), "index")]


def remove_index(operation: RemoveIndex, scene: Scene) -> list[Piece]:
    if scene.is_partitioned(operation.model_name):
        return []
    return [Piece.outside(RemoveIndexConcurrently(operation.model_name, operation.name), "drop_index")]


def add_constraint(operation: AddConstraint, scene: Scene) -> list[Piece]:
    """An exclusion constraint cannot be added in steps."""
    model_name, constraint = operation.model_name, operation.constraint
    if isinstance(constraint, CheckConstraint):
        return [
            Piece.plain(AddConstraintNotValid(model_name, constraint)),
            Piece.validation(ValidateConstraint(model_name, constraint.name)),
        ]
    if isinstance(constraint, UniqueConstraint) and not scene.is_partitioned(model_name):
        return [Piece.outside(AddUniqueConstraintConcurrently(model_name, constraint), "unique")]
    return []


def alter_unique_together(operation: AlterUniqueTogether, scene: Scene) -> list[Piece]:
    old = set(scene.before.models[scene.app_label, operation.name_lower].options.get("unique_together") or ())
    if scene.is_partitioned(operation.name) or not set(operation.unique_together or ()) - old:
        return []
    return [Piece.outside(UniqueTogetherConcurrently(operation.name, operation.unique_together), "unique")]
