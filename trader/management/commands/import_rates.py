from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trader.importing.rates import import_rates
from trader.management import outcomes


class Command(BaseCommand):
    help = (
        "Enters exchange rates of a CSV file with the columns base,quote,at,rate: all of the file or nothing, and "
        "nothing twice. Exits 0 when they are in the book, 1 when the file is refused, 2 where it cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", default="file", help="Who says so; a rate of another source stands beside it.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, file: Path, source: str, json: bool, **_: Any) -> None:
        try:
            with file.open("rb") as opened:
                outcome = import_rates(opened, source=source)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.", returncode=2) from error
        outcomes.say(self, outcome, json=json)
