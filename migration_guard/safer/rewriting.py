"""The autodetector's migrations, taken apart into files that can be applied while the tables are in use."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterUniqueTogether,
    CreateModel,
    DeleteModel,
    RemoveField,
    RemoveIndex,
    RenameField,
    RenameModel,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.safer.additions import add_field
from migration_guard.safer.alterations import alter_field
from migration_guard.safer.indexes import add_constraint, add_index, alter_unique_together, remove_index
from migration_guard.safer.names import piece_name, proposal, split
from migration_guard.safer.pieces import Piece, Place, Scene, Tables
from migration_guard.safer.removals import delete_model, remove_field, rename_field, rename_model

# Each gives the pieces of an operation, or none where its plain form stays. The exact classes: one derived from them
# does something of its own.
FORMS: dict[type[Operation], Any] = {
    AddConstraint: add_constraint,
    AddField: add_field,
    AddIndex: add_index,
    AlterField: alter_field,
    AlterUniqueTogether: alter_unique_together,
    DeleteModel: delete_model,
    RemoveField: remove_field,
    RemoveIndex: remove_index,
    RenameField: rename_field,
    RenameModel: rename_model,
}


def rewrite(migration: Migration, state: ProjectState, tables: Tables) -> list[Migration]:
    """The migration as one or several of its app, each depending on the one before; `state` is moved past them.

    The order of the operations stays. Where they are one, it keeps its name and number; more are numbered on.
    """
    files = _files(_pieces(migration, state, tables))
    number, name = split(migration.name)
    made: list[Migration] = []
    for file in files or [[]]:
        if made:
            what = file[0].what or proposal([operation for piece in file for operation in piece.operations])
            following = piece_name((number or 0) + len(made), name, what, [other.name for other in made])
            dependencies: list[Any] = [(migration.app_label, made[-1].name)]
            made.append(_migration(migration, following, dependencies, file))
        else:
            made.append(_migration(migration, migration.name, list(migration.dependencies), file))
    return made


def _pieces(migration: Migration, state: ProjectState, tables: Tables) -> Iterable[Piece]:
    # Made once: the copies below take its models over, and make anew only those that an operation changes.
    _ = state.apps
    for index, operation in enumerate(migration.operations):
        scene = Scene(migration.app_label, state.clone(), tables, migration.operations[index + 1 :])
        yield from _form(operation, scene) or [Piece.plain(operation)]
        if isinstance(operation, CreateModel):
            tables.new.add((migration.app_label, operation.name_lower))
        operation.state_forwards(migration.app_label, state)


def _form(operation: Operation, scene: Scene) -> list[Piece]:
    form = FORMS.get(type(operation))
    if form is None:
        return []
    named = ("old_name",) if isinstance(operation, RenameModel) else ("model_name", "name")
    model_name = next(getattr(operation, attribute) for attribute in named if hasattr(operation, attribute))
    pieces: list[Piece] = form(operation, scene) if scene.is_in_use(model_name) else []
    return pieces


def _files(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """The pieces by file, in their order; what only looks at rows comes last."""
    files: list[list[Piece]] = []
    at_the_end = []
    is_open = False
    for piece in pieces:
        if piece.place == Place.AT_THE_END:
            at_the_end.append(piece)
        elif piece.place == Place.WITH_OTHERS and is_open:
            files[-1].append(piece)
        else:
            files.append([piece])
            is_open = piece.place == Place.WITH_OTHERS
    return [*files, at_the_end] if at_the_end else files


def _migration(
    original: Migration, name: str, dependencies: list[tuple[str, str]], pieces: Sequence[Piece]
) -> Migration:
    attributes: dict[str, Any] = {"operations": [], "dependencies": []}
    if any(piece.place == Place.OUTSIDE for piece in pieces):
        attributes["atomic"] = False
    for piece in pieces:
        if piece.comment:
            attributes["comment"] = piece.comment
        if piece.serves_previous_release is not None:
            attributes["serves_previous_release"] = piece.serves_previous_release
    migration: Any = type("Migration", (Migration,), attributes)(name, original.app_label)
    migration.initial = original.initial
    migration.dependencies = dependencies
    migration.operations = [operation for piece in pieces for operation in piece.operations]
    made: Migration = migration
    return made
