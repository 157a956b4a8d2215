"""Exchange rates: the last one known on a day."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.db.models import Q, QuerySet
from django.db.models.functions import TruncDate

from trader.booking.numbers import ONE, exact
from trader.models import FxRate

Known = tuple[list[date], list[Decimal]]


class Rates:
    """The book's rates, read pair by pair as they are asked for, and then kept.

    `missing` gathers the pairs that a figure was left open for, as base/quote.
    """

    def __init__(self) -> None:
        self.missing: set[str] = set()
        # The first day that is asked for is read alone: a single trade needs no other.
        self._first: dict[tuple[str, str], tuple[date, Decimal | None]] = {}
        self._pairs: dict[tuple[str, str], Known] = {}

    def at(self, base: str, quote: str, on: date) -> Decimal | None:
        """Units of `quote` for one of `base` by the last rate at or before the day (UTC): by a rate of the pair, else
        by one of its inverse, else None."""
        if base == quote:
            return ONE
        direct = self._last(base, quote, on)
        if direct is not None:
            return direct
        inverse = self._last(quote, base, on)
        if inverse is None:
            return None
        with exact():
            return ONE / inverse

    def needed(self, base: str, quote: str, on: date) -> Decimal | None:
        """The same, where None leaves a figure open."""
        rate = self.at(base, quote, on)
        if rate is None:
            self.missing.add(f"{base}/{quote}")
        return rate

    def read_day(self, currencies: Iterable[str], quote: str, on: date) -> None:
        """Read in one query the last rate on a day between each of these currencies and another one."""
        codes = {*currencies} - {quote}
        rows = _until(on).filter(_between(codes, quote)).order_by("base__code", "quote__code", "-at", "-pk")
        last = rows.distinct("base__code", "quote__code").values_list("base__code", "quote__code", "rate")
        self._first |= dict.fromkeys(_pairs(codes, quote), (on, None))
        self._first |= {(base, quoted): (on, rate) for base, quoted, rate in last}

    def read(self, currencies: Iterable[str], quote: str) -> None:
        """Read in one query all that is known between them, for many days."""
        codes = {*currencies} - {quote}
        self._pairs |= {pair: ([], []) for pair in _pairs(codes, quote)}
        known = FxRate.objects.filter(_between(codes, quote)).annotate(on=TruncDate("at", tzinfo=UTC))
        rows = known.order_by("at", "pk").values_list("base__code", "quote__code", "on", "rate")
        for base, other, on, rate in rows:
            dates, rates = self._pairs[base, other]
            dates.append(on)
            rates.append(rate)

    def _last(self, base: str, quote: str, on: date) -> Decimal | None:
        known = self._pairs.get((base, quote))
        if known is None:
            day, rate = self._first.get((base, quote)) or self._read_first(base, quote, on)
            if day == on:
                return rate
            known = self._read(base, quote)
        dates, rates = known
        position = bisect_right(dates, on)
        return rates[position - 1] if position else None

    def _read_first(self, base: str, quote: str, on: date) -> tuple[date, Decimal | None]:
        known = _until(on).filter(base__code=base, quote__code=quote).order_by("-at", "-pk")
        first = self._first[base, quote] = on, known.values_list("rate", flat=True).first()
        return first

    def _read(self, base: str, quote: str) -> Known:
        rows = FxRate.objects.filter(base__code=base, quote__code=quote).order_by("at", "pk").values_list("at", "rate")
        known: Known = ([], [])
        for at, rate in rows:
            known[0].append(at.astimezone(UTC).date())
            known[1].append(rate)
        self._pairs[base, quote] = known
        return known


def _until(day: date) -> QuerySet[FxRate]:
    return FxRate.objects.filter(at__lte=datetime.combine(day, time.max, UTC))


def _pairs(codes: Iterable[str], quote: str) -> list[tuple[str, str]]:
    return [pair for code in codes for pair in ((code, quote), (quote, code))]


def _between(codes: Iterable[str], quote: str) -> Q:
    return Q(base__code__in=codes, quote__code=quote) | Q(base__code=quote, quote__code__in=codes)
