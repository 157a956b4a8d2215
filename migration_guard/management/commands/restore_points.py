import json
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from migration_guard.applied import WHERE
from migration_guard.connections import rows
from migration_guard.console import Progress
from migration_guard.restoring.listing import as_data, as_lines, look


class Command(BaseCommand):
    help = "List the restore points of a database: what they hold, their age and size, and whether they are whole."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="A list of objects.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections))

    def handle(self, *args: Any, **options: Any) -> None:
        progress = Progress()
        listed = look(self._database(connections[options["database"]]), progress)
        progress.end()
        if options["json"]:
            self.stdout.write(json.dumps([as_data(each) for each in listed], indent=2))
        else:
            self.stdout.write("\n".join(as_lines(listed, timezone.now())))
        if any(each.problems for each in listed):
            raise SystemExit(1)

    def _database(self, connection: BaseDatabaseWrapper) -> str:
        """The name that the server has for it, not that of a proxy; where none answers, that of the settings."""
        with suppress(DatabaseError):
            return str(rows(connection, WHERE)[0][0])
        return str(connection.settings_dict["NAME"])
