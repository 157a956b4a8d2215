"""The migrations: the files by themselves, beside the models, and beside what the database has."""

import shlex
from collections.abc import Iterable, Iterator

from django.apps import apps
from django.core.management.base import CommandError
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    InconsistentMigrationHistory,
    NodeNotFoundError,
)
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.questioner import NonInteractiveMigrationQuestioner
from django.db.migrations.state import ProjectState

from migration_guard.doctor.diagnosis import Diagnosis, command, note, ok, problem
from migration_guard.doctor.session import looking
from migration_guard.ledger import Ledger, MigrationKey, source_of
from migration_guard.runs import Action, RunLedger
from migration_guard.survey import Survey

BROKEN_GRAPH = (BadMigrationError, CircularDependencyError, NodeNotFoundError)
MOST_NAMES = 4


def check_files(_alias: str) -> Iterator[Diagnosis]:
    """That they form one line in each app."""
    loader = _load()
    if isinstance(loader, Diagnosis):
        yield loader
        return
    for app, names in sorted(loader.detect_conflicts().items()):
        if apps.is_installed("django_linear_migrations"):
            mend = command("rebase_migration", app)
        else:
            mend = command("makemigrations", app, "--merge", "-n", "merge")
        yield problem("migrations", f"{app} has two heads: {', '.join(sorted(names))}", mend)


def check_models(_alias: str) -> Iterator[Diagnosis]:
    """That they are what the migrations say, as `makemigrations --check` looks at it."""
    loader = _load()
    if isinstance(loader, Diagnosis) or loader.detect_conflicts():
        return
    questioner = NonInteractiveMigrationQuestioner(specified_apps=None, dry_run=True)
    detector = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps), questioner)
    changes = detector.changes(graph=loader.graph)
    for app, migrations in sorted(changes.items()):
        told = [operation.describe() for migration in migrations for operation in migration.operations]
        mend = command("makemigrations", app, "-n", migrations[0].suggest_name())
        yield problem("models", f"{app} has changes without a migration: {_listed(told)}", mend)
    if not changes:
        yield ok("models", "no change is without a migration")


def check_applied(alias: str) -> Iterator[Diagnosis]:
    """What the database has of them."""
    with looking(alias) as session:
        try:
            executor = MigrationExecutor(session)
            executor.loader.check_consistent_history(session)
        except InconsistentMigrationHistory as error:
            yield problem("migrations", f"{error} What is recorded is not in order: see showmigrations")
            return
        except BROKEN_GRAPH:
            # The files alone show it.
            return
        found = list(_differences(executor, RunLedger(session)))
    yield from found
    if not any(diagnosis.mend for diagnosis in found):
        yield ok("migrations", f"all {len(executor.loader.applied_migrations)} are applied, as they are on the disk")


def _differences(executor: MigrationExecutor, ledger: RunLedger) -> Iterator[Diagnosis]:
    survey = Survey(executor.loader, Ledger(ledger.connection))
    partial = ledger.partial()
    for key, run in partial.items():
        told = f"{_name(key)} broke off: {run.position} of its {run.operations} operations are in the database"
        yield problem("migrations", told, command("migrate"))
    yield from _pending(executor, partial)
    for app, name in survey.unknown:
        told = (
            f"{app}.{name} is applied and has no file: bring it back and roll it back, or, where it is gone for good:"
        )
        yield problem("migrations", told, command("migrate", app, "--prune"))
    for app, name in survey.edited:
        told = f"{app}.{name} was edited after it was applied: take the edit back, or, where it changes nothing:"
        mend = command("migrate", "--accept-edited", app, name, "--reason", "it changes nothing in the database")
        yield problem("migrations", told, mend)
    for key, old in survey.renamed.items():
        if source := source_of(survey.on_disk[key]):
            mend = shlex.join(["mv", str(source.path), str(source.path.with_stem(old[1]))])
            yield problem("migrations", f"{_name(key)} was renamed after it was applied as {old[1]}", mend)
    faked = [key for key, known in survey.known.items() if known.action == Action.FAKE_APPLY]
    if faked:
        told = f"recorded without being run: {_listed(map(_name, faked))}; whether the schema has it, drift says"
        yield note("migrations", told, command("drift"))


def _pending(executor: MigrationExecutor, partial: Iterable[MigrationKey]) -> Iterator[Diagnosis]:
    try:
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except CommandError as error:
        yield problem("migrations", str(error))
        return
    pending = [key for migration, _ in plan if (key := (migration.app_label, migration.name)) not in set(partial)]
    if pending:
        yield problem("migrations", f"{len(pending)} to be applied: {_listed(map(_name, pending))}", command("migrate"))


def _load() -> MigrationLoader | Diagnosis:
    """Without the database; a problem where the files cannot be read."""
    try:
        return MigrationLoader(None)
    except BROKEN_GRAPH as error:
        return problem("migrations", f"the files do not fit together: {error}")


def _name(key: MigrationKey) -> str:
    return ".".join(key)


def _listed(names: Iterable[str]) -> str:
    all_names = list(names)
    more = f" and {len(all_names) - MOST_NAMES} more" if len(all_names) > MOST_NAMES else ""
    return f"{', '.join(all_names[:MOST_NAMES])}{more}"
