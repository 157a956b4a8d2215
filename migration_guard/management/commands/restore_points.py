import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

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
        listed = look(connections[options["database"]].settings_dict["NAME"], progress)
        progress.end()
        if options["json"]:
            self.stdout.write(json.dumps([as_data(each) for each in listed], indent=2))
        else:
            self.stdout.write("\n".join(as_lines(listed, timezone.now())))
        if any(each.problems for each in listed):
            raise SystemExit(1)
