"""Bars read cell by cell, each fault named by line and column."""

from collections.abc import Callable, Iterator
from datetime import datetime, time
from decimal import Decimal
from typing import Any, BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

from trader.importing import values
from trader.importing.problems import Problem, Problems
from trader.importing.reading import Layout, Record, records
from trader.importing.values import Unreadable
from trader.models import Instrument

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
LAYOUT = Layout(columns=COLUMNS, required=COLUMNS[:-1])
# Of which the start is a session's date.
DAILY = "1d"
UTC = ZoneInfo("UTC")


class Series(NamedTuple):
    """What all bars of a file have in common."""

    instrument: Instrument
    timeframe: str
    source: str
    split_adjusted: bool = False


class Bar(NamedTuple):
    """A row of a file: prices in the instrument's quotation units."""

    line: int
    ts: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None


def read_bars(file: BinaryIO, problems: Problems, *, timeframe: str) -> Iterator[Bar | None]:
    """The bars after the header; None for one that cannot be read. A time without an offset is one of UTC."""
    start = _session if timeframe == DAILY else _instant
    readers = (start, _price, _price, _price, _price, _volume)
    for record in records(file, LAYOUT, problems):
        yield record and _bar(record, readers, problems)


def _bar(record: Record, readers: tuple[Callable[[str], Any], ...], problems: Problems) -> Bar | None:
    cells, count = [], problems.count
    for column, reader, text in zip(COLUMNS, readers, record.cells, strict=True):
        try:
            cells.append(reader(text))
        except Unreadable as error:
            problems.add(Problem(record.line, column, text, str(error)))
    if problems.count > count:
        return None
    bar = Bar(record.line, *cells)
    problems.extend(_inconsistencies(bar, record))
    return bar if problems.count == count else None


def _inconsistencies(bar: Bar, record: Record) -> Iterator[Problem]:
    cells = dict(zip(COLUMNS, record.cells, strict=True))
    lower, higher = ("open", "close") if bar.open <= bar.close else ("close", "open")
    if bar.low > min(bar.open, bar.close):
        yield Problem(bar.line, "low", cells["low"], f"no more than {cells[lower]}, the {lower}")
    if bar.high < max(bar.open, bar.close):
        yield Problem(bar.line, "high", cells["high"], f"no less than {cells[higher]}, the {higher}")


def _instant(text: str) -> datetime:
    return values.moment(text).placed(UTC)[0]


def _session(text: str) -> datetime:
    """Another time than 00:00 UTC is refused: the file does not say in whose zone it would be a date."""
    start = _instant(text)
    if start.time() != time():
        raise Unreadable("the session's date, such as 2025-01-31, or that date at 00:00 UTC")
    return start


def _price(text: str) -> Decimal:
    value = values.number(text, places=12, digits=16)
    if value < 0:
        raise Unreadable("a price of 0 or more")
    return value


def _volume(text: str) -> Decimal | None:
    value = values.number(text, places=18, digits=18) if text else None
    if value is not None and value < 0:
        raise Unreadable("a volume of 0 or more, or nothing")
    return value
