"""Files in the generic format, as tests write them: rows said with the least."""

import csv
import io
from collections.abc import Mapping, Sequence

from trader.importing.generic import COLUMNS

Row = Mapping[str, str]


def trade(side: str = "BUY", quantity: str = "10", price: str = "100", **more: str) -> Row:
    row = {
        "transact_time": "2026-01-05T09:00:00Z",
        "type": "TRADE",
        "symbol": "AAA",
        "side": side,
        "quantity": quantity,
        "price": price,
        "currency": "CHF",
    }
    return row | more


def cash(kind: str = "DEPOSIT", amount: str = "100", **more: str) -> Row:
    return {"transact_time": "2026-01-05", "type": kind, "amount": amount, "currency": "CHF"} | more


def exchange(**more: str) -> Row:
    row = {"transact_time": "2026-01-05", "type": "FX", "amount": "1000", "currency": "USD"}
    return row | {"settl_currency": "CHF", "settl_amount": "910"} | more


def split(ratio: str = "4:1", **more: str) -> Row:
    return {"transact_time": "2026-01-05", "type": "SPLIT", "symbol": "AAA", "quantity": ratio} | more


def correction(exec_ref: str, side: str = "BUY", quantity: str = "10", price: str = "100", **more: str) -> Row:
    return trade(side, quantity, price, type="CORRECT", exec_ref=exec_ref, **more)


def cancel(exec_ref: str, **more: str) -> Row:
    return {"transact_time": "2026-01-05", "type": "CANCEL", "exec_ref": exec_ref} | more


def sheet(*rows: Row, columns: Sequence[str] = COLUMNS) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
