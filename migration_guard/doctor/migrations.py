"""The migrations: the files by themselves, beside the models, and beside what the database has."""

import os
import shlex
from collections.abc import Iterable, Iterator
from copy import copy
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import DatabaseError
from django.db.migrations import Migration
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    InconsistentMigrationHistory,
    NodeNotFoundError,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from migration_guard.conf import GuardSettings
from migration_guard.connections import rows
from migration_guard.doctor.diagnosis import Diagnosis, State, command, note, ok, problem, unknown
from migration_guard.doctor.session import looking
from migration_guard.doctor.unwritten import name_for, unwritten
from migration_guard.executor import GuardedExecutor
from migration_guard.ledger import MigrationKey, source_of
from migration_guard.patience import Patience
from migration_guard.runs import Action, RunLedger
from migration_guard.survey import Survey
from migration_guard.turns import is_taken
from migration_guard.units import listed

BROKEN_GRAPH = (BadMigrationError, CircularDependencyError, NodeNotFoundError)
UNCOMPARED = unknown("migrations", "not looked at, as the files do not say which there ought to be")
IN_CONFLICT = "<<<<<<<"
COLUMNS = """
    SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p') AND relname = ANY (%s)
        AND pg_table_is_visible(attrelid)
"""


def check_files(alias: str) -> Iterator[Diagnosis]:
    """That they form one line in each app, and say what the models say, as `makemigrations --check` looks at it."""
    if closed := _closed_folders():
        for folder in closed:
            yield problem("files", f"{folder} cannot be read", shlex.join(["chmod", "-R", "u+rX", str(folder)]))
        return
    try:
        loader = MigrationLoader(None)
    except BROKEN_GRAPH as error:
        yield problem("files", f"the migrations do not fit together: {error}")
        return
    conflicts = loader.detect_conflicts()
    for app, names in sorted(conflicts.items()):
        yield problem("files", f"{app} has two heads: {', '.join(sorted(names))}", _joining(app, names, alias))
    if not conflicts:
        yield from _unwritten(loader)


def _closed_folders() -> list[Path]:
    """Those with something that this process cannot read. Django takes such an app for one without migrations."""
    folders = [Path(apps.get_app_config(label).path, "migrations") for label in GuardSettings.load().guarded_apps()]
    return [folder for folder in folders if folder.is_dir() and not _is_readable(folder)]


def _is_readable(folder: Path) -> bool:
    return _may(folder, os.R_OK | os.X_OK) and all(_may(path, os.R_OK) for path in folder.glob("[!.]*.py"))


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _joining(app: str, heads: Iterable[str], alias: str) -> str:
    """In the middle of a merge one head moves behind the other, unless it is applied; else a third one joins them."""
    is_linear = apps.is_installed("django_linear_migrations")
    if is_linear and _is_in_conflict(app) and not _is_applied(app, heads, alias):
        return command("rebase_migration", app)
    # The checks of django_linear_migrations refuse two heads, also to the command that ends them.
    skip = ["--skip-checks"] if is_linear else []
    return command("makemigrations", app, "--merge", "--no-input", *skip, "-n", "merge_of_two_heads")


def _is_in_conflict(app: str) -> bool:
    newest = Path(apps.get_app_config(app).path, "migrations", "max_migration.txt")
    return newest.exists() and IN_CONFLICT in newest.read_text()


def _is_applied(app: str, names: Iterable[str], alias: str) -> bool:
    """Whether any of them is, as far as the database says so."""
    try:
        with looking(alias) as session:
            return not MigrationRecorder(session).applied_migrations().keys().isdisjoint((app, name) for name in names)
    except DatabaseError:
        return False


def _unwritten(loader: MigrationLoader) -> Iterator[Diagnosis]:
    changes = unwritten(loader)
    own = set(GuardSettings.load().guarded_apps())
    for app, migrations in sorted(changes.items()):
        told = [operation.describe() for migration in migrations for operation in migration.operations]
        if app in own:
            mend = command("makemigrations", app, "-n", name_for(migrations))
            yield problem("models", f"{app} has changes without a migration: {listed(told)}", mend)
        else:
            yield note("models", f"{app}, not the project's own, has changes without a migration: {listed(told)}")
    if own.isdisjoint(changes):
        yield ok("models", "no change is without a migration")


def check_applied(alias: str) -> Iterator[Diagnosis]:
    """What the database has of them."""
    if _closed_folders():
        yield UNCOMPARED
        return
    with looking(alias) as session:
        try:
            patience = Patience(session, say=lambda text: None)
            executor = GuardedExecutor(session, None, ledger=RunLedger(session), patience=patience)
            executor.loader.check_consistent_history(session)
        except InconsistentMigrationHistory as error:
            yield problem("migrations", f"{error} showmigrations shows what is recorded.")
            return
        except BROKEN_GRAPH:
            yield UNCOMPARED
            return
        found = list(_Differences(executor, alias).found())
    yield from found
    if not any(diagnosis.state == State.PROBLEM for diagnosis in found):
        # A squash is recorded with the names that it replaces, which need no file.
        applied = executor.loader.applied_migrations.keys() & executor.loader.graph.nodes.keys()
        yield ok("migrations", f"all {len(applied)} are applied, as they are on the disk")


class _Differences:
    """Between the database, its ledger and the files."""

    def __init__(self, executor: GuardedExecutor, alias: str) -> None:
        self.executor = executor
        self.loader = executor.loader
        self.alias = alias
        self.survey = Survey(executor.loader, executor.ledger)

    def found(self) -> Iterator[Diagnosis]:
        if is_taken(self.executor.connection):
            yield note("migrations", "they are being applied at this moment: what follows may be over soon")
        for key, run in self.executor.partial.items():
            told = f"{_name(key)} broke off: {run.position} of its {run.operations} operations are in the database"
            yield problem("migrations", told, self._migrate())
        yield from self._pending()
        yield from self._without_file()
        yield from self._edited()
        yield from self._faked()

    def _pending(self) -> Iterator[Diagnosis]:
        plan = self.executor.migration_plan(self.loader.graph.leaf_nodes())
        pending = [migration for migration, _ in plan if _key(migration) not in self.executor.partial]
        if not pending:
            return
        first = pending[0]
        if self.loader.detect_conflicts():
            told = f"{len(pending)} to be applied, once there is one head again: {listed(map(str, pending))}"
            yield problem("migrations", told)
        elif self._is_there(first):
            told = f"{first} is to be applied, and what it makes is there already: recorded it was not"
            yield problem("migrations", told, self._migrate("--fake", *_key(first)))
        else:
            told = f"{len(pending)} to be applied: {listed(map(str, pending))}"
            yield problem("migrations", told, self._migrate())

    def _is_there(self, migration: Migration) -> bool:
        """Whether its tables and columns are there, by the question that --fake-initial asks."""
        asked: Any = copy(migration)
        asked.initial = True
        return bool(self.executor.detect_soft_applied(self.executor.applied_state(), asked)[0])

    def _without_file(self) -> Iterator[Diagnosis]:
        adopted = self.survey.to_adopt.keys() - self.survey.on_disk.keys() - self._replaced()
        missing = sorted({*self.survey.unknown, *adopted})
        for app in sorted({app for app, _ in missing} & set(self.loader.migrated_apps)):
            names = listed(_name(key) for key in missing if key[0] == app)
            told = f"{names}: applied, and without a file. Bring it back, or, where it is gone for good:"
            yield problem("migrations", told, self._migrate(app, "--prune"))

    def _replaced(self) -> set[MigrationKey]:
        squashed = {key for squash in self.loader.replacements.values() for key in squash.replaces}
        return squashed | self.executor.ledger.replaced()

    def _edited(self) -> Iterator[Diagnosis]:
        for app, name in self.survey.edited:
            told = f"{app}.{name} was edited after it was applied. Take the edit back, or, where it changes nothing:"
            reason = "it changes nothing in the database"
            yield problem("migrations", told, self._migrate("--accept-edited", app, name, "--reason", reason))
        for key, old in self.survey.renamed.items():
            if source := source_of(self.survey.on_disk[key]):
                mend = shlex.join(["mv", str(source.path), str(source.path.with_stem(old[1]))])
                yield problem("migrations", f"{_name(key)} was renamed after it was applied as {old[1]}", mend)

    def _faked(self) -> Iterator[Diagnosis]:
        faked = [key for key, known in self.survey.known.items() if known.action == Action.FAKE_APPLY]
        for app in sorted({app for app, _ in faked}):
            names = [key for key in faked if key[0] == app]
            told = f"{listed(map(_name, names))}: recorded without being run"
            if lacking := self._lacking(app):
                before = self._before(min(names, key=lambda key: key[1]))
                mend = f"{self._migrate('--fake', app, before)} && {self._migrate()}"
                yield problem("migrations", f"{told}, and the database lacks {listed(lacking)}", mend)
            else:
                yield note(
                    "migrations", f"{told}; drift says whether the schema has it", command("drift", alias=self.alias)
                )

    def _lacking(self, app: str) -> list[str]:
        """Columns that the applied migrations of the app make and that are not there."""
        models = [model for model in self.executor.applied_state().apps.get_models() if model._meta.app_label == app]
        managed = [model._meta for model in models if model._meta.can_migrate(self.executor.connection)]
        expected = {(meta.db_table, str(field.column)) for meta in managed for field in meta.local_concrete_fields}
        there = set(rows(self.executor.connection, COLUMNS, [[meta.db_table for meta in managed]]))
        return sorted(".".join(pair) for pair in expected - there)

    def _before(self, key: MigrationKey) -> str:
        """The migration of the app that is to stay."""
        earlier = [name for app, name in self.loader.graph.forwards_plan(key) if app == key[0]][:-1]
        return earlier[-1] if earlier else "zero"

    def _migrate(self, *arguments: str) -> str:
        return command("migrate", *arguments, alias=self.alias)


def _key(migration: Migration) -> MigrationKey:
    return migration.app_label, migration.name


def _name(key: MigrationKey) -> str:
    return ".".join(key)
