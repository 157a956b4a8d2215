"""Prices on many days: of each the last close of a daily bar, by the rules of `valuation`."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from trader.booking.figures import price_on
from trader.booking.holding import Split
from trader.reporting.changes import Texts
from trader.reporting.valuation import DAILY, RECENT, last_bars

# Lists come as text, as in `changes`. Of bars of one time the one counts whose source sorts first: it comes last.
BARS = """
    SELECT instrument_id, split_adjusted,
        string_agg((ts AT TIME ZONE 'UTC')::text, ','), string_agg(trim_scale(close)::text, ',')
    FROM trader_pricebar
    WHERE instrument_id = ANY(%(instruments)s) AND timeframe = %(timeframe)s AND ts >= %(since)s AND ts < %(until)s
    GROUP BY instrument_id, source, split_adjusted
    ORDER BY instrument_id, source DESC
"""


class Bars(NamedTuple):
    """Of one source: as many times, in UTC, as closes, in no order."""

    is_adjusted: bool
    times: str
    closes: str


class Closes:
    """Of instruments by their ids, in quotation units; `first` says from which of the days, which are in their order,
    a price of each is needed."""

    def __init__(self, first: Mapping[int, date], days: Sequence[date]) -> None:
        self._days = days
        self._ends = [datetime.combine(day + timedelta(days=1), time.min) for day in days]
        self._price = Texts(Decimal)
        # Instruments of one venue have bars of the same times.
        self._picked: dict[str, list[int | None]] = {}
        self._bars = _read(first, days[-1])
        self._read_earlier(first)

    def of(self, instrument: int, splits: Sequence[Split]) -> list[Decimal | None]:
        """On each day as if quoted on it; None where no bar is known until then."""
        bars = self._bars.get(instrument)
        if not bars:
            return [None] * len(self._days)
        picked = self._pick(bars)
        closes = _joined(each.closes for each in bars).split(",")
        if not splits:
            return [None if place is None else self._price[closes[place]] for place in picked]
        quoted = [each.date() for each in _times(_joined(each.times for each in bars))]
        adjusted = [each.is_adjusted for each in bars for _ in range(each.times.count(",") + 1)]
        return [
            None
            if place is None
            else price_on(self._price[closes[place]], quoted[place], day, splits, adjusted=adjusted[place])
            for place, day in zip(picked, self._days, strict=True)
        ]

    def _pick(self, bars: list[Bars]) -> list[int | None]:
        """Where the bar stands, among these together, that counts on each day."""
        text = _joined(each.times for each in bars)
        if text not in self._picked:
            times = _times(text)
            order = sorted(range(len(times)), key=times.__getitem__)
            ordered = [times[place] for place in order]
            counts = (bisect_left(ordered, end) for end in self._ends)
            self._picked[text] = [order[count - 1] if count else None for count in counts]
        return self._picked[text]

    def _read_earlier(self, first: Mapping[int, date]) -> None:
        """Read the last bars before those that were read, of the instruments that lack one on their first day."""
        places = {day: place for place, day in enumerate(self._days)}
        lacking = {
            instrument: _start(day)
            for instrument, day in first.items()
            if instrument not in self._bars or self._pick(self._bars[instrument])[places[day]] is None
        }
        for instrument, ts, close, is_adjusted in last_bars(lacking) if lacking else ():
            bar = Bars(is_adjusted, str(ts.astimezone(UTC).replace(tzinfo=None)), str(close))
            self._bars[instrument].append(bar)


def _read(first: Mapping[int, date], last: date) -> defaultdict[int, list[Bars]]:
    bars: defaultdict[int, list[Bars]] = defaultdict(list)
    if not first:
        return bars
    parameters: dict[str, Any] = {
        "instruments": list(first),
        "timeframe": DAILY,
        "since": _start(min(first.values()) - RECENT),
        "until": _start(last + timedelta(days=1)),
    }
    with connection.cursor() as cursor:
        cursor.execute(BARS, parameters)
        for instrument, *of_source in cursor.fetchall():
            bars[instrument].append(Bars(*of_source))
    return bars


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _times(text: str) -> list[datetime]:
    return [*map(datetime.fromisoformat, text.split(","))]


def _joined(texts: Iterable[str]) -> str:
    return ",".join(texts)
