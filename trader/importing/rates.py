"""Files of exchange rates: CSV with the columns base, quote, at and rate."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import BinaryIO, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from trader.booking.numbers import plain
from trader.importing import values
from trader.importing.files import Outcome
from trader.importing.listings import Currencies
from trader.importing.problems import FileRefused, Problem, Problems, Refusal
from trader.importing.reading import Layout, Record, records
from trader.importing.values import Unreadable
from trader.models import FxRate
from trader.operations.rate_entry import record_rates
from trader.operations.retrying import in_one_transaction

COLUMNS = ("base", "quote", "at", "rate")
LAYOUT = Layout(columns=COLUMNS, required=COLUMNS)
ZONE = ZoneInfo("UTC")

Value = TypeVar("Value")


class Row(NamedTuple):
    line: int
    base: str
    quote: str
    at: datetime
    rate: Decimal


def import_rates(file: BinaryIO, *, source: str) -> Outcome:
    """Enter the rates that the book does not have of the source yet, all of the file or nothing; positions that lacked
    them get their figures. A time without an offset is one of UTC."""
    problems = Problems()
    rows = list(_read(file, problems))
    with suppress(FileRefused):
        if not problems:
            return _enter([row for row in rows if row], source, problems)
    return Outcome(len(rows), 0, 0, problems)


def _read(file: BinaryIO, problems: Problems) -> Iterator[Row | None]:
    for record in records(file, LAYOUT, problems):
        try:
            yield record and _row(record)
        except Refusal as refusal:
            problems.add(refusal.on(record.line if record else 0))
            yield None


def _row(record: Record) -> Row:
    base, quote, at, rate = record.cells
    row = Row(
        record.line,
        _cell("base", values.currency, base),
        _cell("quote", values.currency, quote),
        _cell("at", _instant, at),
        _cell("rate", partial(_rate_of, localized=record.localized), rate),
    )
    if row.base == row.quote:
        raise Refusal("quote", row.quote, f"another currency than {row.base}")
    return row


def _cell(column: str, reader: Callable[[str], Value], text: str) -> Value:
    try:
        return reader(text)
    except Unreadable as error:
        raise Refusal(column, text, str(error)) from error


def _rate_of(text: str, *, localized: bool) -> Decimal:
    return values.rate(values.delocalized(text) if localized else text)


def _instant(text: str) -> datetime:
    return values.moment(text).placed(ZONE)[0]


@in_one_transaction
def _enter(rows: list[Row], source: str, problems: Problems) -> Outcome:
    """Raises FileRefused."""
    currencies, new = Currencies(), {}
    known = _known(rows, source)
    for row in rows:
        key = (row.base, row.quote, row.at)
        rate = known.setdefault(key, row.rate)
        if rate != row.rate:
            expected = f"{plain(rate)}, which {source} gave for that time before"
            problems.add(Problem(row.line, "rate", plain(row.rate), expected))
        elif rate is row.rate:
            new[key] = _rate(row, source, currencies, problems)
    if problems:
        raise FileRefused
    record_rates(rate for rate in new.values() if rate)
    return Outcome(len(rows), len(new), len(rows) - len(new), problems)


def _known(rows: Iterable[Row], source: str) -> dict[tuple[str, str, datetime], Decimal]:
    kept = FxRate.objects.filter(source=source, base__code__in={row.base for row in rows})
    return {
        (base, quote, at): rate for base, quote, at, rate in kept.values_list("base__code", "quote__code", "at", "rate")
    }


def _rate(row: Row, source: str, currencies: Currencies, problems: Problems) -> FxRate | None:
    try:
        base, quote = currencies.named(row.base, "base"), currencies.named(row.quote, "quote")
    except Refusal as refusal:
        problems.add(refusal.on(row.line))
        return None
    return FxRate(base=base, quote=quote, source=source, at=row.at, rate=row.rate)
