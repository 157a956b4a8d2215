"""What things are worth on a day: by its prices and rates, or by those that are given instead."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from trader.booking.figures import price_on
from trader.booking.holding import Split
from trader.booking.numbers import ONE, exact, in_base
from trader.models import Instrument
from trader.operations.rates import Rates
from trader.operations.trades import splits_of

Pair = tuple[str, str]

DAILY = "1d"
# How far back a price is looked for before all of history is: bars have no index by time alone.
RECENT = timedelta(days=10)
LAST_BARS = """
    SELECT asked.instrument, bar.ts, bar.close, bar.split_adjusted
    FROM unnest(%(instruments)s::bigint[], %(before)s::timestamptz[]) AS asked (instrument, before)
    CROSS JOIN LATERAL (
        SELECT max(ts) FROM trader_pricebar
        WHERE instrument_id = asked.instrument AND timeframe = %(timeframe)s AND ts < asked.before
            AND ts >= asked.before - %(recent)s
    ) AS recent (ts)
    CROSS JOIN LATERAL (
        SELECT max(ts) FROM trader_pricebar
        WHERE instrument_id = asked.instrument AND timeframe = %(timeframe)s AND ts < asked.before AND recent.ts IS NULL
    ) AS earlier (ts)
    CROSS JOIN LATERAL (
        SELECT ts, close, split_adjusted FROM trader_pricebar
        WHERE instrument_id = asked.instrument AND timeframe = %(timeframe)s AND ts = coalesce(recent.ts, earlier.ts)
        ORDER BY source LIMIT 1
    ) AS bar
"""


class LastBar(NamedTuple):
    """The close of a daily bar, in quotation units; `ts` is its session's date at 00:00 UTC."""

    instrument: int
    ts: datetime
    close: Decimal
    is_adjusted: bool


def end_of(day: date) -> datetime:
    """The instant that no bar of the day, or of an earlier one, begins at or after."""
    return datetime.combine(day + timedelta(days=1), time.min, UTC)


def last_bars(before: Mapping[int, datetime]) -> list[LastBar]:
    """Of each instrument the last one before its instant, if there is one; of several sources' the first."""
    asked: dict[str, Any] = {
        "instruments": list(before),
        "before": list(before.values()),
        "timeframe": DAILY,
        "recent": RECENT,
    }
    with connection.cursor() as cursor:
        cursor.execute(LAST_BARS, asked)
        return [LastBar(*row) for row in cursor.fetchall()]


def closes(instruments: Collection[int], as_of: date, splits: Mapping[int, Iterable[Split]]) -> dict[int, Decimal]:
    """By instrument, the close of the last daily bar until the day, as if quoted after the splits since."""
    return {
        instrument: price_on(close, ts.astimezone(UTC).date(), as_of, splits[instrument], adjusted=is_adjusted)
        for instrument, ts, close, is_adjusted in last_bars(dict.fromkeys(instruments, end_of(as_of)))
    }


class Given(NamedTuple):
    """Prices by instrument, in quotation units, and rates by pair that stand in for the book's own."""

    marks: Mapping[int, Decimal] = {}
    rates: Mapping[Pair, Decimal] = {}

    def rate(self, base: str, quote: str) -> Decimal | None:
        """Units of `quote` for one of `base`, by what is given of the pair, else of its inverse."""
        direct, inverse = self.rates.get((base, quote)), self.rates.get((quote, base))
        return ONE / inverse if direct is None and inverse is not None else direct


class Valuation:
    """`rates` notes the pairs that no rate is known for."""

    def __init__(self, base: str, as_of: date, rates: Rates, given: Given) -> None:
        self._base = base
        self._as_of = as_of
        self._rates = rates
        self._given = given

    def prices(self, instruments: Iterable[Instrument]) -> dict[int, Decimal]:
        """The last ones known, by instrument, in quotation units: a mark, or the close of a daily bar, as if quoted
        after the splits since."""
        wanted = [each.pk for each in instruments if each.pk not in self._given.marks]
        return closes(wanted, self._as_of, splits_of(wanted)) | dict(self._given.marks)

    def in_base(self, amount: Decimal | None, currency: str) -> Decimal | None:
        """At 18 places. None where a rate is missing, unless there is nothing to convert."""
        if not amount:
            return amount
        with exact():
            return in_base(amount, self._rate(currency))

    def _rate(self, currency: str) -> Decimal | None:
        given = self._given.rate(currency, self._base)
        return self._rates.needed(currency, self._base, self._as_of) if given is None else given
