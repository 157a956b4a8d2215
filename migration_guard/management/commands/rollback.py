from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import UnfitSession, require_postgresql
from migration_guard.console import GuardedCommand, require_reason
from migration_guard.executor import GuardedExecutor
from migration_guard.losses import Losses
from migration_guard.patience import Patience
from migration_guard.rollback import RollbackPlan, undo
from migration_guard.runs import RunLedger
from migration_guard.turns import TurnLost


class Command(GuardedCommand):
    help = "Undo migrations: say which and what would be lost, ask, and undo them as migrate applies them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", nargs="?", help="Undo migrations of this app only.")
        parser.add_argument("migration_name", nargs="?", help='The last migration that stays, or "zero".')
        parser.add_argument("--steps", type=int, help="How many migrations, the last applied first; 1 by itself.")
        parser.add_argument("--plan", action="store_true", help="Only say what would be undone and lost.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        self.add_restore_point_arguments(parser)
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections))

    def handle(self, *args: Any, **options: Any) -> None:
        self.verbosity = options["verbosity"]
        if options["migration_name"] and options["steps"] is not None:
            raise CommandError("Give either the migration that is to stay, or --steps.", returncode=2)
        if options["steps"] is not None and options["steps"] < 1:
            raise CommandError(f"--steps is {options['steps']}: give 1 or more.", returncode=2)
        if options["without_restore_point"]:
            require_reason("--without-restore-point", options["reason"])
        connection = connections[options["database"]]
        require_postgresql(connection)
        patience = Patience(connection, say=self.say)
        plan = self._plan(GuardedExecutor(connection, None, ledger=RunLedger(connection), patience=patience), options)
        if not plan.migrations:
            self.stdout.write("Nothing to undo.")
            return
        self._describe(connection, plan)
        if not options["plan"]:
            number = len(plan.migrations)
            question = f"Undo {'this migration' if number == 1 else f'these {number} migrations'}?"
            self.ask(question, is_answered=options["yes"], undone="Nothing was undone")
            self._undo(connection, plan, options)

    def _plan(self, executor: GuardedExecutor, options: dict[str, Any]) -> RollbackPlan:
        plan = RollbackPlan(executor)
        if options["migration_name"]:
            return plan.to(options["app_label"], options["migration_name"])
        return plan.last(options["steps"] or 1, options["app_label"])

    def _describe(self, connection: BaseDatabaseWrapper, plan: RollbackPlan) -> None:
        losses = Losses(connection)
        self._write(self.style.MIGRATE_HEADING("To be undone:"))
        for migration, state in plan.with_states():
            because = ", which depends on what is undone" if migration in plan.dependents else ""
            self._write(self.style.MIGRATE_LABEL(f"  {migration}{because}"))
            operations = plan.operations_there(migration)
            for operation in reversed(operations):
                description, is_error = self.describe_operation(operation, backwards=True)
                self._write(f"    {description}", self.style.ERROR if is_error else None)
            for loss in losses.of(migration.app_label, operations, state):
                self._write(f"    {loss}", self.style.WARNING if loss.rows != 0 else None)
        self.stdout.flush()
        if irreversible := list(plan.irreversible()):
            raise CommandError("\n".join([*irreversible, "Nothing was undone."]), returncode=2)

    def _write(self, line: str, style: Any = None) -> None:
        if self.verbosity > 0:
            self.stdout.write(line, style)

    def _undo(self, connection: BaseDatabaseWrapper, shown: RollbackPlan, options: dict[str, Any]) -> None:
        try:
            with GuardedExecutor.in_turn(connection, self) as executor:
                plan = self._plan(executor, options)
                if list(map(str, plan.migrations)) != list(map(str, shown.migrations)):
                    told = "Another process changed the database meanwhile. Nothing was undone."
                    raise CommandError(told, returncode=2)
                executor.reason = options["reason"]
                if not options["without_restore_point"]:
                    executor.take_restore_points(everything=options["restore_point"], say=self.say)
                undo(plan, self)
        except (UnfitSession, TurnLost) as error:
            raise CommandError(str(error), returncode=2) from error
