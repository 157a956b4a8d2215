"""The new rows of a file on their way into the book."""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection

from trader.booking.postings import Leg, cash_legs, exchange_legs
from trader.importing.activities import Cancellation, Cash, Correction, Exchange, Row, Split, Trade
from trader.importing.copying import NULL, SELECTIONS, Copies, escaped
from trader.importing.corrections import Amendment, Corrections
from trader.importing.executions import TRADE, Executions, Report
from trader.importing.journal import Entry, Journal, Written
from trader.importing.listings import Currencies
from trader.importing.placing import Listed, Placed, Priced, Unlisted
from trader.importing.problems import FileRefused, Problems, Refusal
from trader.importing.survey import Survey
from trader.importing.values import Selections
from trader.models import CorporateAction, ImportBatch, ImportRow
from trader.models.keys import counters, from_counter

ROWS_AT_ONCE = 5_000
ROW_IDS = "SELECT nextval(pg_get_serial_sequence('trader_importrow', 'id')) FROM generate_series(1, %s)"
IMPORTED, KNOWN = ImportRow.State.IMPORTED.value, ImportRow.State.KNOWN.value
SPLIT = CorporateAction.Type.SPLIT


class Changes(NamedTuple):
    """The instruments of which trades came or changed, by id, the new splits, and the positions of the rows that say
    what the book held."""

    traded: set[int]
    splits: list[CorporateAction]
    known: list[int]


class Writer:
    """Turns rows into lines for COPY, and sends them when there are many.

    Every new row goes through `write`; afterwards those that restate trades or take them back through `amend`, of each
    trade in the order in which that was done; then `finish`.
    """

    def __init__(self, batch: ImportBatch, survey: Survey, currencies: Currencies, problems: Problems) -> None:
        self._splits: list[CorporateAction] = []
        self._known: list[int] = []
        self._batch = batch
        self._survey = survey
        self._currencies = currencies
        count = len(survey.lines)
        self._execution_keys, self._entry_keys = (_in_order(counters(count), survey) for _ in range(2))
        self._row_ids = array("Q", bytes(8 * count))
        self._fresh_row_ids: Iterator[int] = iter(())
        self._copies = Copies()
        written = Written.by(batch.actor, batch.imported_at)
        self._journal = Journal(batch.account, self._copies, written)
        self._executions = Executions(batch.account, batch.source, self._copies, self._journal, written, currencies)
        self._problems = problems
        self._corrections = Corrections(self._executions, self._journal, problems)
        self._amendments: list[Amendment] = []
        self._traded: set[int] = set()
        self._source = escaped(batch.source)

    def write(self, position: int, row: Row, placed: Placed) -> None:
        """Raises Refusal, and FileRefused when the database refuses what was gathered."""
        self._row_ids[position] = self._next_row_id()
        state = IMPORTED
        match row.activity, placed:
            case Trade(), Priced() as priced:
                self._write_trade(position, row, priced)
            case Split() as split, Listed() as listed:
                state = self._write_split(position, split, listed)
            case Cash() | Exchange() as event, _:
                self._write_event(position, row, event, placed)
        self._write_row(position, row, state)
        if len(self._copies) >= ROWS_AT_ONCE:
            self._copies.flush()

    def amend(self, position: int, row: Row, activity: Correction | Cancellation, placed: Placed) -> None:
        """Raises FileRefused as `write` does."""
        restated = placed if isinstance(placed, Priced) else None
        amendment = Amendment(
            row.line,
            self._row_ids[position],
            self._exec_id(position, row),
            activity.exec_ref,
            restated,
            self._trade_key(activity.exec_ref),
            self._execution_key(position),
            self._entry_key(position),
        )
        self._amendments.append(amendment)
        if restated:
            self._select(row.line, amendment.id, restated.trade.selections)
        if len(self._amendments) >= ROWS_AT_ONCE:
            self._write_amendments()

    def finish(self) -> Changes:
        """Raises FileRefused as `write` does, and with problems."""
        self._write_amendments()
        if self._problems:
            raise FileRefused
        self._copies.flush(selections=True)
        return Changes(self._traded | self._corrections.traded, self._splits, self._known)

    def _write_amendments(self) -> None:
        self._copies.flush()
        self._corrections.write(self._amendments)
        self._amendments.clear()
        self._copies.flush()

    def _write_trade(self, position: int, row: Row, priced: Priced) -> None:
        instrument = priced.listing.instrument
        report = Report(
            self._execution_key(position),
            self._entry_key(position),
            row.line,
            self._row_ids[position],
            self._exec_id(position, row),
            TRADE,
            NULL,
            instrument.pk,
            priced.trade.side,
            priced.transact_time,
            priced.trade_date,
        )
        self._executions.state(report, priced.trade, instrument, priced.figures)
        self._select(row.line, report.id, priced.trade.selections)
        self._traded.add(instrument.pk)

    def _select(self, line: int, closing: str, selections: Selections) -> None:
        for name, quantity in selections:
            self._copies.add(SELECTIONS, line, closing, self._trade_key(name), quantity)

    def _write_event(self, position: int, row: Row, event: Cash | Exchange, placed: Placed) -> None:
        kind, fx_rate = (event.kind, event.fx_rate) if isinstance(event, Cash) else ("FX", None)
        entry = Entry(
            self._entry_key(position),
            row.line,
            self._row_ids[position],
            kind,
            placed.trade_date,
            NULL if isinstance(placed, Unlisted) else placed.listing.instrument.pk,
            fx_rate=NULL if fx_rate is None else fx_rate,
        )
        self._journal.post(entry, self._legs(event))

    def _legs(self, event: Cash | Exchange) -> list[Leg]:
        minor_units = self._currencies.minor_units
        if isinstance(event, Cash):
            return cash_legs(event.kind, event.currency, event.amount, minor_units)
        bought, sold = (event.currency, event.amount), (event.paid_currency, event.paid_amount)
        return exchange_legs(bought, sold, minor_units, event.fee and (event.fee.currency, event.fee.amount))

    def _write_split(self, position: int, split: Split, listed: Listed) -> str:
        """The state of its row: KNOWN where the book has that split."""
        instrument, day, ratio = listed.listing.instrument, listed.trade_date, split.ratio
        known = CorporateAction.objects.filter(instrument=instrument, type=SPLIT, ex_date=day).first()
        if known is None:
            created = CorporateAction.objects.create(
                instrument=instrument, type=SPLIT, ex_date=day, numerator=ratio.numerator, denominator=ratio.denominator
            )
            self._splits.append(created)
            return IMPORTED
        if (known.numerator, known.denominator) != ratio:
            expected = f"{known.numerator}:{known.denominator}, as {listed.listing.name} was split on {day}"
            raise Refusal("quantity", str(ratio), expected)
        self._known.append(position)
        return KNOWN

    def _write_row(self, position: int, row: Row, state: str) -> None:
        self._copies.add(
            "trader_importrow",
            row.line,
            self._row_ids[position],
            self._batch.pk,
            self._batch.account_id,
            self._source,
            row.line,
            escaped(row.raw),
            escaped(row.external_id),
            self._survey.digest(position),
            self._survey.ordinals[position],
            state,
        )

    def _exec_id(self, position: int, row: Row) -> str:
        """The external ID; where there is none, one that is made of the row's content."""
        return row.external_id or f"{self._survey.digest(position)}-{self._survey.ordinals[position]}"

    def _trade_key(self, external_id: str) -> str:
        origin = self._survey.origin(external_id)
        return origin if isinstance(origin, str) else self._execution_key(origin)

    def _execution_key(self, position: int) -> str:
        return from_counter(self._execution_keys[position]).hex

    def _entry_key(self, position: int) -> str:
        return from_counter(self._entry_keys[position]).hex

    def _next_row_id(self) -> int:
        fresh = next(self._fresh_row_ids, None)
        if fresh is None:
            with connection.cursor() as cursor:
                cursor.execute(ROW_IDS, [ROWS_AT_ONCE])
                self._fresh_row_ids = iter([row_id for (row_id,) in cursor.fetchall()])
            fresh = next(self._fresh_row_ids)
        return fresh


def _in_order(keys: range, survey: Survey) -> range:
    """Keys sort in the order in which things happened."""
    return keys[::-1] if survey.descends else keys
