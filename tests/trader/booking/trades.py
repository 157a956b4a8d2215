"""Trades as tests write them down: a day of January 2024 each, numbers as text."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from trader.booking.fees import BUY, SELL, counted, gross_amount
from trader.booking.holding import Fill, Holding, Rules, Split
from trader.booking.lots import Selection

# An int is as good as a Decimal to compare with.
Number = Decimal | int


class Slice(NamedTuple):
    """A match, without its times and without its money in base currency."""

    opening_trade: str
    closing_trade: str
    quantity: Number
    proceeds: Number
    cost: Number


def buy(day: int, quantity: str, price: str, **further: Any) -> Fill:
    return trade(day, BUY, quantity, price, **further)


def sell(day: int, quantity: str, price: str, **further: Any) -> Fill:
    return trade(day, SELL, quantity, price, **further)


def trade(
    day: int, sign: int, quantity: str, price: str, *, fee: str = "0", units: str = "0", unit: str = "1", **further: Any
) -> Fill:
    """The trade `T<day>`, as it counts; `units` is a fee in units of the instrument."""
    gross = gross_amount(Decimal(quantity), Decimal(price), Decimal(unit))
    count = counted(sign, Decimal(quantity), gross, Decimal(fee), Decimal(units))
    at = datetime(2024, 1, day, 12, tzinfo=UTC)
    return Fill(f"T{day}", at, at.date(), sign, count.quantity, count.gross, count.fees, **further)


def split(day: int, numerator: int, denominator: int) -> Split:
    return Split(date(2024, 1, day), numerator, denominator)


def selecting(**parts: str) -> tuple[Selection, ...]:
    """`selecting(T1="3")`: three units of what the trade of day 1 opened."""
    return tuple((opening, Decimal(quantity)) for opening, quantity in parts.items())


def rules(method: str = "FIFO", policy: str = "EXPENSED", *, short: bool = True, increment: str = "1e-8") -> Rules:
    return Rules(method, policy, short, Decimal(increment))


def held(by: Rules, fills: Iterable[Fill], splits: Iterable[Split] = ()) -> Holding:
    """What these trades leave, and made."""
    holding = Holding(by)
    for _ in holding.replay(fills, splits):
        pass
    return holding


def numbers(*values: Number | None) -> tuple[Number | None, ...]:
    return values


def slices(holding: Holding) -> list[Slice]:
    return [
        Slice(each.opening_trade, each.closing_trade, each.quantity, each.proceeds.amount, each.cost.amount)
        for each in holding.matches
    ]


def left(holding: Holding) -> dict[str, Decimal]:
    """What remains of which trade's lot."""
    return {lot.trade: lot.remaining for lot in holding.lots if lot.remaining}
