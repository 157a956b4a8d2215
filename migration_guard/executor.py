"""Django's executor, with each migration recorded in the transaction that applies it and remembered in the ledger."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from migration_guard.fingerprints import Fingerprint
from migration_guard.ledger import Action, Ledger, Run, source_of
from migration_guard.patience import LockNotObtained, Patience
from migration_guard.steps import Step, refuses_transactions, steps_backwards, steps_forwards
from migration_guard.turns import require_turn

Plan = list[tuple[Migration, bool]]


class PartlyApplied(CommandError):
    """Some operations of a non-atomic migration are in the database, and the code can no longer tell which."""


class GuardedExecutor(MigrationExecutor):
    """Applies and undoes migrations one by one, each exactly once where PostgreSQL allows it.

    An atomic migration is one transaction with its deferred SQL, its row in django_migrations and its row in the
    ledger. A non-atomic one is a transaction for each operation, with its progress in the ledger; a step that
    PostgreSQL refuses in a transaction is announced before it begins, and the catalog is asked about it after a broken
    run. Such a migration is recorded as applied exactly while all of its operations are in the database.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        progress_callback: Callable[..., None] | None,
        *,
        ledger: Ledger,
        patience: Patience,
    ) -> None:
        super().__init__(connection, progress_callback)
        self.ledger = ledger
        self.patience = patience
        self.partial = {key: run for key, run in ledger.partial().items() if key not in self.loader.applied_migrations}

    def migration_plan(self, targets: Any, clean_start: bool = False) -> Plan:  # noqa: FBT001, FBT002  # Django's
        """As Django's; what is partly applied counts as applied on the way back, and as pending on the way forward."""
        applied = self.loader.applied_migrations
        if not clean_start and targets and all(name is None or (app, name) in applied for app, name in targets):
            on_disk = self.loader.disk_migrations or {}
            applied |= {key: on_disk[key] for key in self.partial.keys() & on_disk.keys()}
        return super().migration_plan(targets, clean_start=clean_start)

    def apply_migration(
        self,
        state: ProjectState,
        migration: Migration,
        fake: bool = False,  # noqa: FBT001, FBT002  # Django's
        fake_initial: bool = False,  # noqa: FBT001, FBT002  # Django's
    ) -> ProjectState:
        self._tell("apply_start", migration, fake)
        if fake_initial and not fake:
            fake, state = self.detect_soft_applied(state, migration)
        if fake:
            with transaction.atomic(using=self.connection.alias):
                self.ledger.note(Run.of(migration, Action.FAKE_APPLY, record_id=self._record(migration)))
        elif migration.atomic and _key(migration) not in self.partial:
            state = self._apply_at_once(state, migration)
        else:
            state = self._apply_by_steps(state, migration)
        self.loader.applied_migrations[_key(migration)] = migration
        self._tell("apply_success", migration, fake)
        return state

    def unapply_migration(self, state: ProjectState, migration: Migration, fake: bool = False) -> ProjectState:  # noqa: FBT001, FBT002
        self._tell("unapply_start", migration, fake)
        if fake:
            with transaction.atomic(using=self.connection.alias):
                self._unrecord(migration)
                self.ledger.note(Run.of(migration, Action.FAKE_UNDO))
        elif migration.atomic and _key(migration) not in self.partial:
            state = self._unapply_at_once(state, migration)
        else:
            state = self._unapply_by_steps(state, migration)
        self._tell("unapply_success", migration, fake)
        return state

    def check_replacements(self) -> None:
        """As Django's, and in the ledger too, with what the squash stands for."""
        for migration in self.replacements_to_record():
            with transaction.atomic(using=self.connection.alias):
                record_id = self._insert_record(migration.app_label, migration.name)
                replaced = json.dumps(migration.replaces)
                self.ledger.note(Run.of(migration, Action.REPLACE, record_id=record_id, replaced=replaced))

    def replacements_to_record(self) -> list[Migration]:
        """Squashes whose replaced migrations are all applied, and that are not recorded themselves."""
        if not self.loader.replacements:
            return []
        applied = self.recorder.applied_migrations()
        return [
            migration
            for key, migration in self.loader.replacements.items()
            if key not in applied and all(replaced in applied for replaced in migration.replaces)
        ]

    # An atomic migration: one transaction

    def _apply_at_once(self, state: ProjectState, migration: Migration) -> ProjectState:
        states = chain([state], self._states_before_another_try())

        def work() -> ProjectState:
            with self.connection.schema_editor(atomic=True) as editor:
                after = migration.apply(next(states), editor)
                _run_deferred(editor)
                self._finish(run, self._record(migration))
            return after

        with self._run(migration, Action.APPLY) as run:
            return self.patience.transaction(work, f"{migration}")

    def _states_before_another_try(self) -> Iterator[ProjectState]:
        """A migration changes the state that it is given, so that another try needs it made again."""
        while True:
            yield self._create_project_state(with_applied_migrations=True)  # type: ignore[attr-defined]  # not in the stubs

    def _unapply_at_once(self, state: ProjectState, migration: Migration) -> ProjectState:
        def work() -> ProjectState:
            with self.connection.schema_editor(atomic=True) as editor:
                after = migration.unapply(state, editor)
                _run_deferred(editor)
                self._unrecord(migration)
                self._finish(run, None)
            return after

        with self._run(migration, Action.UNDO, position=len(migration.operations)) as run:
            return self.patience.transaction(work, f"Undoing {migration}")

    # A non-atomic migration: a transaction for each step that can have one

    def _apply_by_steps(self, state: ProjectState, migration: Migration) -> ProjectState:
        with self._run(migration, Action.APPLY, **self._resume(migration, Action.APPLY)) as run:
            for index, operation in enumerate(migration.operations):
                before = state.clone()
                operation.state_forwards(migration.app_label, state)
                if index >= run.position:
                    steps = steps_forwards(operation, migration.app_label, before, state)
                    self._do(list(steps), run, migration, finally_at=index + 1)
            with transaction.atomic(using=self.connection.alias):
                self._finish(run, self._record(migration))
        return state

    def _unapply_by_steps(self, state: ProjectState, migration: Migration) -> ProjectState:
        resumed = self._resume(migration, Action.UNDO)
        undone = []
        for operation in migration.operations[: resumed["position"]]:
            if not operation.reversible:
                raise IrreversibleError(f"Operation {operation} in {migration} is not reversible")
            after = state.clone()
            operation.state_forwards(migration.app_label, after)
            undone.append((operation, after, state))
            state = after
        with self._run(migration, Action.UNDO, **resumed) as run:
            for index, (operation, before, after) in reversed(list(enumerate(undone))):
                steps = steps_backwards(operation, migration.app_label, before, after)
                self._do(list(steps), run, migration, finally_at=index)
            with transaction.atomic(using=self.connection.alias):
                self._unrecord(migration)
                self._finish(run, None)
        return undone[0][2] if undone else state

    def _do(self, steps: list[Step], run: Run, migration: Migration, *, finally_at: int) -> None:
        """Take the steps of one operation that are still to be taken, each with the record of where that leads to."""
        for number in range(run.substep, len(steps)):
            is_last = number == len(steps) - 1
            progress = {
                "position": finally_at if is_last else run.position,
                "substep": 0 if is_last else number + 1,
                "began_next": False,
            }
            require_turn(self.connection)
            self._take(steps[number], partial(self._save, run, migration), progress)
        run.position = finally_at

    def _take(self, step: Step, save: Callable[..., bool], progress: dict[str, Any]) -> None:
        def work() -> None:
            with self.connection.schema_editor(atomic=True) as editor:
                step.run(editor)
                _run_deferred(editor)
                save(**progress)

        if step.may_be_transactional:
            try:
                self.patience.transaction(work, f"{step}")
            except DatabaseError as error:
                if not refuses_transactions(error):
                    raise
            else:
                return
        had_begun = save(began_next=True)
        if not step.is_done(self.connection, began=had_begun):
            self._take_outside_transaction(step)
        save(**progress)

    def _take_outside_transaction(self, step: Step) -> None:
        try:
            with self.connection.schema_editor(atomic=False) as editor:
                step.run(editor)
        except DatabaseError:
            # What a failed CREATE INDEX CONCURRENTLY leaves behind; a lost connection leaves it to the next run.
            with suppress(DatabaseError, InterfaceError):
                step.is_done(self.connection, began=False)
            raise

    def _save(self, run: Run, migration: Migration, **progress: Any) -> bool:
        """Record the progress; return whether the step that it is about had begun before."""
        had_begun = run.began_next
        with transaction.atomic(using=self.connection.alias):
            if run.action == Action.UNDO:
                self._unrecord(migration)
                progress["record_id"] = None
            self.ledger.save(run, **progress)
        return had_begun

    def _resume(self, migration: Migration, action: Action) -> dict[str, Any]:
        """Where a run begins: at the one end of the operations, or where the last run of the migration broke off."""
        last = self.partial.get(_key(migration))
        if last is None:
            return {"position": 0 if action == Action.APPLY else len(migration.operations)}
        _refuse_edit_of_partial(migration, last, self.ledger.parts_of(last))
        if last.action == action:
            return {"position": last.position, "substep": last.substep, "began_next": last.began_next}
        if last.substep:
            way = "migrate" if last.action == Action.APPLY else "rollback"
            raise PartlyApplied(
                f"{migration}: {last.substep} statements of operation {last.position + 1} were run before it broke "
                f"off, and the way back is known from its end only. Run {way} to its end first.",
                returncode=2,
            )
        # An operation that began counts as there: turning back from it has to look for what it left.
        began = last.position + (1 if action == Action.UNDO else -1) * last.began_next
        return {"position": began, "began_next": last.began_next}

    # The records

    @contextmanager
    def _run(self, migration: Migration, action: Action, **progress: Any) -> Iterator[Run]:
        """A row of the ledger around the work: begun before it, and told how it ended where it fails."""
        require_turn(self.connection)
        self.patience.begin()
        run = self.ledger.begin(Run.of(migration, action, record_id=self._record_id(migration, action), **progress))
        try:
            yield run
        except BaseException as error:
            run.retries, run.longest_lock_wait = self.patience.retries, self.patience.longest_wait
            self.ledger.fail(run, error)
            if run.is_partial:
                _tell_position(error, run)
            raise

    def _record_id(self, migration: Migration, action: Action) -> int | None:
        """The row of django_migrations that an undoing begins with."""
        if action == Action.APPLY:
            return None
        rows = self.recorder.migration_qs.filter(app=migration.app_label, name=migration.name)
        return rows.values_list("id", flat=True).first()

    def _finish(self, run: Run, record_id: int | None) -> None:
        run.retries, run.longest_lock_wait = self.patience.retries, self.patience.longest_wait
        self.ledger.finish(run, record_id)

    def _record(self, migration: Migration) -> int | None:
        """Record it as applied, as Django does; a squash by the migrations that it replaces."""
        if not migration.replaces:
            return self._insert_record(migration.app_label, migration.name)
        for key in migration.replaces:
            self.ledger.note(Run.without_code(key, Action.REPLACE, record_id=self._insert_record(*key)))
        return None

    def _insert_record(self, app: str, name: str) -> int:
        row = self.recorder.migration_qs.create(app=app, name=name)
        return int(row.pk)

    def _unrecord(self, migration: Migration) -> None:
        for app, name in [*migration.replaces, _key(migration)]:
            self.recorder.record_unapplied(app, name)

    def _tell(self, action: str, migration: Migration, fake: bool) -> None:  # noqa: FBT001  # as Django calls it
        if self.progress_callback:
            self.progress_callback(action, migration, fake)


def _key(migration: Migration) -> tuple[str, str]:
    return migration.app_label, migration.name


def _run_deferred(editor: BaseDatabaseSchemaEditor) -> None:
    """What the editor would run as it closes, after the caller's last word: foreign keys, indexes of new columns."""
    while editor.deferred_sql:
        editor.execute(editor.deferred_sql.pop(0), None)


def _refuse_edit_of_partial(migration: Migration, last: Run, before: Fingerprint) -> None:
    """What is in the database is known as the first operations of the file that began: they must still be these."""
    source = source_of(migration)
    there = last.position + bool(last.substep or last.began_next)
    now = source.fingerprint.operation_digests() if source else []
    if now[:there] != before.operation_digests()[:there] and now:
        raise PartlyApplied(
            f"{migration} is partly applied: {last.position} of {last.operations} operations are in the database, by a "
            f"run of {last.started_at:%Y-%m-%d %H:%M}, and these operations were edited since. Nothing was done. Bring "
            f"the file back to what it was (history {migration.app_label} {migration.name} --json has its text), then "
            "migrate goes on from there, or rollback undoes them.",
            returncode=2,
        )


def _tell_position(error: BaseException, run: Run) -> None:
    told = (
        f"{run.app}.{run.name} is not atomic: {run.position} of its {run.operations} operations are in the database. "
        "migrate goes on from there; rollback undoes them."
    )
    if isinstance(error, LockNotObtained):
        error.args = (f"{error}\n{told}",)
    else:
        error.add_note(told)
