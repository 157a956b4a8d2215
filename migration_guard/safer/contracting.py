"""The second steps that are still to be taken: what stayed in the database for a release that is gone by now."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.operations import DeleteModel, RemoveField, RenameField, RenameModel
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.conf import GuardSettings
from migration_guard.operations import (
    DropDefault,
    DropRetiredField,
    DropRetiredModel,
    RenameModelKeepingView,
    RetireModel,
)
from migration_guard.operations.columns import with_attributes
from migration_guard.safer.names import proposal
from migration_guard.safer.pieces import written


def contracting(autodetector: type[MigrationAutodetector]) -> type[MigrationAutodetector]:
    """An autodetector that finds second steps instead of changes of models."""

    class ContractingAutodetector(autodetector):  # type: ignore[valid-type, misc]
        def changes(
            self,
            graph: MigrationGraph,
            trim_to_apps: set[str] | None = None,
            convert_apps: set[str] | None = None,
            migration_name: str | None = None,
        ) -> dict[str, list[Migration]]:
            found = {
                app_label: operations
                for app_label, operations in outstanding(graph, self.from_state.real_apps).items()
                if not trim_to_apps or app_label in trim_to_apps
            }
            changes = {app_label: [_migration(app_label, operations)] for app_label, operations in found.items()}
            if migration_name is None:
                return self._named(changes, graph)
            arranged: dict[str, list[Migration]] = self.arrange_for_graph(changes, graph, migration_name)
            return arranged

        def _named(self, changes: dict[str, list[Migration]], graph: MigrationGraph) -> dict[str, list[Migration]]:
            arranged: dict[str, list[Migration]] = {}
            for app_label, migrations in changes.items():
                name = f"contract_{proposal(migrations[0].operations)}"[:40].rstrip("_")
                arranged |= self.arrange_for_graph({app_label: migrations}, graph, name)
            return arranged

    return ContractingAutodetector


def _migration(app_label: str, operations: list[Operation]) -> Migration:
    migration: Any = type("Migration", (Migration,), {"dependencies": []})("contract", app_label)
    migration.operations = operations
    made: Migration = migration
    return made


def outstanding(graph: MigrationGraph, real_apps: set[str]) -> dict[str, list[Operation]]:
    """By guarded app, in the order of their first steps."""
    found: dict[str, list[Operation]] = {app_label: [] for app_label in GuardSettings.load().guarded_apps()}
    state = ProjectState(real_apps=real_apps)
    for app_label, operation in _operations(graph):
        if app_label in found:
            steps = _second_steps(app_label, operation, state, found[app_label])
            found[app_label] = [moved for step in found[app_label] if (moved := _followed(step, operation))] + steps
        operation.state_forwards(app_label, state)
    return {app_label: operations for app_label, operations in found.items() if operations}


def _operations(graph: MigrationGraph) -> Iterator[tuple[str, Operation]]:
    plan: list[Any] = graph._generate_plan(graph.leaf_nodes(), at_end=True)  # type: ignore[attr-defined]
    for key in plan:
        migration: Any = graph.nodes[key]
        for operation in migration.operations:
            yield key[0], operation


def _second_steps(app_label: str, operation: Any, state: ProjectState, before: Sequence[Operation]) -> list[Operation]:
    if isinstance(operation, RenameModelKeepingView):
        return [operation.contraction(state)]
    if not hasattr(operation, "contractions"):
        return []
    steps: list[Operation] = operation.contractions(app_label, state.clone())
    if isinstance(operation, RetireModel) and isinstance(drop := steps[-1], DropRetiredModel):
        drop.fields += _columns_left(operation, before)
    return steps


def _columns_left(operation: RetireModel, before: Sequence[Operation]) -> list[tuple[str, Any]]:
    """Fields that were retired before their model, and go with its table."""
    return [
        (step.name, with_attributes(step.field, null=True))
        for step in before
        if isinstance(step, DropRetiredField) and step.model_name.lower() == operation.name_lower
    ]


def _followed(step: Operation, later: Operation) -> Operation | None:
    """The step as it is after a later operation of its app; None where that one has taken it, or has made it void."""
    if written(step) == written(later):
        return None
    if not isinstance(step, DropDefault | DropRetiredField):
        return step
    return _followed_field(step, later)


def _followed_field(step: DropDefault | DropRetiredField, later: Operation) -> Operation | None:
    model = step.model_name.lower()
    _, arguments, keywords = step.deconstruct()
    match later:
        case RenameModel() if later.old_name_lower == model:
            return type(step)(*arguments, **{**keywords, "model_name": later.new_name})
        case RenameField() if later.model_name_lower == model and later.old_name == step.name:
            return type(step)(*arguments, **{**keywords, "name": later.new_name}) if _is_of_state(step) else step
        case RemoveField() if later.model_name_lower == model and later.name == step.name:
            return None if _is_of_state(step) else step
        case DeleteModel() if later.name_lower == model:
            return None
    return step


def _is_of_state(step: Operation) -> bool:
    """Whether its field is still one of the model's."""
    return isinstance(step, DropDefault)
