"""The prices of an instrument, day by day."""

from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from typing import Any

from django.db import connection

from trader.booking.figures import price_on
from trader.models import Instrument
from trader.operations.trades import splits_of
from trader.reporting.valuation import DAILY, end_of

# Of several sources of a day, the one that valuations take.
LAST_BARS = """
    SELECT DISTINCT ON (ts) ts, split_adjusted, open, high, low, close FROM trader_pricebar
    WHERE instrument_id = %(instrument)s AND timeframe = %(timeframe)s AND ts < %(until)s
    ORDER BY ts DESC, source LIMIT %(most)s
"""


@dataclass(frozen=True)
class DailyBar:
    """In quotation units, as if quoted after the splits since."""

    date: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


def daily_bars(instrument: Instrument, *, as_of: date, most: int) -> list[DailyBar]:
    """The last ones until the day, of which there are so many at the most; oldest first."""
    splits = splits_of([instrument.pk])[instrument.pk]
    bars = []
    for ts, adjusted, *prices in reversed(_read(instrument, as_of, most)):
        day = ts.astimezone(UTC).date()
        bars.append(DailyBar(day, *(price_on(price, day, as_of, splits, adjusted=adjusted) for price in prices)))
    return bars


def _read(instrument: Instrument, as_of: date, most: int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            LAST_BARS, {"instrument": instrument.pk, "timeframe": DAILY, "until": end_of(as_of), "most": most}
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
