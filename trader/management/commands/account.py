from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from trader.management import arguments
from trader.models import Account
from trader.operations.accounts import create_account
from trader.operations.currencies import CurrencyUnusable


class Command(BaseCommand):
    help = "Makes a new account. What its figures are counted by stays as it is from its first entry on."

    def add_arguments(self, parser: CommandParser) -> None:
        create = parser.add_subparsers(dest="action", required=True).add_parser("create")
        create.add_argument("code")
        create.add_argument("--currency", required=True, metavar="CODE", help="The base currency of its reports.")
        create.add_argument("--name", default="", help="Else its code.")
        create.add_argument("--method", choices=Account.CostBasisMethod.values, default=Account.CostBasisMethod.FIFO)
        create.add_argument("--fees", choices=Account.FeePolicy.values, default=Account.FeePolicy.EXPENSED)
        create.add_argument("--allow-short", action="store_true")
        create.add_argument("--time-zone", default="UTC", metavar="ZONE", help="An IANA name such as Europe/Zurich.")

    def handle(self, *, code: str, currency: str, **options: Any) -> None:
        try:
            account = create_account(
                code=code,
                currency=currency,
                name=options["name"] or code,
                cost_basis_method=options["method"],
                fee_policy=options["fees"],
                allow_short=options["allow_short"],
                time_zone=options["time_zone"],
            )
        except (ValidationError, CurrencyUnusable) as error:
            raise CommandError(arguments.explained(error), returncode=2) from error
        self.stdout.write(f"Account {account}: {account.cost_basis_method}, fees {account.fee_policy}, in {currency}.")
