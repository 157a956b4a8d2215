"""What an account's money earned in a period, and at what rate: the figures of `manage.py performance`."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from trader.booking.numbers import exact, quantized, total
from trader.booking.returns import drawdown, growth, xirr
from trader.models import Account
from trader.reporting.valuation import Given
from trader.reporting.values import DayValue, Values, values


@dataclass(frozen=True)
class DayPerformance(DayValue):
    """`twr` is the time-weighted return from the start of the period to the end of the day."""

    twr: Decimal | None


@dataclass(frozen=True)
class PerformanceReport:
    """In base currency; returns as parts of 1, at 18 places. None where a price or a rate that a figure needs is
    missing, or where there is no such return: see `booking.returns`."""

    account: str
    base_currency: str
    start: date
    end: date
    initial_value: Decimal | None
    final_value: Decimal | None
    transfers: Decimal | None
    earnings: Decimal | None
    twr: Decimal | None
    mwr: Decimal | None
    max_drawdown: Decimal | None
    series: list[DayPerformance]
    missing_prices: list[str]
    missing_rates: list[str]

    def as_data(self) -> dict[str, Any]:
        """For JSON, in which the period is called `from` and `to`."""
        names = {"start": "from", "end": "to"}
        return {names.get(name, name): value for name, value in vars(self).items()}


def report_performance(account: Account, start: date | None, end: date, given: Given) -> PerformanceReport:
    """Of the days from `start`, else from the first that anything happened on, to `end`; `start` is not after it."""
    known = values(account, start, end, given)
    with exact():
        return _report(account, known)


def _report(account: Account, known: Values) -> PerformanceReport:
    grown = [*growth(known.initial, [(each.transfers, each.value) for each in known.days])]
    returns = [None if each is None else quantized(each - 1) for each in grown]
    initial, final = known.initial, known.days[-1].value
    transfers = total(*(each.transfers for each in known.days))
    return PerformanceReport(
        account=account.code,
        base_currency=account.base_currency.code,
        start=known.start,
        end=known.days[-1].date,
        initial_value=initial,
        final_value=final,
        transfers=transfers,
        earnings=total(final, _negative(initial), _negative(transfers)),
        twr=returns[-1],
        mwr=_rounded(_mwr(known)),
        max_drawdown=_rounded(drawdown(grown)),
        series=[DayPerformance(**vars(day), twr=each) for day, each in zip(known.days, returns, strict=True)],
        missing_prices=known.missing_prices,
        missing_rates=known.missing_rates,
    )


def _mwr(known: Values) -> Decimal | None:
    """As if the initial value were paid in on the evening that it is of, and the final one taken out."""
    flows = [(known.start - timedelta(days=1), _negative(known.initial))]
    flows += [(each.date, _negative(each.transfers)) for each in known.days]
    flows.append((known.days[-1].date, known.days[-1].value))
    dated = [(day, amount) for day, amount in flows if amount is not None]
    return xirr(dated) if len(dated) == len(flows) else None


def _negative(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else -amount


def _rounded(number: Decimal | None) -> Decimal | None:
    return None if number is None else quantized(number)
