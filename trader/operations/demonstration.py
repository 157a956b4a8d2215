"""The demonstration book: two invented years of one account, replayed once, into a book that nobody has used yet."""

import csv
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from trader.models import (
    Account,
    CorporateAction,
    Currency,
    Execution,
    FxRate,
    Instrument,
    JournalEntry,
    LoadedFixture,
    Order,
    PriceBar,
)
from trader.operations.rate_entry import record_rates
from trader.operations.replay import Event, Replay
from trader.operations.retrying import in_one_transaction

log = logging.getLogger(__name__)

ACCOUNT = "DEMO"
ACTOR = "demonstration"
# Of prices and rates. Of a day's bars the first by its source counts: this name stands behind those of brokers.
SOURCE = "random walk"
DELIVERED: dict[str, Any] = {"model": "trader.demonstration", "natural_key": ["book"]}
ENTERED = (Order, Execution, JournalEntry, CorporateAction, FxRate, PriceBar)
DAILY = "1d"
PRICES = ("open", "high", "low", "close", "volume")
COPY_BARS = """
    COPY trader_pricebar (instrument_id, source, timeframe, ts, open, high, low, close, volume, split_adjusted)
    FROM STDIN
"""

Row = dict[str, str]


class Calendar:
    """The written days moved by whole weeks, so that the week of the last one is that of `now` in the zone."""

    def __init__(self, last: date, now: datetime, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._moved = _monday(now.astimezone(self._zone).date()) - _monday(last)

    def day(self, written: str) -> date:
        return date.fromisoformat(written) + self._moved

    def instant(self, written: str, instrument: Instrument | None = None) -> datetime:
        """Of a wall time: of the instrument's venue, or of the zone where there is no instrument."""
        zone = ZoneInfo(instrument.venue.time_zone) if instrument else self._zone
        return (datetime.fromisoformat(written) + self._moved).replace(tzinfo=zone).astimezone(UTC)


class Book:
    """The folder's files, their days moved; what lies after `now` is left out. Instruments are by their symbols."""

    def __init__(self, folder: Path, account: Account, instruments: Mapping[str, Instrument], now: datetime) -> None:
        self._folder = folder
        self._account = account
        self._instruments = instruments
        self._now = now
        self._rate_rows = _rows(folder / "rates.csv")
        self._calendar = Calendar(date.fromisoformat(self._rate_rows[-1]["at"]), now, account.time_zone)

    def deliver(self) -> int:
        """How many events were replayed."""
        record_rates(self._rates())
        with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(COPY_BARS) as copy:
            for bar in self._bars():
                copy.write_row(bar)
        events = sorted(self._history(), key=attrgetter("at"))
        Replay(self._account, self._instruments, actor=ACTOR).play(events)
        return len(events)

    def _rates(self) -> Iterator[FxRate]:
        """A column for each pair; a rate is of its whole day in UTC."""
        currencies = Currency.objects.in_bulk(field_name="code")
        for row in self._rate_rows:
            at = _midnight(self._calendar.day(row["at"]))
            for pair in row.keys() - {"at"} if at <= self._now else ():
                base, quote = (currencies[code] for code in pair.split("/"))
                yield FxRate(base=base, quote=quote, source=SOURCE, at=at, rate=Decimal(row[pair]))

    def _bars(self) -> Iterator[tuple[object, ...]]:
        """By the columns of COPY_BARS, those of the sessions that have begun."""
        opens = {row["symbol"]: row["opens"] for row in _rows(self._folder / "instruments.csv")}
        for row in _rows(self._folder / "bars.csv"):
            instrument, opening = self._instruments[row["symbol"]], f"{row['session']}T{opens[row['symbol']]}"
            if self._calendar.instant(opening, instrument) <= self._now:
                ts = _midnight(self._calendar.day(row["session"]))
                yield instrument.pk, SOURCE, DAILY, ts, *(row[price] for price in PRICES), "f"

    def _history(self) -> Iterator[Event]:
        """As it was written: in summer, when the hours between venues are others, two may have come the other way."""
        for line in (self._folder / "history.jsonl").read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            instrument = self._instruments.get(told.get("instrument", ""))
            if "expire_time" in told:
                told["expire_time"] = self._calendar.instant(told["expire_time"], instrument)
            if "pay_date" in told:
                told["pay_date"] = self._calendar.day(told["pay_date"])
            at = self._calendar.instant(told["at"], instrument)
            if at <= self._now:
                day, _, _ = told["at"].partition("T")
                yield Event(at, self._calendar.day(day), told)


@in_one_transaction
def deliver_demonstration(*, folder: Path, now: datetime) -> int:
    """Replay the folder's history up to `now` into the account DEMO; return how many events that were.

    Once for a database. Where somebody has entered anything already, it is left out and counts as delivered; where the
    account or an instrument is gone, that is logged, and tried again next time.
    """
    if LoadedFixture.objects.filter(**DELIVERED).exists():
        return 0
    events = 0
    if _is_in_use():
        log.info("demonstration left out: somebody has used this book")
    elif book := _book(folder, now):
        events = book.deliver()
    else:
        return 0
    LoadedFixture.objects.create(**DELIVERED, loaded_at=now)
    return events


def _is_in_use() -> bool:
    others = Account.objects.exclude(code=ACCOUNT)
    return others.exists() or any(model._default_manager.exists() for model in ENTERED)


def _book(folder: Path, now: datetime) -> Book | None:
    """None where it has nothing to stand on."""
    account = Account.objects.filter(code=ACCOUNT).first()
    named = {row["symbol"]: (row["mic"], row["currency"]) for row in _rows(folder / "instruments.csv")}
    listed = Instrument.objects.select_related("venue", "currency").filter(symbol__in=named)
    found = {each.symbol: each for each in listed if (each.venue.mic, each.currency.code) == named[each.symbol]}
    gone = [symbol for symbol in named if symbol not in found]
    if account and not gone:
        return Book(folder, account, found, now)
    log.warning("demonstration skipped: %s is not there", ", ".join(gone if account else [ACCOUNT]))
    return None


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
