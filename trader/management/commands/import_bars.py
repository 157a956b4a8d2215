from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trader.importing.bar_rows import Series
from trader.importing.bars import import_bars
from trader.management import arguments, outcomes
from trader.management.terminal import Progress
from trader.operations.price_partitions import years_in_default


class Command(BaseCommand):
    help = (
        "Enters price bars of a CSV file with the columns ts,open,high,low,close,volume: all of the file or nothing, "
        "and nothing twice. Exits 0 when they are in the book, 1 when the file is refused, 2 where it cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--instrument", required=True, metavar="SYMBOL.MIC")
        parser.add_argument("--timeframe", required=True, type=arguments.timeframe, help="1d, 1h, 5m.")
        parser.add_argument(
            "--source",
            default="file",
            type=arguments.price_source,
            metavar="NAME",
            help="Who says so; a bar of another source stands beside it.",
        )
        parser.add_argument(
            "--split-adjusted", action="store_true", help="The source restates earlier prices after a split."
        )
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and keep nothing.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, file: Path, instrument: str, dry_run: bool, json: bool, **options: Any) -> None:
        named = arguments.instrument(instrument)
        series = Series(named, options["timeframe"], options["source"], options["split_adjusted"])
        progress = Progress(self.stderr)
        try:
            with file.open("rb") as opened:
                outcome = import_bars(opened, series=series, dry_run=dry_run, watch=progress)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.", returncode=2) from error
        finally:
            progress.end()
        outcomes.say(self, outcome, json=json, verb="Would import" if dry_run else "Imported")
        if not json and (years := years_in_default(named.pk)):
            listed = ", ".join(map(str, years))
            self.stdout.write(f"Bars of {listed} lie in the default partition: `price_partitions` makes their own.")
