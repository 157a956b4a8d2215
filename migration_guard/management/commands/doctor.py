import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from migration_guard.connections import require_postgresql
from migration_guard.doctor.diagnosis import Diagnosis, State
from migration_guard.doctor.examining import examine


class Command(BaseCommand):
    help = (
        "Say what is wrong with the database and the migrations, a line each, with the command that mends it. It only "
        "reads. Exits 0 when all is well, 1 where there is a problem, 2 where something could not be looked at."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="A verdict, and a list of objects.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections))

    def handle(self, *args: Any, **options: Any) -> None:
        require_postgresql(connections[options["database"]])
        # What a check prints would stand among the lines; this command's own output goes where it went before.
        with redirect_stdout(sys.stderr):
            self.report(examine(options["database"]), as_json=options["json"])

    def report(self, lines: Sequence[Diagnosis], *, as_json: bool) -> None:
        states = {line.state for line in lines}
        verdict = State.PROBLEM if State.PROBLEM in states else State.UNKNOWN if State.UNKNOWN in states else State.OK
        if as_json:
            self.stdout.write(json.dumps({"verdict": verdict, "lines": [asdict(line) for line in lines]}, indent=2))
        else:
            styles = {State.PROBLEM: self.style.ERROR, State.OK: self.style.SUCCESS}
            for line in lines:
                self.stdout.write(f"{line.state:8} {line.subject}: {line.message}", styles.get(line.state))
                if line.mend:
                    self.stdout.write(f"         {line.mend}")
        if verdict != State.OK:
            raise SystemExit(1 if verdict == State.PROBLEM else 2)
