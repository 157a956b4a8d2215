"""The states that a migration leads through, made once for all the times that it is applied and undone.

To render models takes longer than all else in the rehearsal of a large project.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from django.db.migrations import Migration
from django.db.migrations.operations import RunPython, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


def fit_for_code(state: ProjectState, migration: Migration) -> ProjectState:
    """The state before a migration, as Django makes it for a way back that begins there: with all models made anew.

    On the way there some keep keys to earlier classes of others. RunPython makes them anew only on its way forward.
    """
    if not state.is_delayed or not _runs_code(migration.operations):
        return state
    fit = state.clone()
    fit.clear_delayed_apps_cache()
    fit.is_delayed = False
    # They are made when they are asked for, and shared by its clones from then on.
    fit.apps.get_models()
    return fit


def _runs_code(operations: Iterable[Operation]) -> bool:
    return any(
        isinstance(operation, RunPython)
        or (isinstance(operation, SeparateDatabaseAndState) and _runs_code(operation.database_operations))
        for operation in operations
    )


@contextmanager
def states_remembered(migration: Migration) -> Iterator[None]:
    """For the block, in which it always begins with the same state; not of an operation that it holds twice."""
    operations = [operation for operation, times in Counter(migration.operations).items() if times == 1]
    for operation in operations:
        operation.state_forwards = _Remembering(operation.state_forwards)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for operation in operations:
            del operation.state_forwards


class _Remembering:
    """In place of an operation's `state_forwards`, which changes the state that it is given."""

    def __init__(self, forwards: Callable[[str, ProjectState], None]) -> None:
        self._forwards = forwards
        self._after: ProjectState | None = None

    def __call__(self, app_label: str, state: ProjectState) -> None:
        # A state of the review's own kind has other models; one without models takes no time.
        if type(state) is not ProjectState or "apps" not in state.__dict__:
            self._forwards(app_label, state)
            return
        if self._after is None:
            self._after = state.clone()
            self._forwards(app_label, self._after)
        state.__dict__ = self._after.clone().__dict__
