"""Files of price bars on their way into the test's book, and what is in it of them."""

import io
from typing import Any

from tests.factories import InstrumentFactory
from trader.booking.numbers import plain
from trader.importing.bar_rows import Series
from trader.importing.bars import import_bars
from trader.importing.files import Outcome
from trader.importing.problems import Problem
from trader.models import Instrument, PriceBar

HEADER = "ts,open,high,low,close,volume"
ROW = "2026-01-05,100,110,90,105,1000"


def bar_file(*rows: str, header: str = HEADER) -> bytes:
    return "".join(f"{line}\n" for line in (header, *rows)).encode()


def series(timeframe: str = "1d", *, instrument: Instrument | None = None, split_adjusted: bool = False) -> Series:
    return Series(instrument or InstrumentFactory.create(), timeframe, "file", split_adjusted)


def take_in(data: bytes, into: Series, **options: Any) -> Outcome:
    return import_bars(io.BytesIO(data), series=into, **options)


def entered(data: bytes, into: Series) -> tuple[int, int]:
    """How many bars came into the book, and how many it had."""
    outcome = take_in(data, into)
    assert not outcome.problems, outcome.problems.kept
    return outcome.imported, outcome.skipped


def refused(data: bytes, into: Series) -> list[Problem]:
    """What is wrong with the file, of which nothing came into the book."""
    before = kept(into)
    outcome = take_in(data, into)
    assert kept(into) == before
    assert (outcome.imported, outcome.skipped) == (0, 0)
    assert outcome.problems.count > 0
    return outcome.problems.kept


def read_by_cell(data: bytes) -> bytes:
    """The same file in a form that is not the plain one: its header is quoted."""
    return data.replace(b"ts", b'"ts"', 1)


def kept(of: Series) -> list[str]:
    """The bars of the series, as rows of a file."""
    bars = PriceBar.objects.filter(instrument=of.instrument, timeframe=of.timeframe, source=of.source).order_by("ts")
    return [_row(bar) for bar in bars]


def _row(bar: PriceBar) -> str:
    start = bar.ts.isoformat().replace("T00:00:00+00:00", "").replace("+00:00", "Z")
    prices = [plain(price) for price in (bar.open, bar.high, bar.low, bar.close)]
    return ",".join([start, *prices, "" if bar.volume is None else plain(bar.volume)])
