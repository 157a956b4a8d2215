"""Rows written past the ORM, as psql would."""

from typing import Any

import psycopg
from psycopg import sql

Row = dict[str, Any]

INSERT = sql.SQL("INSERT INTO {table} ({columns}) VALUES ({values}) RETURNING id")
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


def insert(session: psycopg.Connection, table: str, row: Row) -> int:
    """Insert the row and return its id."""
    statement = INSERT.format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, row)),
        values=sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    inserted = session.execute(statement.as_string(), row).fetchone()
    assert inserted is not None
    return int(inserted[0])


def referring(session: psycopg.Connection, table: str, row: Row) -> Row:
    """The row with what its table refers to, which is inserted first."""
    if table == "trader_instrument":
        row = row | {"venue_id": insert(session, "trader_venue", VENUE)}
        return row | {"currency_id": insert(session, "trader_currency", CURRENCY)}
    if table == "trader_account":
        return row | {"base_currency_id": insert(session, "trader_currency", CURRENCY)}
    return row
