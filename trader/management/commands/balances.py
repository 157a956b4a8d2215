from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trader.management import arguments
from trader.management.terminal import as_json, money, table
from trader.reporting.balances import BalancesReport, report_balances
from trader.reporting.valuation import Given


class Command(BaseCommand):
    help = "The trial balance of an account: what each of its ledger accounts holds; debit is positive."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", required=True, metavar="CODE")
        parser.add_argument("--as-of", type=arguments.day, metavar="DATE", help="By value date, inclusive; else today.")
        parser.add_argument("--fx", type=arguments.rate, action="append", default=[], metavar="BASE/QUOTE=RATE")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, account: str, as_of: Any, fx: Any, json: bool, **_: object) -> None:
        chosen = arguments.account(account)
        report = report_balances(chosen, as_of or arguments.today(chosen), Given(rates=dict(fx)))
        self.stdout.write(as_json(report) if json else as_text(report))


def as_text(report: BalancesReport) -> str:
    rows = [(each.kind, each.currency, money(each.amount), money(each.amount_base)) for each in report.balances]
    header = ("Ledger account", "", "Amount", f"In {report.base_currency}")
    return f"{report.account} on {report.as_of}\n\n{table(header, rows, left=2)}"
