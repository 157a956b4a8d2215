from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from migration_guard.applied import WHERE
from migration_guard.connections import UnfitSession, require_postgresql, rows
from migration_guard.console import GuardedCommand
from migration_guard.restoring.into import restore_into
from migration_guard.restoring.points import RestorePoint, Shelf
from migration_guard.restoring.restoring import Restoring


class Command(GuardedCommand):
    help = "Bring back what a restore point has kept: say what that changes, ask, and do it in one transaction."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="As restore_points lists it.")
        parser.add_argument("--into", metavar="DB", help="As tables of another database, to be looked at.")
        parser.add_argument("--plan", action="store_true", help="Only say what would change.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] and options["into"]:
            raise CommandError("Give either --plan or --into.", returncode=2)
        self.verbosity = options["verbosity"]
        connection = connections[options["database"]]
        require_postgresql(connection)
        ((database, *_),) = rows(connection, WHERE)
        point = Shelf(database).find(options["name"])
        if options["into"]:
            restore_into(connection, point, options["into"])
            self.stdout.write(f"Restored into {options['into']}.")
            return
        try:
            with Restoring.staged(connection, point, self.say) as restoring:
                self._restore(restoring, point, options)
        except UnfitSession as error:
            raise CommandError(str(error), returncode=2) from error

    def _restore(self, restoring: Restoring, point: RestorePoint, options: dict[str, Any]) -> None:
        for line in restoring.describe():
            self.stdout.write(line)
        if options["plan"]:
            return
        self.ask("Restore that?", is_answered=options["yes"], undone="Nothing was restored")
        restoring.restore()
        self.stdout.write(f"Restored {point.name}, and compared with what was kept: every row is as it was.")
