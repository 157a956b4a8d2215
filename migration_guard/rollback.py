"""`rollback`: what will be undone and lost, a question, and the undoing, by the same executor as `migrate`."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import AmbiguityError
from django.db.migrations.operations.base import Operation

from migration_guard.executor import GuardedExecutor
from migration_guard.ledger import Ledger, MigrationKey
from migration_guard.patience import Patience


class RollbackPlan:
    """The migrations to undo, in that order: with each one, everything applied that depends on it."""

    def __init__(self, connection: BaseDatabaseWrapper, say: Callable[[str], None]) -> None:
        self.executor = GuardedExecutor(
            connection, None, ledger=Ledger(connection), patience=Patience(connection, say=say)
        )
        self.loader = self.executor.loader
        self.migrations: list[Migration] = []

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
            if key not in chosen and len(chosen) < steps:
                chosen.append(key)
        applied = self.loader.applied_migrations.keys() | self.executor.partial.keys()
        wanted = {other for key in chosen for other in self.loader.graph.backwards_plan(key) if other in applied}
        full = self.executor.migration_plan(self.loader.graph.leaf_nodes(), clean_start=True)
        in_order = [migration for migration, _ in full if (migration.app_label, migration.name) in wanted]
        self.migrations = in_order[::-1]
        return self

    def irreversible(self) -> Iterator[str]:
        """Each operation that has no way back, with the reason that its docstring or its migration's gives."""
        for migration in self.migrations:
            for operation in self.operations_there(migration):
                if not operation.reversible:
                    code = getattr(operation, "code", None)
                    reason = getattr(code, "__doc__", None) or type(migration).__doc__
                    reason = reason or __import__(type(migration).__module__, fromlist=["x"]).__doc__
                    told = f": {' '.join(reason.split())}" if reason else ", and no docstring says why."
                    yield f"{migration} cannot be undone ({operation.describe()}){told}"

    def operations_there(self, migration: Migration) -> Sequence[Operation]:
        """Those that are in the database: all of them, or the first ones of a migration that broke off half-way."""
        run = self.executor.partial.get((migration.app_label, migration.name))
        there = run.position + bool(run.substep or run.began_next) if run else None
        return migration.operations[:there]

    def _check_app(self, app: str) -> None:
        if app not in self.loader.migrated_apps:
            raise CommandError(f"There is no app {app} with migrations. showmigrations lists them.", returncode=2)

    def targets(self) -> Iterator[tuple[str, str]]:
        """The arguments of `migrate`, call after call, that undo the plan."""
        left = {key for key in self.loader.applied_migrations if key in self.loader.graph.nodes}
        order = [
            (migration.app_label, migration.name)
            for migration, _ in self.executor.migration_plan(self.loader.graph.leaf_nodes(), clean_start=True)
        ]
        for app, group in groupby(self.migrations, key=lambda migration: migration.app_label):
            left -= {(app, migration.name) for migration in group}
            stays = [name for label, name in order if label == app and (label, name) in left]
            yield app, stays[-1] if stays else "zero"

    def _find(self, app: str, name: str) -> MigrationKey:
        try:
            return app, self.loader.get_migration_by_prefix(app, name).name
        except AmbiguityError:
            raise CommandError(
                f"More than one migration of {app} begins with {name}: name it whole.", returncode=2
            ) from None
        except KeyError:
            told = f"{app} has no migration {name}. showmigrations {app} lists them."
            raise CommandError(told, returncode=2) from None

    def _newest_first(self, app: str | None) -> Iterator[MigrationKey]:
        yield from (key for key in self.executor.partial if app in {None, key[0]})
        if not self.executor.recorder.has_table():
            return
        replacing = {old: key for key, new in self.loader.replacements.items() for old in new.replaces}
        rows = self.executor.recorder.migration_qs.order_by("-id").values_list("app", "name")
        for key in rows:
            node = key if key in self.loader.graph.nodes else replacing.get(key, key)
            if app in {None, node[0]}:
                yield self._known(node)

    def _known(self, key: MigrationKey) -> MigrationKey:
        if key not in self.loader.graph.nodes:
            raise CommandError(
                f"{key[0]}.{key[1]} is applied and not in this code: only a release that has it can undo it. Run "
                "rollback there, or name what is to be undone here: rollback APP NAME",
                returncode=2,
            )
        return key
