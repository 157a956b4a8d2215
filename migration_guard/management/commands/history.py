import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from migration_guard.connections import require_postgresql
from migration_guard.history import as_data, describe, runs
from migration_guard.runs import RunLedger


class Command(BaseCommand):
    help = "Show what was applied to a database and undone in it: when, by whom, from which release, and how it ended."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", nargs="?", help="Only the migrations of this app.")
        parser.add_argument("migration_name", nargs="?", help="Only the migrations whose name begins so.")
        parser.add_argument("--json", action="store_true", help="A list of objects; for one migration with its text.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections))

    def handle(self, *args: Any, **options: Any) -> None:
        app, name = options["app_label"], options["migration_name"]
        connection = connections[options["database"]]
        require_postgresql(connection)
        found = runs(RunLedger(connection), app, name)
        if options["json"]:
            self.stdout.write(json.dumps([as_data(run, with_parts=bool(name)) for run in found], indent=2))
            return
        lines = [line for run in found for line in self._lines(run)]
        self.stdout.write("\n".join(lines) if lines else "The ledger of this database has no run of that kind yet.")

    def _lines(self, run: Any) -> list[str]:
        first, *details = describe(run)
        return [first, *(f"{'':21}{detail}" for detail in details)]
