"""Corrections and cancels of trades on their way into the book, after all the trades of their file."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from trader.importing.copying import NULL
from trader.importing.executions import CANCEL, CORRECTION, Executions, Report
from trader.importing.journal import Amount, Entry, Journal
from trader.importing.placing import Priced
from trader.importing.problems import Problems, Refusal
from trader.models import JournalEntry
from trader.models.keys import uuid7

REVERSAL = JournalEntry.Kind.REVERSAL.value
# Of each trade its last report, and the entry of that.
LAST_REPORTS = """
    SELECT last.trade_id, last.id, entry.id, entry.fx_rate, last.exec_id, last.exec_type, last.instrument_id,
        last.side, last.transact_time, last.trade_date
    FROM trader_execution last
    LEFT JOIN trader_journalentry entry ON entry.execution_id = last.id AND entry.kind = 'TRADE'
        AND NOT EXISTS (SELECT FROM trader_journalentry reversal WHERE reversal.reverses_id = entry.id)
    WHERE last.trade_id = ANY(%s::uuid[])
        AND NOT EXISTS (SELECT FROM trader_execution later WHERE later.exec_ref_id = last.id)
"""
POSTINGS = """
    SELECT ledger_account_id, currency_id, amount, entry_id FROM trader_posting
    WHERE entry_id = ANY(%s::uuid[]) ORDER BY id
"""


class Amendment(NamedTuple):
    """A row that restates a trade, or takes it back when `restated` is None. Keys are those of the trade, and of the
    report to be and its entry; `exec_ref` is what the row calls the trade."""

    line: int
    import_row: int
    exec_id: str
    exec_ref: str
    restated: Priced | None
    trade: str
    id: str
    entry: str


class LastReport(NamedTuple):
    id: str
    entry: str | None
    fx_rate: Decimal | None
    exec_id: str
    exec_type: str
    instrument: int
    side: str
    transact_time: datetime
    trade_date: date


class Corrections:
    """`traded` are the instruments of the trades that were restated or taken back."""

    def __init__(self, executions: Executions, journal: Journal, problems: Problems) -> None:
        self.traded: set[int] = set()
        self._executions = executions
        self._journal = journal
        self._problems = problems

    def write(self, amendments: list[Amendment]) -> None:
        """Those of one trade in their order; the trades are in the book. Adds problems."""
        reports = _last_reports([amendment.trade for amendment in amendments])
        postings = _postings([report.entry for report in reports.values() if report.entry])
        for amendment in amendments:
            last = reports[amendment.trade]
            try:
                posted = self._write(amendment, last)
            except Refusal as refusal:
                self._problems.add(refusal.on(amendment.line))
                continue
            if last.entry:
                self._reverse(amendment, last, postings.pop(last.entry))
            reports[amendment.trade] = _followed(last, amendment, has_entry=bool(posted))
            postings[amendment.entry] = posted

    def _write(self, amendment: Amendment, last: LastReport) -> list[Amount]:
        """Returns what it posts."""
        if last.exec_type == CANCEL:
            raise Refusal("exec_ref", amendment.exec_ref, f"a trade that counts: {last.exec_id} cancelled this one")
        self.traded.add(last.instrument)
        if amendment.restated is None:
            self._executions.cancel(_report(amendment, CANCEL, last))
            return []
        _, _, listing, trade, figures = amendment.restated
        if listing.instrument.pk != last.instrument:
            raise Refusal("symbol", trade.instrument.symbol or trade.instrument.isin, "the trade's own instrument")
        if trade.side != last.side:
            raise Refusal("side", trade.side, f"{last.side}, the trade's own side")
        return self._executions.state(_report(amendment, CORRECTION, last), trade, listing.instrument, figures)

    def _reverse(self, amendment: Amendment, last: LastReport, posted: list[Amount]) -> None:
        entry = Entry(
            uuid7().hex,
            amendment.line,
            amendment.import_row,
            REVERSAL,
            last.trade_date,
            last.instrument,
            reverses=last.entry or NULL,
            fx_rate=NULL if last.fx_rate is None else last.fx_rate,
        )
        self._journal.write(entry, [(account, currency, -amount) for account, currency, amount in posted])


def _report(amendment: Amendment, exec_type: str, last: LastReport) -> Report:
    return Report(
        amendment.id,
        amendment.entry,
        amendment.line,
        amendment.import_row,
        amendment.exec_id,
        exec_type,
        last.id,
        last.instrument,
        last.side,
        last.transact_time,
        last.trade_date,
    )


def _followed(last: LastReport, amendment: Amendment, *, has_entry: bool) -> LastReport:
    """The trade's last report once the amendment is written."""
    restated = amendment.restated
    return last._replace(
        id=amendment.id,
        entry=amendment.entry if has_entry else None,
        fx_rate=restated.trade.fx_rate if restated else None,
        exec_id=amendment.exec_id,
        exec_type=CORRECTION if restated else CANCEL,
    )


def _last_reports(trades: list[str]) -> dict[str, LastReport]:
    return {
        trade.hex: LastReport(last.hex, entry and entry.hex, *further)
        for trade, last, entry, *further in _rows(LAST_REPORTS, trades)
    }


def _postings(entries: list[str]) -> dict[str, list[Amount]]:
    postings: dict[str, list[Amount]] = {entry: [] for entry in entries}
    for *amount, entry in _rows(POSTINGS, entries):
        postings[entry.hex].append(tuple(amount))
    return postings


def _rows(query: str, keys: list[str]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, [keys])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
