"""Rows on their way into the book by COPY, and which line of the file each of them came from."""

import re

import psycopg
from django.db import DataError, IntegrityError, connection

from trader.importing.problems import FileRefused, Problem

# In the order in which they are written: none refers to a later one.
SELECTIONS = "trader_lotselection"
COLUMNS = {
    "trader_importrow": "id, batch_id, account_id, source, row_number, raw, external_id, row_hash, ordinal, state",
    "trader_execution": (
        "id, account_id, instrument_id, source, exec_id, exec_type, exec_ref_id, side, last_qty, last_px,"
        " gross_trade_amt, last_mkt, transact_time, trade_date, settl_date, settl_currency_id, settl_amount, fx_rate,"
        " actor, recorded_at, import_row_id"
    ),
    "trader_executionfee": "execution_id, type, amount, currency_id",
    "trader_journalentry": (
        "id, account_id, instrument_id, value_date, kind, execution_id, reverses_id, fx_rate, actor, recorded_at,"
        " import_row_id"
    ),
    "trader_posting": "entry_id, ledger_account_id, currency_id, amount, value_date",
    SELECTIONS: "closing_execution_id, opening_execution_id, quantity",
}
COPY = {table: f"COPY {table} ({columns}) FROM STDIN" for table, columns in COLUMNS.items()}
NULL = r"\N"
PLACE = re.compile(r"^COPY \w+, line (\d+)", re.MULTILINE)


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


class Copies:
    """Rows gathered by table. `lines` are those of the file."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {table: [] for table in COLUMNS}
        self._lines: dict[str, list[int]] = {table: [] for table in COLUMNS}
        self._gathered = 0

    def add(self, table: str, line: int, *values: object) -> None:
        """Values in COPY's text format: NULL for what is absent, free text escaped."""
        self._texts[table].append("\t".join(map(str, values)))
        self._lines[table].append(line)
        self._gathered += table != SELECTIONS

    def __len__(self) -> int:
        """How many rows were gathered since the last flush, selections of lots left aside."""
        return self._gathered

    def flush(self, *, selections: bool = False) -> None:
        """Write what was gathered; selections of lots only when asked, for they go by the last report of each trade.

        Raises FileRefused when the database refuses a row.
        """
        for table in COLUMNS:
            if self._texts[table] and (selections or table != SELECTIONS):
                self._copy(table)
        self._gathered = 0

    def _copy(self, table: str) -> None:
        text = "\n".join(self._texts[table])
        try:
            with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(COPY[table]) as copy:
                copy.write(text)
        except (IntegrityError, DataError) as error:
            raise FileRefused(self._problem(table, error)) from error
        self._texts[table].clear()
        self._lines[table].clear()

    def _problem(self, table: str, error: Exception) -> Problem:
        cause = error.__cause__
        place = PLACE.search(cause.diag.context or "") if isinstance(cause, psycopg.Error) else None
        return refused_by_database(error, self._lines[table][int(place[1]) - 1] if place else None)


def refused_by_database(error: Exception, line: int | None = None) -> Problem:
    """What a rule of the database says, with the rule's name for its value."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.Error):
        return Problem(line, "", "", str(error))
    return Problem(line, "", cause.diag.constraint_name or "", cause.diag.message_primary or str(error))
