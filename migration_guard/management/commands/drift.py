from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from migration_guard.console import Progress, exiting_2
from migration_guard.drift import as_json, as_text, find


class Command(BaseCommand):
    help = (
        "Compares the schema of a database with what the migrations build that are applied in it, and prints the "
        "statements that would mend it, as a script for psql; it writes nothing in the database. Exits 0 with no "
        "difference, 1 with some, 2 where it cannot run."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections))
        parser.add_argument("--json", action="store_true", help="The database and its differences, as one object.")

    def handle(self, *args: Any, **options: Any) -> None:
        progress = Progress()
        with exiting_2("The database cannot be compared", progress):
            drift = find(options["database"], say=self.stderr.write, progress=progress)
        for note in drift.notes:
            self.stderr.write(note, self.style.NOTICE)
        self.stdout.write(as_json(drift) if options["json"] else as_text(drift))
        if drift.differences:
            raise SystemExit(1)
