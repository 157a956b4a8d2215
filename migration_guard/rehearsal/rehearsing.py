"""The pending migrations on a copy, one after the other."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

from django.core.management.base import CommandError
from django.core.management.sql import emit_pre_migrate_signal
from django.db import DEFAULT_DB_ALIAS, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from migration_guard.applied import Say
from migration_guard.connections import own_session, require_postgresql
from migration_guard.leading import everything_leads_to
from migration_guard.receipts import has_receipt, is_guarded
from migration_guard.rehearsal.copies import From, copy_of
from migration_guard.rehearsal.disk import CouldNotCopy
from migration_guard.rehearsal.keeping import empty
from migration_guard.rehearsal.previous import PreviousRelease
from migration_guard.rehearsal.remembering import fit_for_code, states_remembered
from migration_guard.rehearsal.results import Finding, MigrationResult, Outcome, Rehearsal, Source, Verdict
from migration_guard.rehearsal.rows import make_up
from migration_guard.rehearsal.seeding import Seeds
from migration_guard.rehearsal.trying import Broken, Stage, Trial
from migration_guard.rehearsal.verdict import conclude, judge
from migration_guard.review.findings import Severity
from migration_guard.turns import turn

MADE_UP_LOSSES = (
    "What is written into a new table or column is lost where a way back drops it. Up to 3 rows with made-up values "
    "stand for that among the losses, of tables and columns that were empty."
)


def rehearse(chosen: From, holder: str, *, say: Say, progress: Say) -> Rehearsal:
    """Rehearse what is pending in the default database, on a copy that the server of the alias `holder` holds.

    `say` is told once what this waits for, `progress` often how far it is. Raises CouldNotCopy.
    """
    _require_one_end()
    with own_session(DEFAULT_DB_ALIAS) as live, own_session(holder) as server:
        for connection in (live, server):
            require_postgresql(connection)
            _require_answer(connection)
        with (
            copy_of(live, server, chosen, say=say, progress=progress) as copy,
            everything_leads_to(copy.connection, live),
            redirect_stdout(io.StringIO()),
        ):
            return Rehearsing(copy.connection, copy.source, Seeds(live), say=say, progress=progress).run()


def _require_one_end() -> None:
    """Raise CommandError where `migrate` does, so that it would apply nothing of what is rehearsed."""
    conflicts = MigrationLoader(None).detect_conflicts()
    if conflicts:
        named = "; ".join(f"{app}: {', '.join(sorted(names))}" for app, names in sorted(conflicts.items()))
        raise CommandError(
            f"There are migrations that nothing comes after, more than one in an app ({named}): migrate applies none. "
            "Let one depend on the other, or join them: makemigrations --merge. Nothing was done.",
            returncode=2,
        )


def _require_answer(connection: BaseDatabaseWrapper) -> None:
    """Raise CouldNotCopy where there is no server, or none that lets this role in."""
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise CouldNotCopy(
            f"The database {connection.alias} cannot be reached: {error}\nSee that its server runs, and that "
            f"DATABASES[{connection.alias!r}] leads to it: HOST, PORT, NAME, USER, PASSWORD. Nothing was done."
        ) from error


class Rehearsing:
    """`connection` leads to the copy, and every alias that led to its source does so too; `seeds` are its rows."""

    def __init__(
        self, connection: BaseDatabaseWrapper, source: Source, seeds: Seeds, *, say: Say, progress: Say
    ) -> None:
        self.connection = connection
        self._seeds = seeds
        self.rehearsal = Rehearsal(source)
        self._say = say
        self._progress = progress
        # Of a sample: what is measured on a part of a table is told for all of it.
        self._rows_in_source = {table.table: table.in_source for table in source.tables if source.percent}
        self._failed: set[tuple[str, str]] = set()
        self._touched: set[str] = set()
        # Of a history: the tables with rows that were made up, and those that wait for some.
        self._made_up: set[str] = set()
        self._to_fill: set[str] = set()
        self._stage: Stage
        self._release: PreviousRelease | None = None
        self._is_released = False

    @property
    def is_history(self) -> bool:
        return self.rehearsal.source.kind == "history"

    def run(self) -> Rehearsal:
        """Rehearse what is pending; where a migration fails, what was measured until then is there."""
        began = time.monotonic()
        with turn(self.connection, say=self._say):
            self._stage = Stage.of(self.connection, self._say)
            self.rehearsal.server_major = self._stage.catalog.version
            try:
                self._rehearse_all()
            except Broken as broken:
                self.rehearsal.error = str(broken)
            finally:
                self._stage.probers.close()
        conclude(self.rehearsal)
        self.rehearsal.seconds = time.monotonic() - began
        return self.rehearsal

    def _rehearse_all(self) -> None:
        executor = self._stage.executor
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not plan:
            return
        state = executor.applied_state()
        emit_pre_migrate_signal(0, False, self.connection.alias, apps=state.apps, plan=plan)  # noqa: FBT003  # Django's
        for number, (migration, _) in enumerate(plan, start=1):
            result = MigrationResult(migration.app_label, migration.name, is_guarded=is_guarded(migration))
            self.rehearsal.migrations.append(result)
            state = fit_for_code(state, migration)
            trial = Trial(self._stage, migration, state, result, self._teller(f"{number} of {len(plan)}, {migration}"))
            with self._noting_the_end(result), states_remembered(migration):
                self._try(trial)
            state = trial.after

    def _teller(self, title: str) -> Say:
        return lambda what: self._progress(f"{title}: {what}")

    def _capture(self, trial: Trial) -> None:
        """Know the release that is at work: of a history, that of the migrations with receipts, if there are some."""
        is_guarded, has_one = trial.result.is_guarded, has_receipt(trial.migration)
        self._is_released = self._is_released or (is_guarded and has_one)
        is_new = self._is_released and is_guarded and not has_one
        if self._release is None and (is_new or not self.is_history):
            self._release = PreviousRelease(self.connection, trial.state.clone())
            self._release.capture()

    @contextmanager
    def _noting_the_end(self, result: MigrationResult) -> Iterator[None]:
        try:
            yield
        except Broken as broken:
            result.verdict = Verdict.FAILED
            hint = "Nothing after it was rehearsed."
            result.findings.append(Finding("fails", Severity.ERROR, str(broken), hint))
            raise

    def _try(self, trial: Trial) -> None:
        self._over_rows(trial, trial.look)
        self._capture(trial)
        self._over_rows(trial, trial.run)
        result = trial.result
        if trial.has_made_up_losses and MADE_UP_LOSSES not in self.rehearsal.source.notes:
            self.rehearsal.source.notes.append(MADE_UP_LOSSES)
        if self._release:
            trial.tell("the release before it")
            self._touched |= trial.touched
            result.previous_release = self._release.probe(self._touched)
        for table, stall in result.stall_ms.items():
            stall.rows_in_source = self._rows_in_source.get(table, stall.rows)
        breaks = getattr(trial.migration, "serves_previous_release", None) is False
        judge(result, breaks_on_purpose=breaks, known_failures=self._failed)
        self._failed |= {each[:2] for each in result.previous_release if each.outcome == Outcome.FAILED}
        if self.is_history:
            self._fill(trial)

    def _over_rows(self, trial: Trial, step: Callable[[], None]) -> None:
        """Where it fails over rows that were made up: that is told, and it goes on over empty tables."""
        try:
            step()
        except Broken as broken:
            self._made_up &= self._stage.catalog.tables.keys()
            if not self._made_up:
                raise
            empty(self.connection, self._made_up)
            self._to_fill, self._made_up = self._made_up, set()
            executor = self._stage.executor
            executor.partial = executor.ledger.partial()
            step()
            message = f"Over rows that were made up it fails, so that it was rehearsed over empty tables: {broken}"
            trial.result.findings.append(Finding("made-up-rows", Severity.INFO, message))

    def _fill(self, trial: Trial) -> None:
        """Let what comes next meet rows in every table: those of the source, and made-up ones where it has none."""
        _add_content_types(self.connection, trial.after)
        self._made_up = {trial.renamed.get(table, table) for table in self._made_up}
        self._to_fill |= trial.new_tables - self._seeds.sow(self.connection, trial.new_tables)
        if self._to_fill:
            self._made_up |= make_up(self.connection, trial.after, self._to_fill)
            self._to_fill = set()


def _add_content_types(connection: BaseDatabaseWrapper, state: ProjectState) -> None:
    """Where there are rows of a model, Django has noted its type at the end of the run that made its table."""
    key = ("contenttypes", "contenttype")
    if key not in state.models or "name" in state.models[key].fields:
        return
    manager = state.apps.get_model(*key)._base_manager.using(connection.alias)
    known = set(manager.values_list("app_label", "model"))
    manager.bulk_create([manager.model(app_label=app, model=name) for app, name in state.models.keys() - known])
