import sys
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.commands.migrate import Command as MigrateCommand
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import TransactionPooling
from migration_guard.losses import Losses
from migration_guard.rollback import RollbackPlan
from migration_guard.turns import turn


class Command(BaseCommand):
    help = "Undo migrations: say which and what would be lost, ask, and undo them as migrate applies them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", nargs="?", help="Undo migrations of this app only.")
        parser.add_argument("migration_name", nargs="?", help='The last migration that stays, or "zero".')
        parser.add_argument(
            "--steps", type=int, help="How many migrations to undo, the last applied first; 1 by itself."
        )
        parser.add_argument("--plan", action="store_true", help="Only say what would be undone and lost.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["migration_name"] and options["steps"] is not None:
            raise CommandError("Give either the migration that is to stay, or --steps.", returncode=2)
        if options["steps"] is not None and options["steps"] < 1:
            raise CommandError(f"--steps is {options['steps']}: give 1 or more.", returncode=2)
        connection = connections[options["database"]]
        plan = self._plan(connection, options)
        if not plan.migrations:
            self.stdout.write("Nothing to undo.")
            return
        self._describe(connection, plan)
        if not options["plan"] and self._is_wanted(plan, options):
            self._undo(connection, plan, options)

    def _plan(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> RollbackPlan:
        plan = RollbackPlan(connection, self.stderr.write)
        if options["migration_name"]:
            return plan.to(options["app_label"], options["migration_name"])
        return plan.last(options["steps"] or 1, options["app_label"])

    def _describe(self, connection: BaseDatabaseWrapper, plan: RollbackPlan) -> None:
        losses = Losses(connection, plan.loader)
        self.stdout.write(self.style.MIGRATE_HEADING("To be undone:"))
        for migration in plan.migrations:
            self.stdout.write(self.style.MIGRATE_LABEL(f"  {migration}"))
            for operation in reversed(plan.operations_there(migration)):
                description, is_error = MigrateCommand.describe_operation(operation, backwards=True)
                self.stdout.write(f"    {description}", self.style.ERROR if is_error else None)
            for loss in losses.of(migration, plan.operations_there(migration)):
                self.stdout.write(f"    {loss}", self.style.WARNING if loss.rows else None)
        self.stdout.flush()
        if irreversible := list(plan.irreversible()):
            raise CommandError("\n".join([*irreversible, "Nothing was undone."]), returncode=2)

    def _is_wanted(self, plan: RollbackPlan, options: dict[str, Any]) -> bool:
        if options["yes"]:
            return True
        if not sys.stdin.isatty():
            raise CommandError("There is no terminal to ask at. Nothing was undone; --yes undoes it.", returncode=2)
        number = len(plan.migrations)
        question = f"Undo {'this migration' if number == 1 else f'these {number} migrations'}? [y/N] "
        if input(question).strip().lower() in {"y", "yes"}:
            return True
        raise CommandError("Nothing was undone.")

    def _undo(self, connection: BaseDatabaseWrapper, plan: RollbackPlan, options: dict[str, Any]) -> None:
        try:
            with turn(connection, say=self.stderr.write) as session:
                if list(map(str, self._plan(session, options).migrations)) != list(map(str, plan.migrations)):
                    raise CommandError(
                        "Another process changed the database meanwhile. Nothing was undone.", returncode=2
                    )
                for app, target in plan.targets():
                    call_command(
                        "migrate",
                        app,
                        target,
                        database=options["database"],
                        interactive=False,
                        verbosity=options["verbosity"],
                        skip_checks=True,
                        stdout=options.get("stdout"),
                        stderr=options.get("stderr"),
                    )
        except TransactionPooling as error:
            raise CommandError(str(error), returncode=2) from error
