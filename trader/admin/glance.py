"""The book, and one account of it, at a glance: what is held, what that is worth and what it made."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from trader.admin.charts import DRAWING
from trader.admin.figures import Cell, KeyFigure, Table, gain, money, number, percentage
from trader.admin.showing import list_of, page_of
from trader.booking.numbers import total
from trader.models import Account, Order, Position
from trader.reporting.holdings import Question
from trader.reporting.overview import AccountFigures, HoldingFigures, Overview
from trader.reporting.positions import PositionFigures, PositionsReport, report_positions
from trader.reporting.valuation import Given

# As many as somebody takes in at once; their lists have all.
MOST_ACCOUNTS, MOST_HOLDINGS, MOST_ORDERS = 10, 12, 12
ACCOUNTS = ("Account", "", "Value", "Cash", "P&L today", "Open orders")
HOLDINGS = ("Largest positions", "Account", "Quantity", "Price", "Today", "Value")
ORDERS = ("Open orders", "Account", "Instrument", "Side", "Status", "Quantity", "Filled", "Limit")
POSITIONS = ("Position", "", "Quantity", "Average price", "Cost", "Value", "Unrealized", "Realized", "Fees")


def book_glance(now: datetime) -> dict[str, Any]:
    """The context of the index."""
    accounts = list(Account.objects.select_related("base_currency").order_by("code")[: MOST_ACCOUNTS + 1])
    book = Overview(accounts[:MOST_ACCOUNTS], now)
    holdings = book.holdings()[:MOST_HOLDINGS]
    return {
        "accounts": Table(ACCOUNTS, [_account(each) for each in book.accounts()], left=2),
        "has_more_accounts": len(accounts) > MOST_ACCOUNTS,
        "holdings": Table(HOLDINGS, [_holding(each) for each in holdings], left=2),
        "open_orders": Table(ORDERS, [_order(each) for each in _open_orders()], left=5),
    }


def _account(figures: AccountFigures) -> list[Cell]:
    account = figures.account
    return [
        Cell(account.code, page_of(Account, account.pk)),
        Cell(account.base_currency.code),
        money(figures.value),
        money(figures.cash),
        gain(figures.pnl_today),
        Cell(str(figures.open_orders), list_of(Order, account=account.pk, ord_status="open")),
    ]


def _holding(figures: HoldingFigures) -> list[Cell]:
    instrument = figures.instrument
    return [
        Cell(str(instrument), page_of(Position, figures.position)),
        Cell(figures.account.code),
        number(figures.quantity),
        number(figures.price),
        percentage(figures.change),
        money(figures.value),
    ]


def _open_orders() -> QuerySet[Order]:
    orders = Order.objects.filter(leaves_qty__gt=0).order_by("-pk")
    return orders.select_related("account", "instrument__venue", "instrument__currency")[:MOST_ORDERS]


def _order(order: Order) -> list[Cell]:
    return [
        Cell(order.cl_ord_id, page_of(Order, order.pk)),
        Cell(order.account.code),
        Cell(str(order.instrument)),
        Cell(order.get_side_display()),
        Cell(Order.OrdStatus(order.ord_status).label),
        number(order.order_qty),
        number(order.cum_qty),
        number(order.price),
    ]


def account_glance(account: Account, now: datetime) -> dict[str, Any]:
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
