"""`migrate` from end to end: look, wait for the turn, look again, compare, and let Django's command do its work."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor

from migration_guard.conf import GuardSettings
from migration_guard.console import GuardedCommand, require_reason
from migration_guard.ledger import Ledger, MigrationKey
from migration_guard.substitution import standing_in
from migration_guard.survey import Survey, unrecorded_squashes
from migration_guard.turns import is_taken

if TYPE_CHECKING:
    from migration_guard.executor import GuardedExecutor


class Migrating:
    """One call of `migrate`; `as_django` runs Django's own command, which takes the guarded executor for its own."""

    def __init__(self, command: GuardedCommand, options: dict[str, Any], as_django: Callable[[], None]) -> None:
        self.command = command
        self.options = options
        self.as_django = as_django
        self.accepted: set[MigrationKey] = {(app, name) for app, name in options["accept_edited"]}

    def run(self) -> None:
        connection = connections[self.options["database"]]
        if self.options["check_unapplied"] and not self.options["plan"]:
            self.as_django()
            return
        # The stubs know no keyword of the callback's.
        callback: Any = self.command.migration_progress_callback
        executor = MigrationExecutor(connection, callback)
        survey = Survey(executor.loader, Ledger(connection))
        # Django prunes before it shows the plan.
        only_shows = self.options["plan"] and not self.options["prune"]
        if only_shows or not self._has_work(connection, executor, survey):
            self._compare(executor, survey)
            with executing_with(executor):
                self.as_django()
        else:
            self._migrate(connection)

    def _has_work(self, connection: BaseDatabaseWrapper, executor: MigrationExecutor, survey: Survey) -> bool:
        """Whether anything may have to be written; the turn of another process may still be writing it."""
        return bool(
            self.options["app_label"]
            or self.options["run_syncdb"]
            or self.accepted
            or survey.has_news
            or executor.migration_plan(executor.loader.graph.leaf_nodes())
            or unrecorded_squashes(executor.loader)
            or is_taken(connection)
        )

    def _migrate(self, connection: BaseDatabaseWrapper) -> None:
        """In its turn: what was seen before may have changed while it waited."""
        # What it imports in turn costs more than all else there is to do when there is nothing to do.
        from migration_guard.executor import GuardedExecutor  # noqa: PLC0415
        from migration_guard.news import record  # noqa: PLC0415

        with GuardedExecutor.in_turn(connection, self.command) as executor:
            survey = Survey(executor.loader, executor.ledger)
            self._compare(executor, survey)
            executor.check = partial(self._before_work, executor)
            executor.ledger.ensure_table()
            with executor.patience.at_work(), executing_with(executor):
                record(
                    survey,
                    executor.ledger,
                    accepted=self.accepted,
                    reason=self.options["reason"],
                    say=self.command.say,
                )
                if self.options["prune"]:
                    self._prune(executor)
                else:
                    self.as_django()

    def _compare(self, executor: MigrationExecutor, survey: Survey) -> None:
        """Raise CommandError where what is applied is not what the code says."""
        if self.options["prune"]:
            return
        self._check_accepted(survey)
        survey.refuse_edits(self.accepted, renamed=not self.options["fake"])
        if survey.unknown and not self.options["fake"]:
            survey.refuse_two_histories(self._pending(executor), self.accepted)
        if unknown := set(survey.unknown) - self.accepted:
            from migration_guard.news import describe_unknown  # noqa: PLC0415  # as in _migrate
            from migration_guard.runs import RunLedger  # noqa: PLC0415

            for line in describe_unknown(unknown, RunLedger(survey.ledger.connection)):
                self.command.say(line)

    def _check_accepted(self, survey: Survey) -> None:
        for option in ("accept_edited", "without_receipt", "without_restore_point"):
            if self.options[option]:
                require_reason(f"--{option.replace('_', '-')}", self.options["reason"])
        for app, name in self.accepted - survey.edited.keys() - set(survey.unknown):
            raise CommandError(
                f"{app}.{name} is neither edited nor missing: there is nothing to accept. Give the whole name of an "
                "applied migration, as showmigrations prints it.",
                returncode=2,
            )

    def _before_work(self, executor: "GuardedExecutor", pending: list[Migration]) -> None:
        """An empty database needs neither receipts nor restore points."""
        if not executor.loader.applied_migrations:
            return
        if self.options["without_receipt"] or self.options["without_restore_point"]:
            executor.reason = self.options["reason"]
        self._require_receipts(executor, pending)
        if not self.options["without_restore_point"]:
            executor.take_restore_points(everything=self.options["restore_point"], say=self.command.say)

    def _require_receipts(self, executor: "GuardedExecutor", pending: list[Migration]) -> None:
        """Raise CommandError where the settings ask for receipts and one is missing."""
        if not GuardSettings.load().REQUIRE_RECEIPTS or self.options["without_receipt"]:
            return
        from migration_guard.receipts import require_receipts  # noqa: PLC0415  # as in _migrate

        for line in require_receipts(pending, executor.connection, partial=executor.partial.keys()):
            self.command.say(line)

    def _pending(self, executor: MigrationExecutor) -> list[Migration]:
        label = self.options["app_label"]
        leaves = [key for key in executor.loader.graph.leaf_nodes() if label in {None, key[0]}]
        return [migration for migration, _ in executor.migration_plan(leaves)]

    def _prune(self, executor: "GuardedExecutor") -> None:
        """Django deletes the rows of what is no longer in the code; the ledger keeps that it did."""
        with transaction.atomic(using=executor.connection.alias):
            before = executor.recorder.applied_migrations()
            self.as_django()
            executor.note_pruned(before.keys() - executor.recorder.applied_migrations().keys())


def executing_with(executor: MigrationExecutor) -> AbstractContextManager[None]:
    """Let Django's command, which makes its executor by name, find this one."""
    module: Any = migrate
    of_django = module.MigrationExecutor

    def made(connection: BaseDatabaseWrapper, *arguments: Any) -> MigrationExecutor:
        """A migration may itself call `migrate` for another database."""
        is_ours = connection.alias == executor.connection.alias
        return executor if is_ours else of_django(connection, *arguments)

    return standing_in(migrate, "MigrationExecutor", made)
