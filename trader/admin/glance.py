"""An account at a glance: what it holds, what that is worth and what it made."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from trader.admin.charts import DRAWING
from trader.admin.figures import Cell, KeyFigure, Table, gain, money, number
from trader.admin.showing import page_of
from trader.booking.numbers import total
from trader.models import Account, Position
from trader.reporting.holdings import Question
from trader.reporting.positions import PositionFigures, PositionsReport, report_positions
from trader.reporting.valuation import Given

POSITIONS = ("Position", "", "Quantity", "Average price", "Cost", "Value", "Unrealized", "Realized", "Fees")


def glance(account: Account, now: datetime) -> dict[str, Any]:
    """The context of its page: as of the account's today."""
    report = report_positions(Question(account=account, as_of=account.date_of(now), names_missing_rates=False), Given())
    return {
        "figures_media": DRAWING,
        "report": report,
        "key_figures": _key_figures(report),
        "positions": _positions(account, report.positions),
        "cash": _cash(report),
    }


def _key_figures(report: PositionsReport) -> list[KeyFigure]:
    totals, base = report.totals, report.base_currency
    worth = total(totals.market_value, totals.cash)
    return [
        KeyFigure(f"Value in {base}", money(worth)),
        KeyFigure(f"Positions in {base}", money(totals.market_value)),
        KeyFigure(f"Cash in {base}", money(totals.cash)),
        KeyFigure(f"Unrealized P&L in {base}", gain(totals.unrealized_pnl)),
        KeyFigure(f"Realized P&L in {base}", gain(totals.realized_pnl)),
        KeyFigure(f"Dividends in {base}", gain(totals.dividends)),
    ]


def _positions(account: Account, figures: Iterable[PositionFigures]) -> Table:
    kept = Position.objects.filter(account=account).values_list(
        "instrument__symbol", "instrument__venue__mic", "instrument__currency__code", "pk"
    )
    pages = {tuple(name): page_of(Position, pk) for *name, pk in kept}
    rows = [
        [
            Cell(f"{each.symbol}.{each.mic}", pages[each.symbol, each.mic, each.currency]),
            Cell(each.currency),
            number(each.quantity),
            number(each.avg_px),
            money(each.cost),
            money(each.market_value),
            gain(each.unrealized_pnl),
            gain(each.realized_pnl),
            money(each.fees),
        ]
        for each in figures
    ]
    return Table(POSITIONS, rows, left=2)


def _cash(report: PositionsReport) -> Table:
    rows = [[Cell(each.currency), money(each.amount), money(each.amount_base)] for each in report.cash]
    return Table(("Cash", "Amount", f"In {report.base_currency}"), rows)
