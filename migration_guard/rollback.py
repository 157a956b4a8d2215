"""`rollback`: which migrations are undone, in which order, and the undoing, by the same executor as `migrate`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db.migrations import Migration
from django.db.migrations.loader import AmbiguityError
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.applied import WHERE
from migration_guard.conf import GuardSettings
from migration_guard.connections import rows
from migration_guard.console import GuardedCommand
from migration_guard.executor import GuardedExecutor, key_of
from migration_guard.ledger import MigrationKey
from migration_guard.news import record
from migration_guard.restoring.points import Shelf
from migration_guard.survey import Survey


class RollbackPlan:
    """The migrations to undo, in that order: with each one, everything applied that depends on it."""

    def __init__(self, executor: GuardedExecutor) -> None:
        self.executor = executor
        self.loader = executor.loader
        self.migrations: list[Migration] = []
        # Those that are undone only because they depend on one that was asked for.
        self.dependents: set[Migration] = set()

    def to(self, app: str, name: str) -> "RollbackPlan":
        """Undo what came after this migration of the app, or with "zero" all of it, as `migrate APP NAME` does."""
        self._check_app(app)
        target = (app, None) if name == "zero" else self._find(app, name)
        plan = self.executor.migration_plan([target])
        if forwards := [str(migration) for migration, backwards in plan if not backwards]:
            raise CommandError(
                f"{app}.{target[1]} is not applied: rollback only undoes, and this would apply {', '.join(forwards)}. "
                f"Name the migration that is to stay: rollback {app} NAME. To apply: migrate {app} {target[1]}",
                returncode=2,
            )
        self.migrations = [migration for migration, _ in plan]
        return self

    def last(self, steps: int, app: str | None) -> "RollbackPlan":
        """Undo the migrations that were applied last, of all apps or of one; what broke off half-way counts as one."""
        if app:
            self._check_app(app)
        chosen: list[MigrationKey] = []
        for key in self._newest_first(app):
            if key not in chosen:
                chosen.append(self._known(key))
            if len(chosen) == steps:
                break
        applied = self.loader.applied_migrations.keys() | self.executor.partial.keys()
        wanted = {other for key in chosen for other in self.loader.graph.backwards_plan(key) if other in applied}
        self.migrations = [migration for migration in self._full_plan() if key_of(migration) in wanted][::-1]
        self.dependents = {migration for migration in self.migrations if key_of(migration) not in chosen}
        return self

    def irreversible(self) -> Iterator[str]:
        """Each operation that has no way back, with the reason that its docstring or its migration's gives."""
        for migration in self.migrations:
            without_way_back = [operation for operation in self.operations_there(migration) if not operation.reversible]
            yield from (_why_not(migration, operation) for operation in without_way_back)
            if without_way_back:
                yield from self._point_of(migration)

    def _point_of(self, migration: Migration) -> Iterator[str]:
        """The newest restore point that leads back where the migration itself does not."""
        if GuardSettings.load().restore_points is None:
            return
        ((database, *_),) = rows(self.executor.connection, WHERE)
        points = Shelf(database).points()
        names = [point.name for point in points if (point.manifest.app, point.manifest.migration) == key_of(migration)]
        yield from (f"What {migration} destroyed was kept: manage.py restore {name}" for name in names[:1])

    def operations_there(self, migration: Migration) -> Sequence[Operation]:
        """Those that are in the database: all of them, or the first ones of a migration that broke off half-way."""
        run = self.executor.partial.get(key_of(migration))
        there = run.position + bool(run.substep or run.began_next) if run else None
        return migration.operations[:there]

    def with_states(self) -> Iterator[tuple[Migration, ProjectState]]:
        """The migrations, each with the state of all that is applied before it."""
        state = ProjectState(real_apps=self.loader.unmigrated_apps)
        states = {}
        for migration in self._full_plan():
            if migration in self.migrations:
                states[migration] = state.clone()
            if key_of(migration) in self.loader.applied_migrations or migration in self.migrations:
                migration.mutate_state(state, preserve=False)
        yield from ((migration, states[migration]) for migration in self.migrations)

    def execute(self, command: GuardedCommand) -> None:
        """Undo it, with the signals that Django's `migrate` sends; the turn is held."""
        executor = self.executor
        executor.loader.applied_migrations |= {
            key_of(migration): migration for migration in self.migrations if key_of(migration) in executor.partial
        }
        plan = [(migration, True) for migration in self.migrations]
        state = executor.applied_state()
        signal: dict[str, Any] = {"stdout": command.stdout, "plan": plan}
        alias = executor.connection.alias
        emit_pre_migrate_signal(command.verbosity, False, alias, apps=state.apps, **signal)  # noqa: FBT003  # Django's
        after = executor.migrate([], plan=plan, state=state.clone())
        after.clear_delayed_apps_cache()
        emit_post_migrate_signal(command.verbosity, False, alias, apps=after.apps, **signal)  # noqa: FBT003  # Django's

    def _full_plan(self) -> list[Migration]:
        leaves = self.loader.graph.leaf_nodes()
        return [migration for migration, _ in self.executor.migration_plan(leaves, clean_start=True)]

    def _check_app(self, app: str) -> None:
        if app not in self.loader.migrated_apps:
            raise CommandError(f"There is no app {app} with migrations. showmigrations lists them.", returncode=2)

    def _find(self, app: str, name: str) -> MigrationKey:
        try:
            return app, self.loader.get_migration_by_prefix(app, name).name
        except AmbiguityError:
            told = f"More than one migration of {app} begins with {name}: name it whole."
            raise CommandError(told, returncode=2) from None
        except KeyError:
            told = f"{app} has no migration {name}. showmigrations {app} lists them."
            raise CommandError(told, returncode=2) from None

    def _newest_first(self, app: str | None) -> Iterator[MigrationKey]:
        yield from (key for key in self.executor.partial if app in {None, key[0]})
        if not self.executor.recorder.has_table():
            return
        rows = list(self.executor.recorder.migration_qs.order_by("-id").values_list("app", "name"))
        squash_of = {old: key for key, squash in self.loader.replacements.items() for old in squash.replaces}
        # A squash is recorded late, at the end of a run; the rows of what it replaces say when it was applied.
        late = {squash_of[key] for key in rows if key in squash_of}
        for key in rows:
            node = key if key in self.loader.graph.nodes else squash_of.get(key, key)
            if key not in late and app in {None, node[0]} and not self._is_forgotten(node):
                yield node

    def _is_forgotten(self, key: MigrationKey) -> bool:
        """Rows of apps that were taken out, and of files that were accepted as missing, are nobody's to undo."""
        if key in self.loader.graph.nodes:
            return False
        known = self.executor.ledger.known().get(key)
        return key[0] not in self.loader.migrated_apps or (known is not None and not known.fingerprint)

    def _known(self, key: MigrationKey) -> MigrationKey:
        if key not in self.loader.graph.nodes:
            raise CommandError(
                f"{key[0]}.{key[1]} is applied and not in this code: only a release that has it can undo it. Run "
                "rollback there, or name what is to be undone here: rollback APP NAME",
                returncode=2,
            )
        return key


def _why_not(migration: Migration, operation: Operation) -> str:
    code = getattr(operation, "code", None)
    module = sys.modules[type(migration).__module__]
    reason = getattr(code, "__doc__", None) or type(migration).__doc__ or module.__doc__
    told = f": {' '.join(reason.split())}" if reason else ", and no docstring says why."
    return f"{migration} cannot be undone ({operation.describe()}){told}"


def undo(plan: RollbackPlan, command: GuardedCommand) -> None:
    """Undo the plan in the turn that its executor holds, after the comparison that `migrate` makes too."""
    ledger = plan.executor.ledger
    survey = Survey(plan.loader, ledger)
    survey.refuse_edits(set(), renamed=False)
    ledger.ensure_table()
    with plan.executor.patience.at_work():
        record(survey, ledger, accepted=set(), reason="", say=command.say)
        plan.execute(command)
