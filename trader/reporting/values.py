"""What an account was worth at the end of many days: its cash and its positions, in its base currency."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import compress

from trader.booking.figures import market_values
from trader.booking.holding import Split
from trader.booking.numbers import ONE, ZERO, all_in_base, exact, in_base, total
from trader.models import Account, Instrument, Position
from trader.operations.rates import Rates
from trader.operations.trades import splits_of
from trader.reporting.changes import Calendar, Changes, cash, quantities
from trader.reporting.closes import Closes
from trader.reporting.money import transfers
from trader.reporting.valuation import Given


@dataclass(frozen=True)
class DayValue:
    """At the end of a day; `transfers` are deposits less withdrawals since the day before it in the list. None where a
    price or a rate is missing."""

    date: date
    value: Decimal | None
    transfers: Decimal | None


@dataclass(frozen=True)
class Values:
    """`initial` is the value at the end of the day before `start`; prices are missing of SYMBOL.MIC."""

    start: date
    initial: Decimal | None
    days: list[DayValue]
    missing_prices: list[str]
    missing_rates: list[str]


def values(account: Account, start: date | None, end: date, given: Given, *, most: int | None = None) -> Values:
    """Of each day from `start`, else from the first that anything happened on, to `end`; with `most` of that many at
    the most, evenly spaced back from `end`.

    A value is what `positions --as-of` that day comes to, cash and market value together. What is given stands in for
    the book's own price or rate on `end`, and on every day where the book knows none at all. Takes the same number of
    queries for any number of days and instruments.
    """
    splits = splits_of(Position.objects.filter(account=account).values_list("instrument", flat=True))
    since = start or date.min
    held, money = quantities(account, since, end, splits), cash(account, since, end)
    start = start or _first_day([*held.values(), *money.values()], end)
    calendar = Calendar([start - timedelta(days=1), *_days(start, end, most)])
    with exact():
        rates = DailyRates(account.base_currency.code, calendar.days, given)
        holdings = Holdings({each: calendar.running(changes) for each, changes in held.items()}, splits, given)
        rates.read({*money, *holdings.currencies})
        worth = Total(rates)
        for currency, amounts in holdings.worth(calendar.days):
            worth.add(currency, amounts)
        for currency, changes in money.items():
            worth.add(currency, calendar.running(changes))
        moved = _transfers(account, start, calendar, rates)
    return Values(
        start=start,
        initial=worth.sums[0],
        days=[*map(DayValue, calendar.days, worth.sums, moved)][1:],
        missing_prices=sorted(holdings.missing),
        missing_rates=sorted(rates.missing),
    )


class DailyRates:
    """Into the base currency on each of some days; `missing` gathers the pairs that an amount was left open for."""

    def __init__(self, base: str, days: Sequence[date], given: Given) -> None:
        self.days = days
        self.missing: set[str] = set()
        self.base = base
        self._given = given
        self._rates = Rates()
        self._of: dict[str, list[Decimal | None]] = {}

    def read(self, currencies: Iterable[str]) -> None:
        self._rates.read(currencies, self.base, self.days[0], self.days[-1])

    def of(self, currency: str) -> list[Decimal | None]:
        if currency not in self._of:
            rates = (self.at(currency, day) for day in self.days)
            self._of[currency] = [rate and rate.normalize() for rate in rates]
        return self._of[currency]

    def at(self, currency: str, on: date) -> Decimal | None:
        if currency == self.base:
            return ONE
        given, end = self._given.rate(currency, self.base), self.days[-1]
        if given is not None and (on == end or self._rates.at(currency, self.base, end) is None):
            return given
        return self._rates.at(currency, self.base, on)


class Total:
    """What is added up in base currency on each of some days; None where a part of it is not known."""

    def __init__(self, rates: DailyRates) -> None:
        self.sums: list[Decimal | None] = [ZERO] * len(rates.days)
        self._rates = rates

    def add(self, currency: str, amounts: Sequence[Decimal | None]) -> None:
        converted = amounts
        if currency != self._rates.base:
            rates = self._rates.of(currency)
            converted = all_in_base(amounts, rates)
            # A rate that is known stays known.
            if rates[0] is None and any(
                one is None is not other for one, other in zip(converted, amounts, strict=True)
            ):
                self._miss(currency)
        self.sums = [
            None if known is None or more is None else known + more
            for known, more in zip(self.sums, converted, strict=True)
        ]

    def add_at(self, place: int, currency: str, amount: Decimal, rate: Decimal | None) -> None:
        """Add an amount on one of the days, at a rate."""
        converted = in_base(amount, rate)
        if converted is None:
            self._miss(currency)
        self.sums[place] = total(self.sums[place], converted)

    def _miss(self, currency: str) -> None:
        self._rates.missing.add(f"{currency}/{self._rates.base}")


class Holdings:
    """What was held of each instrument on each of some days; `missing` gathers the names of those whose price was not
    known on one of them."""

    def __init__(
        self, quantities: Mapping[int, list[Decimal]], splits: Mapping[int, Sequence[Split]], given: Given
    ) -> None:
        self.missing: set[str] = set()
        self._quantities = {instrument: held for instrument, held in quantities.items() if any(held)}
        self._splits = splits
        self._marks = given.marks
        self._instruments = Instrument.objects.select_related("currency", "venue").in_bulk(self._quantities)

    @property
    def currencies(self) -> set[str]:
        return {instrument.currency.code for instrument in self._instruments.values()}

    def worth(self, days: Sequence[date]) -> Iterator[tuple[str, list[Decimal | None]]]:
        """Of each instrument its currency and, in it, what was held was worth on each day."""
        first = {each: next(compress(range(len(days)), held)) for each, held in self._quantities.items()}
        closes = Closes({each: days[place] for each, place in first.items()}, days)
        for key, held in self._quantities.items():
            instrument = self._instruments[key]
            prices = closes.of(key, self._splits.get(key, ()))
            if key in self._marks:
                prices = _marked(prices, self._marks[key])
            amounts = market_values(held, prices, instrument.unit)
            # A price that is known stays known.
            if amounts[first[key]] is None:
                self.missing.add(f"{instrument.symbol}.{instrument.venue.mic}")
            yield instrument.currency.code, amounts


def _marked(prices: list[Decimal | None], mark: Decimal) -> list[Decimal | None]:
    known = any(price is not None for price in prices)
    return [*prices[:-1], mark] if known else [mark] * len(prices)


def _first_day(changes: Iterable[Changes], end: date) -> date:
    """The first that anything changed on, until `end`."""
    return date.fromordinal(min((day for each in changes for day in each.days), default=end.toordinal()))


def _days(start: date, end: date, most: int | None) -> list[date]:
    count = (end - start).days + 1
    step = -(-count // most) if most else 1
    return [end - timedelta(days=back) for back in range(0, count, step)][::-1]


def _transfers(account: Account, start: date, calendar: Calendar, rates: DailyRates) -> list[Decimal | None]:
    """At the rates of their entries, else of their days."""
    moved = Total(rates)
    for _, day, currency, fx_rate, amount in transfers([account.pk], start, calendar.days[-1]):
        rate = rates.at(currency, day) if fx_rate is None else fx_rate
        moved.add_at(calendar.place(day.toordinal()), currency, amount, rate)
    return moved.sums
