"""Exchange rates: the last one known on a day."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.db import connection
from django.db.models import QuerySet

from trader.booking.numbers import ONE, exact
from trader.models import FxRate

# Of each pair the last rate on a first day, and those until a last day.
KNOWN_RATES = """
    SELECT base.code, quote.code, (known.at AT TIME ZONE 'UTC')::date, known.rate
    FROM unnest(%(bases)s::text[], %(quotes)s::text[]) AS pair (base, quote)
    JOIN trader_currency base ON base.code = pair.base
    JOIN trader_currency quote ON quote.code = pair.quote
    CROSS JOIN LATERAL (
        (
            SELECT at, id, rate FROM trader_fxrate
            WHERE base_id = base.id AND quote_id = quote.id AND at <= %(since)s ORDER BY at DESC, id DESC LIMIT 1
        )
        UNION ALL
        SELECT at, id, rate FROM trader_fxrate
        WHERE base_id = base.id AND quote_id = quote.id AND at > %(since)s AND at <= %(until)s
    ) AS known
    ORDER BY known.at, known.id
"""

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
        self._first |= dict.fromkeys(_pairs(codes, quote), (on, None))
        self._first |= {(base, other): (on, rate) for base, other, _, rate in _known(codes, quote, on, on)}

    def read(self, currencies: Iterable[str], quote: str, since: date, until: date) -> None:
        """Read in one query all that is known between them from one day to another; no other day is asked for then."""
        codes = {*currencies} - {quote}
        self._pairs |= {pair: ([], []) for pair in _pairs(codes, quote)}
        for base, other, on, rate in _known(codes, quote, since, until):
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


def _known(codes: Iterable[str], quote: str, since: date, until: date) -> list[tuple[str, str, date, Decimal]]:
    """Between each of the codes and another currency, oldest first."""
    pairs = _pairs(codes, quote)
    if not pairs:
        return []
    asked = {"bases": [base for base, _ in pairs], "quotes": [other for _, other in pairs]}
    with connection.cursor() as cursor:
        cursor.execute(KNOWN_RATES, asked | {"since": _end_of(since), "until": _end_of(until)})
        rows: list[tuple[str, str, date, Decimal]] = cursor.fetchall()
        return rows


def _until(day: date) -> QuerySet[FxRate]:
    return FxRate.objects.filter(at__lte=_end_of(day))


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time.max, UTC)


def _pairs(codes: Iterable[str], quote: str) -> list[tuple[str, str]]:
    return [pair for code in codes for pair in ((code, quote), (quote, code))]
