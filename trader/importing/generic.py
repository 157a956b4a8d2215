"""The book's own format: CSV, one activity a row, columns in any order."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import BinaryIO

from trader.booking.numbers import ONE, ZERO, exact
from trader.importing import values
from trader.importing.activities import (
    Activity,
    Cancellation,
    Cash,
    Correction,
    Destination,
    Exchange,
    Fee,
    Format,
    InstrumentName,
    Row,
    Settlement,
    Split,
    Trade,
)
from trader.importing.cells import Cells
from trader.importing.problems import Problems
from trader.importing.reading import Layout, Record, records
from trader.importing.values import Moment, Ratio, Selections, Unreadable

COLUMNS = (
    "transact_time",
    "type",
    "symbol",
    "mic",
    "isin",
    "side",
    "quantity",
    "price",
    "amount",
    "currency",
    "fee",
    "fee_currency",
    "fx_rate",
    "settl_currency",
    "settl_amount",
    "lots",
    "external_id",
    "exec_ref",
    "note",
)
LAYOUT = Layout(columns=COLUMNS, required=("transact_time", "type"))
NUMBERS = {"quantity", "price", "amount", "fee", "fx_rate", "settl_amount"}

SIDES = ("BUY", "SELL", "SELL_SHORT")
EVERYWHERE = {"transact_time", "type", "external_id", "note"}
INSTRUMENT = {"symbol", "mic", "isin", "currency"}
FEE_AND_SETTLEMENT = {"fee", "fee_currency", "settl_currency", "settl_amount"}
TRADE = EVERYWHERE | INSTRUMENT | FEE_AND_SETTLEMENT | {"side", "quantity", "price", "amount", "fx_rate", "lots"}
CASH = EVERYWHERE | INSTRUMENT | {"amount", "fx_rate"}
TAKES = {
    "TRADE": TRADE,
    "CORRECT": TRADE | {"exec_ref"},
    "CANCEL": EVERYWHERE | INSTRUMENT | {"exec_ref", "side", "quantity", "price"},
    **dict.fromkeys(["DEPOSIT", "WITHDRAWAL", "DIVIDEND", "WITHHOLDING_TAX", "FEE", "INTEREST"], CASH),
    "FX": EVERYWHERE | {"amount", "currency", "settl_currency", "settl_amount"},
    "SPLIT": EVERYWHERE | INSTRUMENT | {"quantity"},
}
LEAVES_EMPTY = {kind: [column for column in COLUMNS if column not in taken] for kind, taken in TAKES.items()}
WITH_INSTRUMENT = {"DIVIDEND", "WITHHOLDING_TAX"}
POSITIVE = {"DEPOSIT", "WITHDRAWAL"}
# Stands where a time could not be read, in an activity that is thrown away.
NO_TIME = Moment(datetime(1970, 1, 1, tzinfo=UTC), is_date=True)


def read(file: BinaryIO, problems: Problems, _destination: Destination) -> Iterator[Row | None]:
    for record in records(file, LAYOUT, problems):
        yield record and _row(record, problems)


def _row(record: Record, problems: Problems) -> Row | None:
    cells = Cells(record, LAYOUT, NUMBERS)
    if cells.text["type"] in TAKES:
        cells.kind = cells.text["type"]
    activity = _activity(cells)
    problems.extend(cells.problems.values())
    if cells.problems or activity is None:
        return None
    return Row(record.line, record.raw, cells.text["external_id"], cells.digest(), activity)


def _activity(cells: Cells) -> Activity | None:
    at = cells.needed("transact_time", values.moment, NO_TIME)
    kind = cells.needed("type", partial(_one_of, TAKES), "")
    if not kind:
        return None
    for column in LEAVES_EMPTY[kind]:
        if cells.text[column]:
            cells.refuse(column, _nothing(column, kind))
    cells.given("external_id", values.external_id)
    return READERS.get(kind, _cash)(cells, at)


def _one_of(words: Iterable[str], text: str) -> str:
    if text not in words:
        raise Unreadable(f"one of {', '.join(words)}")
    return text


def _nothing(column: str, kind: str) -> str:
    if column == "fee" and kind not in ("CANCEL", "SPLIT"):
        return f"nothing in a {kind} row: book the fee as a FEE row"
    return f"nothing in a {kind} row"


def _trade(cells: Cells, at: Moment) -> Trade:
    currency = cells.needed("currency", values.currency, "")
    trade = Trade(
        at=at,
        instrument=_instrument(cells, currency),
        side=cells.needed("side", partial(_one_of, SIDES), ""),
        quantity=cells.needed("quantity", values.quantity, ONE),
        price=cells.given("price", values.price),
        amount=cells.given("amount", values.gross_amount),
        fees=_fees(cells, currency),
        fx_rate=cells.given("fx_rate", values.rate),
        settlement=_settlement(cells, currency),
        selections=cells.given("lots", values.selections) or Selections(),
    )
    if not (cells.text["price"] or cells.text["amount"]):
        cells.refuse("price", "a price, or a gross amount in its column")
    _check_units(cells, trade)
    return trade


def _check_units(cells: Cells, trade: Trade) -> None:
    """A fee in units of the instrument leaves some of what is traded, and changes how much of it closes lots."""
    with exact():
        units = sum((fee.amount for fee in trade.fees if not fee.currency), ZERO)
    if not (units or trade.selections):
        return
    with exact():
        counted = trade.quantity - units if trade.side == "BUY" else trade.quantity + units
        selected = sum(selection.quantity for selection in trade.selections)
    if counted <= 0:
        cells.refuse("fee", f"fewer than the {trade.quantity:f} units that were traded")
    elif selected > counted:
        cells.refuse("lots", f"lots of at most {counted:f} units together")


def _fees(cells: Cells, currency: str) -> tuple[Fee, ...]:
    amount = cells.given("fee", values.fee)
    in_units = bool(cells.text["symbol"]) and cells.text["fee_currency"] == cells.text["symbol"] != currency
    paid_in = cells.given("fee_currency", values.symbol if in_units else values.currency)
    return (Fee(amount, "" if in_units else paid_in or currency),) if amount else ()


def _settlement(cells: Cells, currency: str) -> Settlement | None:
    settled_in = cells.given("settl_currency", values.currency)
    amount = cells.given("settl_amount", values.gross_amount)
    if settled_in and settled_in != currency:
        return Settlement(settled_in, amount)
    if settled_in and cells.text["settl_amount"]:
        cells.refuse("settl_amount", "nothing: the trade is settled in its own currency")
    elif cells.text["settl_amount"]:
        cells.refuse("settl_currency", "the currency of settl_amount")
    return None


def _instrument(cells: Cells, currency: str) -> InstrumentName:
    if not (cells.text["symbol"] or cells.text["isin"]):
        cells.refuse("symbol", "a symbol or an ISIN")
    return InstrumentName(
        cells.given("symbol", values.symbol) or "",
        cells.given("mic", values.mic) or "",
        cells.given("isin", values.isin) or "",
        currency,
    )


def _correction(cells: Cells, at: Moment) -> Correction:
    return Correction(at, _trade(cells, at), cells.needed("exec_ref", values.external_id, ""))


def _cancellation(cells: Cells, at: Moment) -> Cancellation:
    """What it repeats of the trade is read for its form alone: `exec_ref` says which one is meant."""
    for column, reader in REPEATED.items():
        cells.given(column, reader)
    return Cancellation(at, cells.needed("exec_ref", values.external_id, ""))


def _cash(cells: Cells, at: Moment) -> Cash:
    kind = cells.text["type"]
    currency = cells.needed("currency", values.currency, "")
    names_one = kind in WITH_INSTRUMENT or any(cells.text[column] for column in ("symbol", "mic", "isin"))
    amount = cells.needed("amount", values.positive_amount if kind in POSITIVE else values.nonzero_amount, ONE)
    fx_rate = cells.given("fx_rate", values.rate)
    return Cash(at, kind, _instrument(cells, currency) if names_one else None, currency, amount, fx_rate)


def _exchange(cells: Cells, at: Moment) -> Exchange:
    exchange = Exchange(
        at=at,
        currency=cells.needed("currency", values.currency, ""),
        amount=cells.needed("amount", values.positive_amount, ONE),
        paid_currency=cells.needed("settl_currency", values.currency, ""),
        paid_amount=cells.needed("settl_amount", values.positive_amount, ONE),
    )
    if exchange.currency == exchange.paid_currency:
        cells.refuse("settl_currency", f"another currency than {exchange.currency}")
    return exchange


def _split(cells: Cells, at: Moment) -> Split:
    currency = cells.given("currency", values.currency) or ""
    return Split(at, _instrument(cells, currency), cells.needed("quantity", values.ratio, Ratio(1, 1)))


REPEATED: dict[str, Callable[[str], str | Decimal]] = {
    "symbol": values.symbol,
    "mic": values.mic,
    "isin": values.isin,
    "currency": values.currency,
    "side": partial(_one_of, SIDES),
    "quantity": values.quantity,
    "price": values.price,
}
READERS: dict[str, Callable[[Cells, Moment], Activity]] = {
    "TRADE": _trade,
    "CORRECT": _correction,
    "CANCEL": _cancellation,
    "FX": _exchange,
    "SPLIT": _split,
}

FORMAT = Format(read)
