from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from trader.management import arguments
from trader.operations.currencies import CurrencyUnusable
from trader.operations.instruments import create_instrument


class Command(BaseCommand):
    help = "Makes a new instrument, and its venue and coin where they are new too."

    def add_arguments(self, parser: CommandParser) -> None:
        create = parser.add_subparsers(dest="action", required=True).add_parser("create")
        create.add_argument("name", metavar="SYMBOL.MIC", help="The last dot parts them: BRK.B.XNYS.")
        create.add_argument("--currency", required=True, metavar="CODE")
        create.add_argument("--multiplier", type=arguments.positive, default=Decimal(1), help="Of one contract.")
        create.add_argument(
            "--price-quotation-factor",
            type=arguments.positive,
            default=Decimal(1),
            help="What one quoted unit is worth in the currency: 0.01 where pence of GBP are quoted.",
        )
        create.add_argument("--qty-increment", type=arguments.positive, default=Decimal("0.00000001"))

    def handle(self, *, name: str, currency: str, **options: Any) -> None:
        symbol, _, mic = name.rpartition(".")
        if not symbol:
            raise CommandError(f"{name} is not of the form SYMBOL.MIC, such as NESN.XSWX.", returncode=2)
        numbers = {key: options[key] for key in ("multiplier", "price_quotation_factor", "qty_increment")}
        try:
            instrument = create_instrument(symbol=symbol, mic=mic, currency=currency, **numbers)
        except (ValidationError, CurrencyUnusable) as error:
            raise CommandError(arguments.explained(error), returncode=2) from error
        self.stdout.write(f"Instrument {instrument}.")
