"""Applying and undoing a migration that is not atomic: step by step, going on where the last run broke off."""

from contextlib import suppress
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, transaction
from django.db.migrations import Migration
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.executor import GuardedExecutor, key_of, run_deferred
from migration_guard.ledger import source_of
from migration_guard.runs import Action, Run
from migration_guard.steps import Step, refuses_transactions, steps_backwards, steps_forwards
from migration_guard.turns import require_turn


class PartlyApplied(CommandError):
    """Some operations of a migration are in the database, and what is asked for needs all of them, or none."""


class Stepwise:
    """One migration, taken apart; its progress is in the ledger, with each step in the step's own transaction."""

    def __init__(self, executor: GuardedExecutor, migration: Migration) -> None:
        self.executor = executor
        self.connection = executor.connection
        self.migration = migration
        self.last = executor.partial.get(key_of(migration))
        self.run: Run

    def apply(self, state: ProjectState) -> ProjectState:
        with self.executor.running(self.migration, Action.APPLY, **self._resume(Action.APPLY)) as self.run:
            for index, operation in enumerate(self.migration.operations):
                before = state.clone()
                operation.state_forwards(self.migration.app_label, state)
                if index >= self.run.position:
                    steps = steps_forwards(operation, self.migration.app_label, before, state)
                    self._take_all(list(steps), finally_at=index + 1)
            with transaction.atomic(using=self.connection.alias):
                self.executor.finish_applying(self.run, self.migration)
        return state

    def unapply(self, state: ProjectState) -> ProjectState:
        resumed = self._resume(Action.UNDO)
        undone = self._operations_with_states(state, resumed["position"])
        with self.executor.running(self.migration, Action.UNDO, **resumed) as self.run:
            for index, (operation, before, after) in reversed(list(enumerate(undone))):
                steps = steps_backwards(operation, self.migration.app_label, before, after)
                self._take_all(list(steps), finally_at=index)
            with transaction.atomic(using=self.connection.alias):
                self.executor.finish_undoing(self.run, self.migration)
        return state

    def _operations_with_states(
        self, state: ProjectState, number: int
    ) -> list[tuple[Operation, ProjectState, ProjectState]]:
        """The first operations, each with the state that has it and the one that has it not yet."""
        found = []
        for operation in self.migration.operations[:number]:
            if not operation.reversible:
                raise IrreversibleError(f"Operation {operation} in {self.migration} is not reversible")
            after = state.clone()
            operation.state_forwards(self.migration.app_label, after)
            found.append((operation, after, state))
            state = after
        return found

    def _take_all(self, steps: list[Step], *, finally_at: int) -> None:
        """Take the steps of one operation that are still to be taken, each with the record of where it leads to."""
        for number in range(self.run.substep, len(steps)):
            is_last = number == len(steps) - 1
            progress = {
                "position": finally_at if is_last else self.run.position,
                "substep": 0 if is_last else number + 1,
                "began_next": False,
            }
            require_turn(self.connection)
            self._take(steps[number], progress)
        self.run.position = finally_at

    def _take(self, step: Step, progress: dict[str, Any]) -> None:
        def work() -> None:
            with self.connection.schema_editor(atomic=True) as editor:
                kept.begin()
                step.run(editor)
                run_deferred(editor)
                kept.finish()
                self._save(**progress)

        if step.may_be_transactional:
            kept = self.executor.keeping(self.run, [step.operation])
            try:
                kept.until_kept(lambda: self.executor.patience.transaction(work, f"{self.migration}, {step}"))
            except DatabaseError as error:
                if not refuses_transactions(error):
                    raise
            else:
                return
        self._take_outside_transaction(step)
        self._save(**progress)

    def _take_outside_transaction(self, step: Step) -> None:
        """Announce the step, and ask the database about it where an earlier run had announced it."""
        had_begun = self.run.began_next
        self._save(began_next=True)
        if step.is_done(self.connection, began=had_begun):
            return
        if self.executor.taker and step.is_code:
            self.executor.taker.keep_tables(self.run, step.tables_of_app())
        try:
            with self.connection.schema_editor(atomic=False) as editor:
                step.run(editor)
        except DatabaseError:
            # A failed CREATE INDEX CONCURRENTLY leaves an index; where the connection is lost, the next run finds it.
            with suppress(DatabaseError, InterfaceError):
                step.is_done(self.connection, began=False)
                self._save(began_next=not step.is_one_statement)
            raise

    def _save(self, **progress: Any) -> None:
        """Record the progress. What is not wholly in the database is not recorded as applied."""
        with transaction.atomic(using=self.connection.alias):
            if self.run.action == Action.UNDO:
                self.executor.unrecord(self.migration)
                progress["record_id"] = None
            self.executor.ledger.save(self.run, **progress)

    def _resume(self, action: Action) -> dict[str, Any]:
        """Where to begin: at the one end of the operations, or where the last run of the migration broke off."""
        last = self.last
        if last is None:
            return {"position": 0 if action == Action.APPLY else len(self.migration.operations)}
        self._refuse_edit(last)
        if last.action == action:
            return {"position": last.position, "substep": last.substep, "began_next": last.began_next}
        if last.substep:
            way = "migrate" if last.action == Action.APPLY else "rollback"
            raise PartlyApplied(
                f"{self.migration}: {last.substep} statements of operation {last.position + 1} were run before it "
                f"broke off, and the way back is known from its end only. Run {way} to its end first.",
                returncode=2,
            )
        # An operation that began counts as there: turning back from it has to look for what it left.
        began = last.position + (1 if action == Action.UNDO else -1) * last.began_next
        return {"position": began, "began_next": last.began_next}

    def _refuse_edit(self, last: Run) -> None:
        """What is in the database is known as the first operations of the file as it was: they must still be these."""
        source = source_of(self.migration)
        there = last.position + bool(last.substep or last.began_next)
        before = self.executor.ledger.parts_of(last).operation_digests()
        if source and source.fingerprint.operation_digests()[:there] != before[:there]:
            app, name = key_of(self.migration)
            raise PartlyApplied(
                f"{self.migration} is partly applied: {last.position} of {last.operations} operations are in the "
                f"database, by a run of {last.started_at:%Y-%m-%d %H:%M}, and these operations were edited since. "
                f"Nothing was done. Bring the file back to what it was (history {app} {name} --json has its text); "
                "then migrate goes on from there, or rollback undoes them.",
                returncode=2,
            )
