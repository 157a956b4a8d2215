"""Rows written past the ORM, as psql would."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import IntegrityError
from psycopg import sql

from tests.factories import DAY, NOW
from trader.models.keys import uuid7

Row = dict[str, Any]

INSERT = sql.SQL("INSERT INTO public.{table} ({columns}) VALUES ({values}) RETURNING id")
CHECK_REFERENCES = "SET CONSTRAINTS ALL IMMEDIATE"

CURRENCY: Row = {"code": "QQA", "minor_unit": 2}
VENUE: Row = {"mic": "QQQA", "name": "A venue", "time_zone": "UTC", "calendar": ""}
INSTRUMENT: Row = {
    "symbol": "AAA",
    "name": "An instrument",
    "security_type": "CS",
    "multiplier": "1",
    "price_quotation_factor": "1",
    "qty_increment": "1",
    "price_increment": None,
    "active": True,
}
ACCOUNT: Row = {
    "code": "MINE",
    "name": "An account",
    "owner_id": None,
    "time_zone": "UTC",
    "cost_basis_method": "FIFO",
    "fee_policy": "EXPENSED",
    "allow_short": False,
    "broker": "",
}


def insert(session: psycopg.Connection, table: str, row: Row) -> Any:
    """Insert the row and return its id."""
    statement = INSERT.format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, row)),
        values=sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    inserted = session.execute(statement.as_string(), row).fetchone()
    assert inserted is not None
    return inserted[0]


def referring(session: psycopg.Connection, table: str, row: Row) -> Row:
    """The row with what its table refers to, which is inserted first."""
    if table == "trader_instrument":
        row = row | {"venue_id": insert(session, "trader_venue", VENUE)}
        return row | {"currency_id": insert(session, "trader_currency", CURRENCY)}
    if table == "trader_account":
        return row | {"base_currency_id": insert(session, "trader_currency", CURRENCY)}
    return row


@contextmanager
def refused(session: psycopg.Connection, rule: str) -> Iterator[None]:
    """What is done inside breaks that rule; the session goes on as if it had not been done."""
    with pytest.raises(psycopg.IntegrityError) as refusal, session.transaction():
        yield
    assert refusal.value.diag.constraint_name == rule


@contextmanager
def orm_refused(rule: str) -> Iterator[None]:
    """The same, done through the ORM; the test's transaction is of no more use."""
    with pytest.raises(IntegrityError) as refusal:
        yield
    cause = refusal.value.__cause__
    assert isinstance(cause, psycopg.IntegrityError)
    assert cause.diag.constraint_name == rule


class PlainBook:
    """Whole rows by plain SQL in a session: each method inserts one, says its id, and takes what is to differ."""

    def __init__(self, session: psycopg.Connection) -> None:
        self.session = session
        self.currency = insert(session, "trader_currency", CURRENCY)
        self.venue = insert(session, "trader_venue", VENUE)
        self.instrument = self.another_instrument("AAA")
        self.account = self.another_account("MINE")
        self._ledger_accounts: dict[tuple[int, str, int], int] = {}

    def at(self, session: psycopg.Connection) -> "PlainBook":
        """The same book in another session."""
        book = copy(self)
        book.session = session
        return book

    def execute(self, statement: str, *values: Any) -> "psycopg.Cursor[Any]":
        return self.session.execute(statement.encode(), values or None)

    def value(self, statement: str, *values: Any) -> Any:
        """The first column of the only row."""
        found = self.execute(statement, *values).fetchone()
        assert found is not None
        return found[0]

    def another_currency(self, code: str = "QQB", **changes: Any) -> int:
        return self._insert("trader_currency", {"code": code, "minor_unit": 2} | changes)

    def another_instrument(self, symbol: str, **changes: Any) -> int:
        row = INSTRUMENT | {"symbol": symbol, "venue_id": self.venue, "currency_id": self.currency}
        return self._insert("trader_instrument", row | changes)

    def another_account(self, code: str, **changes: Any) -> int:
        return self._insert("trader_account", ACCOUNT | {"code": code, "base_currency_id": self.currency} | changes)

    def order(self, **changes: Any) -> UUID:
        return self._insert_fact("trader_order", self.order_row(**changes))

    def order_row(self, **changes: Any) -> Row:
        key = uuid7()
        row: Row = {
            "id": key,
            "account_id": self.account,
            "instrument_id": self.instrument,
            "cl_ord_id": f"ORD-{key}",
            "side": "BUY",
            "ord_type": "MARKET",
            "time_in_force": "DAY",
            "order_qty": "100",
            "lifecycle": "A",
            "transact_time": NOW,
            "cum_qty": 0,
            "avg_px": 0,
            "notional": 0,
        }
        return row | changes

    def event(self, order: UUID, **changes: Any) -> int:
        row: Row = {"order_id": order, "exec_type": "0", "actor": "a trader", "at": NOW, "payload": "{}"}
        return self._insert("trader_orderevent", row | changes)

    def execution(self, **changes: Any) -> UUID:
        return self._insert_fact("trader_execution", self.execution_row(**changes))

    def execution_row(self, **changes: Any) -> Row:
        key = uuid7()
        row: Row = {
            "id": key,
            "account_id": self.account,
            "instrument_id": self.instrument,
            "source": "manual",
            "exec_id": f"EXEC-{key}",
            "exec_type": "F",
            "side": "BUY",
            "last_qty": "10",
            "last_px": "100",
            "last_mkt": "",
            "transact_time": NOW,
            "trade_date": DAY,
            "actor": "a trader",
            "recorded_at": NOW,
        }
        return row | changes

    def fill(self, order: UUID, qty: str, px: str = "100", **changes: Any) -> UUID:
        return self.execution(order_id=order, last_qty=qty, last_px=px, **changes)

    def correct(self, execution: UUID, qty: str, px: str = "100", **changes: Any) -> UUID:
        return self.execution(exec_type="G", exec_ref_id=execution, last_qty=qty, last_px=px, **changes)

    def bust(self, execution: UUID, **changes: Any) -> UUID:
        return self.execution(exec_type="H", exec_ref_id=execution, last_qty="0", last_px="0", **changes)

    def fee(self, execution: UUID, **changes: Any) -> int:
        row: Row = {"execution_id": execution, "type": "COMMISSION", "amount": "1.5", "currency_id": self.currency}
        return self._insert("trader_executionfee", row | changes)

    def selection(self, closing: UUID, opening: UUID, quantity: str) -> int:
        row: Row = {"closing_execution_id": closing, "opening_execution_id": opening, "quantity": quantity}
        return self._insert("trader_lotselection", row)

    def split(self, numerator: int, denominator: int, **changes: Any) -> int:
        row: Row = {
            "instrument_id": self.instrument,
            "type": "SPLIT",
            "ex_date": DAY,
            "numerator": numerator,
            "denominator": denominator,
        }
        return self._insert("trader_corporateaction", row | changes)

    def dividend(self, cash: str, **changes: Any) -> int:
        row: Row = {
            "instrument_id": self.instrument,
            "type": "CASH_DIVIDEND",
            "ex_date": DAY,
            "cash_per_unit": cash,
            "currency_id": self.currency,
        }
        return self._insert("trader_corporateaction", row | changes)

    def rate(self, quote: int, rate: str = "0.91", **changes: Any) -> int:
        row: Row = {"base_id": self.currency, "quote_id": quote, "source": "manual", "at": NOW, "rate": rate}
        return self._insert("trader_fxrate", row | changes)

    def bar(self, **changes: Any) -> int:
        row: Row = {
            "instrument_id": self.instrument,
            "source": "manual",
            "timeframe": "1d",
            "ts": datetime(2026, 1, 5, tzinfo=UTC),
            "open": "100",
            "high": "110",
            "low": "90",
            "close": "105",
            "split_adjusted": False,
        }
        return self._insert("trader_pricebar", row | changes)

    def identifier(self, source: str, value: str, valid: str = "[2026-01-05,)", **changes: Any) -> int:
        row: Row = {"instrument_id": self.instrument, "source": source, "value": value, "mic": "", "valid": valid}
        return self._insert("trader_instrumentidentifier", row | changes)

    def batch(self, **changes: Any) -> int:
        row: Row = {
            "account_id": self.account,
            "source": "generic",
            "file_name": "trades.csv",
            "sha256": "0" * 64,
            "actor": "a trader",
            "imported_at": NOW,
        }
        return self._insert("trader_importbatch", row | changes)

    def import_row(self, batch: int, **changes: Any) -> int:
        row: Row = {
            "batch_id": batch,
            "account_id": self.account,
            "source": "generic",
            "row_number": 2,
            "raw": "a,b",
            "external_id": "",
            "row_hash": "ab" * 16,
            "ordinal": 0,
            "state": "IMPORTED",
        }
        return self._insert("trader_importrow", row | changes)

    def position(self, **changes: Any) -> int:
        row: Row = {"account_id": self.account, "instrument_id": self.instrument, "unrated_lots": 0}
        row |= dict.fromkeys(("quantity", "cost", "gross", "realized_pnl", "rated_cost_base"), "0")
        return self._insert("trader_position", row | changes)

    def lot(self, position: int, trade: UUID, qty: str = "10", **changes: Any) -> int:
        row: Row = {"position_id": position, "trade_id": trade, "acquired_at": NOW, "unit_cost": "100"}
        row |= dict.fromkeys(("quantity", "unclosed", "remaining"), qty)
        return self._insert("trader_taxlot", row | changes)

    def match(self, position: int, opening: UUID, qty: str, **changes: Any) -> int:
        row: Row = {"position_id": position, "opening_trade_id": opening, "closing_trade_id": uuid7()}
        row |= dict.fromkeys(("quantity", "opened_quantity"), qty)
        row |= dict.fromkeys(("proceeds", "cost", "gross_proceeds", "gross_cost"), "0")
        return self._insert("trader_lotmatch", row | changes)

    def ledger_account(self, kind: str, **changes: Any) -> int:
        """The one of that kind, made where there is none yet."""
        row: Row = {"account_id": self.account, "kind": kind, "currency_id": self.currency} | changes
        key = (row["account_id"], kind, row["currency_id"])
        if key not in self._ledger_accounts:
            self._ledger_accounts[key] = self._insert("trader_ledgeraccount", row)
        return self._ledger_accounts[key]

    def entry(self, **changes: Any) -> UUID:
        row: Row = {
            "id": uuid7(),
            "account_id": self.account,
            "value_date": DAY,
            "kind": "DEPOSIT",
            "actor": "a trader",
            "recorded_at": NOW,
        }
        return self._insert_fact("trader_journalentry", row | changes)

    def posting(self, entry: UUID, kind: str, amount: str, **changes: Any) -> int:
        row: Row = {"entry_id": entry, "currency_id": self.currency, "amount": amount, "value_date": DAY} | changes
        if "ledger_account_id" not in row:
            row["ledger_account_id"] = self.ledger_account(kind)
        return self._insert("trader_posting", row)

    def deposit(self, amount: str = "100") -> UUID:
        """An entry with its two postings."""
        entry = self.entry()
        self.posting(entry, "CASH", amount)
        self.posting(entry, "EQUITY", f"-{amount}")
        return entry

    def _insert(self, table: str, row: Row) -> int:
        return int(insert(self.session, table, row))

    def _insert_fact(self, table: str, row: Row) -> UUID:
        return UUID(str(insert(self.session, table, row)))
