from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trader.booking.numbers import total
from trader.management import arguments
from trader.management.terminal import as_json, money, percent, table
from trader.models.dates import DATES, OUT_OF_BOUNDS
from trader.reporting.performance import PerformanceReport, report_performance
from trader.reporting.valuation import Given

# A longer period is told month by month.
DAYS_SHOWN = 31


class Command(BaseCommand):
    help = (
        "What an account earned in a period: its value, deposits less withdrawals, the time-weighted and the "
        "money-weighted return and the largest drawdown. It writes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", required=True, metavar="CODE")
        parser.add_argument(
            "--from", type=arguments.day, dest="start", metavar="DATE", help="Its first day; else the account's."
        )
        parser.add_argument("--to", type=arguments.day, dest="end", metavar="DATE", help="Its last day; else today.")
        parser.add_argument("--mark", type=arguments.mark, action="append", default=[], metavar="SYMBOL.MIC=PRICE")
        parser.add_argument("--fx", type=arguments.rate, action="append", default=[], metavar="BASE/QUOTE=RATE")
        parser.add_argument("--json", action="store_true")

    def handle(
        self, *, account: str, start: date | None, end: date | None, mark: Any, fx: Any, json: bool, **_: object
    ) -> None:
        chosen = arguments.account(account)
        end = end or arguments.today(chosen)
        if not DATES[0] <= (start or end) <= end <= DATES[1]:
            _refuse(start or end, end)
        marks = {arguments.instrument(name).pk: price for name, price in mark}
        report = report_performance(chosen, start, end, Given(marks, dict(fx)))
        self.stdout.write(as_json(report.as_data()) if json else as_text(report))


def _refuse(start: date, end: date) -> None:
    """Raises CommandError."""
    if start > end:
        raise CommandError(f"The period would begin on {start}, after its end on {end}.", returncode=2)
    raise CommandError(f"The period is from {start} to {end}. {OUT_OF_BOUNDS}", returncode=2)


def as_text(report: PerformanceReport) -> str:
    figures = [
        ("Initial value", money(report.initial_value)),
        ("Transfers", money(report.transfers)),
        ("Earnings", money(report.earnings)),
        ("Final value", money(report.final_value)),
        ("Time-weighted return", percent(report.twr)),
        ("Money-weighted return, a year", percent(report.mwr)),
        ("Largest drawdown", percent(report.max_drawdown)),
    ]
    days = [(f"{day}", money(transfers), money(value), percent(twr)) for day, transfers, value, twr in _shown(report)]
    return "\n".join(
        [
            f"{report.account} from {report.start} to {report.end}, in {report.base_currency}",
            "",
            table(("", report.base_currency), figures),
            "",
            table(("Until", "Transfers", "Value", "TWR"), days),
            *_open(report),
        ]
    )


def _shown(report: PerformanceReport) -> Iterator[tuple[Any, ...]]:
    """Each day, or of a longer period each month's last, with the month's transfers."""
    by_day = len(report.series) <= DAYS_SHOWN
    for _, days in groupby(report.series, key=lambda each: each.date if by_day else each.date.replace(day=1)):
        month = list(days)
        yield month[-1].date, total(*(each.transfers for each in month)), month[-1].value, month[-1].twr


def _open(report: PerformanceReport) -> Iterator[str]:
    """Why figures are left open."""
    for missing, what in ((report.missing_prices, "price"), (report.missing_rates, "rate")):
        if missing:
            yield f"\nNo {what} is known for {', '.join(missing)} on some of these days: figures that need it are open."
    if report.twr is None and not (report.missing_prices or report.missing_rates):
        first = next(each.date for each in report.series if each.twr is None)
        yield f"\nNo return is told from {first} on: there was nothing to earn it on, or less than nothing was left."
