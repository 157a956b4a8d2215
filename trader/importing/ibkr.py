"""Interactive Brokers' Flex Query "Trades" as CSV.

A row of LevelOfDetail EXECUTION is a fill; others sum these up. Times are of the account's zone.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import BinaryIO

from trader.booking.numbers import ONE, ZERO, exact, plain
from trader.importing import values
from trader.importing.activities import (
    Activity,
    Cancellation,
    Destination,
    Details,
    Exchange,
    Fee,
    Format,
    InstrumentName,
    Passed,
    Row,
    Trade,
)
from trader.importing.cells import Cells
from trader.importing.ibkr_cancels import Cancels
from trader.importing.ibkr_columns import ASSETS, CANCELS, CASH, LAYOUT, MARKETS, NUMBERS, SIDES, STOCKS, SUMMARIES
from trader.importing.problems import Problems
from trader.importing.reading import Record, records
from trader.importing.values import Moment, Selections, Unreadable

DATE = re.compile(r"(19|20|21)[0-9]{2}(-?)[0-9]{2}\2[0-9]{2}")
TIME = re.compile(r"(?P<day>[0-9-]+)(?:;|, ?| )(?P<time>[0-9]{6}|[0-9]{2}:[0-9]{2}:[0-9]{2})")
PAIR = re.compile(r"([A-Z]{3})\.([A-Z]{3})")
NO_DAY = date(1970, 1, 1)
# What an amount may differ by from quantity x price x multiplier.
ROUNDING = Decimal("0.01")


def read(file: BinaryIO, problems: Problems, destination: Destination) -> Iterator[Row | Passed | None]:
    fills = Fills(problems, destination, Cancels.of(file))
    file.seek(0)
    for record in records(file, LAYOUT, problems):
        yield record and fills.row(record)


class Fills:
    """The fills of one file."""

    def __init__(self, problems: Problems, destination: Destination, cancels: Cancels) -> None:
        self._problems = problems
        self._zone = destination.time_zone
        self._cancels = cancels
        self._client = ""

    def row(self, record: Record) -> Row | Passed | None:
        """None for a row with problems."""
        cells = Cells(record, LAYOUT, NUMBERS)
        cells.kind = "an execution"
        self._see_client(cells)
        why = self._passed(cells)
        activity = None if why or cells.problems else self._activity(cells)
        self._problems.extend(cells.problems.values())
        if cells.problems or (activity is None and not why):
            return None
        if activity is None:
            return Passed(record.line, 1, why)
        return Row(record.line, record.raw, cells.text["IBExecID"], cells.digest(), activity)

    def _see_client(self, cells: Cells) -> None:
        client = cells.text["ClientAccountID"]
        self._client = self._client or client
        if client != self._client or not client:
            cells.refuse("ClientAccountID", f"{self._client or 'an account'}, as a file is of one account")

    def _passed(self, cells: Cells) -> str:
        """Why the row is no activity, if it is none."""
        level = cells.text["LevelOfDetail"]
        if level == "EXECUTION":
            return self._cancels.undone(cells.line)
        if level not in SUMMARIES:
            cells.refuse("LevelOfDetail", f"EXECUTION, or one of {', '.join(SUMMARIES)}, which are passed over")
        return f"{level}: {SUMMARIES.get(level, '')}"

    def _activity(self, cells: Cells) -> Activity | None:
        at = self._moment(cells)
        cells.aside("IBExecID", values.external_id)
        if cells.text["Buy/Sell"] in CANCELS:
            return self._cancellation(cells, at)
        if not cells.text["IBExecID"]:
            cells.given("TradeID", values.external_id)
        direction = SIDES[cells.needed("Buy/Sell", _side, "BUY")]
        quantity = cells.needed("Quantity", values.nonzero_amount, ONE * direction)
        if quantity * direction < 0:
            cells.refuse("Quantity", f"a number {'over' if direction > 0 else 'under'} 0 in this row")
        return _exchange(cells, at, quantity) if cells.text["AssetClass"] == CASH else _trade(cells, at, quantity)

    def _cancellation(self, cells: Cells, at: Moment) -> Cancellation | None:
        """Of a trade above in the file, given back whole."""
        cells.needed("OrigTradeID", values.external_id, "")
        for column in ("Quantity", "TradePrice"):
            cells.given(column, values.amount)
        trade = self._cancels.trade(cells)
        return Cancellation(at, trade) if trade else None

    def _moment(self, cells: Cells) -> Moment:
        at = cells.needed("DateTime", _date_time, datetime(1970, 1, 1))  # noqa: DTZ001 - of the account's zone
        day = cells.needed("TradeDate", _day, NO_DAY)
        try:
            return Moment(Moment(at, is_date=False).placed(self._zone)[0], is_date=False, day=day)
        except Unreadable as error:
            cells.refuse("DateTime", str(error))
            return Moment(at, is_date=False)


def _trade(cells: Cells, at: Moment, quantity: Decimal) -> Trade:
    """Its digest says nothing of what may be told otherwise later: names, markets, rates."""
    asset = cells.needed("AssetClass", _asset, "")
    currency = cells.needed("CurrencyPrimary", values.currency, "")
    multiplier = cells.aside("Multiplier", values.rate) or ONE
    price = cells.needed("TradePrice", values.price, ZERO)
    return Trade(
        at=at,
        instrument=_instrument(cells, asset, currency, multiplier),
        side=_sell_short(cells) if quantity < 0 else "BUY",
        quantity=abs(quantity),
        price=price,
        amount=_gross(cells, abs(quantity), price, multiplier),
        fees=_fees(cells, currency),
        fx_rate=cells.aside("FXRateToBase", values.rate),
        settlement=None,
        selections=Selections(),
        last_mkt=MARKETS.get(cells.text["Exchange"], ""),
        settl_date=cells.given("SettleDateTarget", _day),
    )


def _sell_short(cells: Cells) -> str:
    return "SELL_SHORT" if cells.text["Open/CloseIndicator"] == "O" else "SELL"


def _instrument(cells: Cells, asset: str, currency: str, multiplier: Decimal) -> InstrumentName:
    details = Details(
        name=cells.aside("Description", values.title) or "",
        security_type=STOCKS.get(cells.text["SubCategory"], asset) if cells.text["AssetClass"] == "STK" else asset,
        multiplier=multiplier,
        price_quotation_factor=ONE,
        cusip=cells.aside("CUSIP", values.symbol) or "",
    )
    symbol = cells.needed("Symbol", values.symbol, "")
    if not cells.text["ListingExchange"]:
        cells.refuse("ListingExchange", "a value: an execution needs one")
    mic = cells.aside("ListingExchange", _market) or ""
    return InstrumentName(symbol, mic, cells.aside("ISIN", values.isin) or "", currency, details)


def _gross(cells: Cells, quantity: Decimal, price: Decimal, multiplier: Decimal) -> Decimal | None:
    """The money that went over, where the row has it; it is quantity x price x multiplier but for its rounding."""
    proceeds = cells.aside("Proceeds", values.amount)
    if proceeds is None:
        return None
    with exact():
        gross = quantity * price * multiplier
        if not cells.problems and abs(abs(proceeds) - gross) > ROUNDING:
            cells.refuse("Proceeds", f"{plain(gross)}, quantity x price x multiplier")
    return abs(proceeds)


def _fees(cells: Cells, currency: str) -> tuple[Fee, ...]:
    """Commission and taxes, which IBKR has negative where they are paid."""
    paid_in = cells.given("IBCommissionCurrency", values.currency) or currency
    commission, taxes = (cells.costs(column) for column in ("IBCommission", "Taxes"))
    fees = (Fee(-commission, paid_in), Fee(-taxes, currency, "TAX"))
    return tuple(fee for fee in fees if fee.amount)


def _exchange(cells: Cells, at: Moment, quantity: Decimal) -> Exchange | None:
    """Symbol EUR.USD: a quantity of EUR at a price in USD."""
    pair = PAIR.fullmatch(cells.needed("Symbol", values.symbol, ""))
    price = cells.needed("TradePrice", values.price, ONE)
    currency = cells.needed("CurrencyPrimary", values.currency, "")
    if pair is None or pair[2] != currency:
        cells.refuse("Symbol", f"a pair of currencies, the second one {currency}, such as EUR.{currency}")
        return None
    paid = _gross(cells, abs(quantity), price, ONE)
    with exact():
        there, here = (pair[1], abs(quantity)), (currency, abs(quantity) * price if paid is None else paid)
    fees = _fees(cells, currency)
    if len(fees) > 1:
        cells.refuse("Taxes", "nothing of an exchange of currencies: book them as a FEE row of the generic format")
    bought, sold = (there, here) if quantity > 0 else (here, there)
    return Exchange(at, *bought, *sold, fees[0] if fees else None)


def _side(text: str) -> str:
    if text not in SIDES:
        raise Unreadable(f"one of {', '.join([*SIDES, *CANCELS])}")
    return text


def _asset(text: str) -> str:
    if text not in ASSETS:
        known = ", ".join([*ASSETS, CASH])
        raise Unreadable(f"one of {known}: take the row out, and book what it did by hand")
    return ASSETS[text]


def _market(text: str) -> str:
    if text not in MARKETS:
        raise Unreadable("a market whose MIC is known: import the row in the generic format, with its MIC")
    return MARKETS[text]


def _day(text: str) -> date:
    try:
        if DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError as error:
        raise Unreadable("a date that exists") from error
    raise Unreadable("a date such as 20230403")


def _date_time(text: str) -> datetime:
    found = TIME.fullmatch(text)
    if not found:
        raise Unreadable("a time of the account's zone such as 20230403;095853, without the name of a zone")
    try:
        return datetime.combine(_day(found["day"]), datetime.strptime(found["time"].replace(":", ""), "%H%M%S").time())  # noqa: DTZ007
    except ValueError as error:
        raise Unreadable("a date and time that exist") from error


FORMAT = Format(
    read,
    {
        "symbol": "Symbol",
        "mic": "ListingExchange",
        "isin": "ISIN",
        "cusip": "CUSIP",
        "multiplier": "Multiplier",
        "currency": "CurrencyPrimary",
        "settl_currency": "Symbol",
        "fee_currency": "IBCommissionCurrency",
        "fee": "IBCommission",
        "side": "Buy/Sell",
        "quantity": "Quantity",
        "price": "TradePrice",
        "amount": "Proceeds",
        "transact_time": "DateTime",
        "external_id": "IBExecID",
        "exec_ref": "OrigTradeID",
    },
)
