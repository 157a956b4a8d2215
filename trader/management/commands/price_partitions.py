from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from trader.management import arguments
from trader.management.terminal import as_json
from trader.operations.price_partitions import (
    PartitionNotMade,
    due_years,
    make_partitions,
    partition_name,
    years_in_default,
)


class Command(BaseCommand):
    help = (
        "Makes the yearly partitions of price bars that are missing: of this year, the next one, and of every year "
        "whose bars lie in the default partition, which it moves. Exits 0 when all are there, 2 where one cannot be "
        "made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--until", type=arguments.year, default=0, metavar="YEAR", help="Make those of the years up to it too."
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *, until: int, json: bool, **_: Any) -> None:
        years = sorted({*due_years(now=timezone.now(), until=until), *years_in_default()})
        made = []
        try:
            for year, moved in make_partitions(years):
                made.append({"year": year, "partition": partition_name(year), "moved": moved})
                if not json:
                    self.stdout.write(f"Made {partition_name(year)}. Bars moved into it: {moved:,}.")
        except PartitionNotMade as error:
            raise CommandError(str(error), returncode=2) from error
        if json:
            self.stdout.write(as_json({"made": made}))
        elif not made:
            self.stdout.write(
                f"Nothing to make: {years[0]} to {years[-1]} have their partitions, and the default one is empty."
            )
