"""What each operation of a migration would send to the server, and the code that it would run."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from django.contrib.postgres.operations import CreateExtension
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.operations import AddField, AlterField, CreateModel, RemoveField, RunPython, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import IndexOperation, ModelOptionOperation
from django.db.migrations.state import ProjectState

from migration_guard.review.code import Code
from migration_guard.steps import Step, steps_forwards


@dataclass
class Work:
    """One operation, or one of those inside it, with the SQL that it sends or the function that it runs."""

    migration: Migration
    # Of the operation in the migration's list, counted from 1.
    number: int
    operation: Operation
    before: ProjectState
    after: ProjectState
    scripts: list[str] = field(default_factory=list)
    code: Code | None = None
    # Why the operation's SQL cannot be had without a database.
    unseen: str = ""

    @property
    def is_reversible(self) -> bool:
        """A RunSQL with a list of statements is one work for each, and has one way back for all."""
        outer: Operation = self.migration.operations[self.number - 1]
        return bool(self.operation.reversible and outer.reversible)

    @property
    def is_plain_sql(self) -> bool:
        return isinstance(self.operation, RunSQL)

    @property
    def is_safer(self) -> bool:
        """Whether the operation is one that takes a change apart, and so does on purpose what is found elsewhere."""
        return type(self.operation).__module__.startswith(("migration_guard.", "django_pg_migration_tools."))

    @property
    def table(self) -> str:
        """The table of the model that the operation is about; empty where it is about none."""
        model = self.before.models.get(
            (self.migration.app_label, str(getattr(self.operation, "model_name", "")).lower())
        )
        if model is None:
            return ""
        return str(self.before.apps.get_model(model.app_label, model.name)._meta.db_table)

    @property
    def description(self) -> str:
        return f"{self.number}: {self.title}"

    @property
    def title(self) -> str:
        """What Django calls the operation; of a RunPython, its function."""
        return f"RunPython({self.code.name})" if self.code else self.operation.describe()


class LeanState(ProjectState):
    """A state that renders again only the models that an operation makes look different.

    Django's renders all that are related to them, however far, for the sake of RunPython; here nothing runs. The
    history of django-oscar takes a quarter of the time so.
    """

    # What the operation at hand changes: a model alone, a key that other models refer to, or what nobody knows.
    reach: Literal["model", "key", "any"] = "any"

    def reload_model(self, app_label: str, model_name: str, delay: bool = False) -> None:  # noqa: FBT001, FBT002  # Django's
        if "apps" not in self.__dict__:
            return
        if self.reach == "any":
            super().reload_model(app_label, model_name, delay)
            return
        key = app_label, model_name
        apps: Any = self.apps
        changed = {key}
        if self.reach == "key":
            # Once it is taken out of the registry, the model as it was could not be asked any more who refers to it.
            _ = apps.get_model(*key)._meta.related_objects
            changed = self._referring(key)
        with apps.bulk_update():
            for each in changed:
                apps.unregister_model(*each)
        apps.render_multiple([self.models[each] for each in changed])

    def _referring(self, key: tuple[str, str]) -> set[tuple[str, str]]:
        """The model and those that refer to it, or to one of which that is the key."""
        found, waiting = {key}, [key]
        while waiting:
            for other, fields in self.relations[waiting.pop()].items():
                if other in self.models and other not in found:
                    found.add(other)
                    waiting += [other] if any(field.primary_key for field in fields.values()) else []
        return found


def collect(migration: Migration, state: LeanState, connection: BaseDatabaseWrapper) -> list[Work]:
    """The work of a migration, in the order in which the server would see it; `state` is left as it is after it."""
    works: list[Work] = []
    deferred: list[tuple[Work, Any]] = []
    # Entered and never left: at its end it would forget which operation a deferred statement belongs to.
    editor: Any = connection.schema_editor(collect_sql=True, atomic=False).__enter__()
    for number, operation in enumerate(migration.operations, start=1):
        before = state.clone()
        advance(operation, migration.app_label, state)
        for step in steps_forwards(operation, migration.app_label, before, state):
            work = Work(migration, number, step.operation, step.before, step.after)
            known = list(editor.deferred_sql)
            _do(work, step, editor)
            deferred += [(work, statement) for statement in editor.deferred_sql if statement not in known]
            works.append(work)
    return [*works, *_at_the_end(deferred, editor)]


def advance(operation: Operation, app_label: str, state: LeanState) -> None:
    """Leave the state as it is after an operation."""
    state.reach = _reach(operation, app_label, state)
    operation.state_forwards(app_label, state)


def _reach(operation: Operation, app_label: str, before: ProjectState) -> Literal["model", "key", "any"]:
    if isinstance(operation, AlterField):
        field = before.models[app_label, operation.model_name_lower].fields.get(operation.name)
        may_be_key = any(each is None or each.primary_key or each.unique for each in (field, operation.field))
        return "key" if may_be_key else "model"
    is_alone = isinstance(operation, CreateModel | AddField | RemoveField | IndexOperation | ModelOptionOperation)
    return "model" if is_alone else "any"


def _do(work: Work, step: Step, editor: Any) -> None:
    operation = step.operation
    if isinstance(operation, RunPython):
        work.code = Code(operation.code)
    elif isinstance(operation, RunSQL):
        work.scripts = list(_scripts(operation, editor))
    elif isinstance(operation, CreateExtension):
        # Django would look up the extension's types, over the connection that it keeps for the alias.
        work.scripts = [f"CREATE EXTENSION IF NOT EXISTS {editor.quote_name(operation.name)};"]
    elif operation.reduces_to_sql:
        editor.collected_sql = []
        editor.connection.was_asked = False
        try:
            step.run(editor)
        # An operation of another package may ask the database, or do anything at all.
        except Exception as error:
            work.unseen = f"{type(error).__name__}: {error}"
        else:
            if editor.connection.was_asked and not _collects_what_it_asks(operation):
                work.unseen = "it asks the database first"
        work.scripts = [script for script in editor.collected_sql if not script.startswith("--")]
    else:
        work.unseen = "it does not reduce to SQL"


def _collects_what_it_asks(operation: Operation) -> bool:
    """Whether the SQL that it sends does not depend on the answer, or is that of a first try."""
    return type(operation).__module__.startswith(("django.", "migration_guard.", "django_pg_migration_tools."))


def _scripts(operation: RunSQL, editor: Any) -> Iterator[str]:
    pieces = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
    for piece in pieces:
        if isinstance(piece, str):
            yield piece
        else:
            sql, parameters = piece
            yield sql % tuple(map(editor.quote_value, parameters)) if parameters else sql


def _at_the_end(deferred: list[tuple[Work, Any]], editor: Any) -> Iterator[Work]:
    """What the editor keeps for the end of the transaction, as work of the operation that asked for it."""
    for work, statement in deferred:
        if statement in editor.deferred_sql:
            yield Work(work.migration, work.number, work.operation, work.before, work.after, [f"{statement};"])
