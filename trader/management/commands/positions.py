from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trader.management import arguments
from trader.management.terminal import as_json, figure, money, table
from trader.models import Account
from trader.reporting.holdings import Question
from trader.reporting.positions import PositionsReport, report_positions
from trader.reporting.valuation import Given

HEADER = ("Position", "", "Quantity", "Average", "Cost", "Value", "Unrealized", "Realized", "Fees", "Net")


class Command(BaseCommand):
    help = (
        "What an account holds, what that cost, is worth and made; by the rules of the account or, with --method and "
        "--fees, by others. It writes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", required=True, metavar="CODE")
        parser.add_argument("--as-of", type=arguments.day, metavar="DATE", help="By trade date, inclusive; else today.")
        parser.add_argument("--method", choices=Account.CostBasisMethod.values, default="")
        parser.add_argument("--fees", choices=Account.FeePolicy.values, default="")
        parser.add_argument("--lots", action="store_true", help="Open lots, and what closed the others; with --json.")
        parser.add_argument("--closed", action="store_true", help="Also what is not held any more.")
        parser.add_argument("--mark", type=arguments.mark, action="append", default=[], metavar="SYMBOL.MIC=PRICE")
        parser.add_argument("--fx", type=arguments.rate, action="append", default=[], metavar="BASE/QUOTE=RATE")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, account: str, as_of: Any, mark: Any, fx: Any, closed: bool, json: bool, **options: Any) -> None:
        chosen = arguments.account(account)
        question = Question(
            account=chosen,
            as_of=as_of or arguments.today(chosen),
            method=options["method"],
            fee_policy=options["fees"],
            lots=options["lots"],
        )
        marks = {arguments.instrument(name).pk: price for name, price in mark}
        report = report_positions(question, Given(marks, dict(fx)), closed=closed)
        self.stdout.write(as_json(report) if json else as_text(report))


def as_text(report: PositionsReport) -> str:
    rows = [
        (
            f"{each.symbol}.{each.mic}",
            each.currency,
            figure(each.quantity),
            figure(each.avg_px),
            *map(money, (each.cost, each.market_value, each.unrealized_pnl)),
            *map(money, (each.realized_pnl, each.fees, each.net_pnl)),
        )
        for each in report.positions
    ]
    totals = report.totals
    amounts = (totals.cost, totals.market_value, totals.unrealized_pnl, totals.realized_pnl, totals.fees)
    rows.append(("Total", report.base_currency, "", "", *map(money, (*amounts, totals.net_pnl))))
    cash = [(each.currency, money(each.amount), money(each.amount_base)) for each in report.cash]
    cash.append(("Total", "", money(totals.cash)))
    lines = [
        f"{report.account} on {report.as_of}: {report.method}, fees {report.fee_policy}",
        "",
        table(HEADER, rows, left=2),
        "",
        table(("Cash", "Amount", f"In {report.base_currency}"), cash),
    ]
    if report.missing_rates:
        lines += ["", f"No rate is known for {', '.join(report.missing_rates)}: figures that need one are left open."]
    return "\n".join(lines)
