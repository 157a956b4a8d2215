"""DEGIRO's "Transactions" CSV, in English, as it was until 2021 and as it is since.

Columns without a title hold the currency of the one before; since AutoFX has a column of its own, the titles of amounts
in the account's currency name it themselves. Times are those of Amsterdam.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import BinaryIO
from zoneinfo import ZoneInfo

from trader.booking.numbers import ONE, ZERO, exact, plain
from trader.importing import values
from trader.importing.activities import Destination, Details, Fee, Format, InstrumentName, Row, Settlement, Trade
from trader.importing.cells import Cells
from trader.importing.problems import Problems
from trader.importing.reading import Layout, Record, records
from trader.importing.values import Moment, Selections, Unreadable
from trader.operations.currencies import HUNDREDTHS

REQUIRED = (
    "Date",
    "Time",
    "Product",
    "ISIN",
    "Reference",
    "Venue",
    "Quantity",
    "Price",
    "Price currency",
    "Local value",
    "Local value currency",
    "Value",
    "Exchange rate",
    "Transaction costs",
    "Total",
    "Order ID",
)
IN_BASE = ("Value", "Transaction costs", "Total")
# The last one holds the ID where the title stands one column too early.
COLUMNS = (*REQUIRED, "AutoFX Fee", *(f"{column} currency" for column in IN_BASE), "Order ID currency")
NUMBERS = {"Quantity", "Price", "Local value", "Value", "Exchange rate", "AutoFX Fee", "Transaction costs", "Total"}
ALIASES = {
    "Reference exchange": "Reference",
    "Transaction and/or third": "Transaction costs",
    "Transaction and/or third party fees": "Transaction costs",
}
WITH_CURRENCY = re.compile(r"(?P<name>Value|Total|Transaction and/or third party fees) (?P<currency>[A-Z]{3})")

ZONE = ZoneInfo("Europe/Amsterdam")
# The listing's MIC by what DEGIRO calls its market.
MARKETS = {
    "ASX": "XASX",
    "EAM": "XAMS",
    "EBR": "XBRU",
    "ELI": "XLIS",
    "EPA": "XPAR",
    "FRA": "XFRA",
    "LSE": "XLON",
    "MAD": "XMAD",
    "MIL": "XMIL",
    "NDQ": "XNAS",
    "NSY": "XNYS",
    "OSL": "XOSL",
    "SWX": "XSWX",
    "TDG": "XGAT",
    "TOR": "XTSE",
    "VIE": "XWBO",
    "XET": "XETR",
}
DAY = re.compile(r"[0-9]{2}-[0-9]{2}-(19|20|21)[0-9]{2}")
MINUTE = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
ORDER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Of pence in a pound, and of what roundings may come to.
CENT = Decimal("0.01")
# A price has 4 decimal places and a value 2.
PRICE_ROUNDING, VALUE_ROUNDING = Decimal("0.00005"), Decimal("0.005")
RATE_PLACE = Decimal("1e-12")
# Stands where a date could not be read, in an activity that is thrown away.
NO_DAY = date(1970, 1, 1)


def named(header: Sequence[str]) -> Sequence[str]:
    names: list[str] = []
    for title in header:
        with_currency = WITH_CURRENCY.fullmatch(title)
        name = with_currency["name"] if with_currency else title
        names.append(ALIASES.get(name, name) if name else f"{names[-1] if names else ''} currency".strip())
    return names


LAYOUT = Layout(columns=COLUMNS, required=REQUIRED, named=named)


def read(file: BinaryIO, problems: Problems, destination: Destination) -> Iterator[Row | None]:
    for record in records(file, LAYOUT, problems):
        yield record and _row(record, problems, destination)


def _row(record: Record, problems: Problems, destination: Destination) -> Row | None:
    cells = Cells(record._replace(localized=True), LAYOUT, NUMBERS)
    cells.kind = "a transaction"
    activity = _trade(cells, destination.base_currency)
    problems.extend(cells.problems.values())
    return None if cells.problems else Row(record.line, record.raw, "", cells.digest(), activity)


def _trade(cells: Cells, base: str) -> Trade:
    """Its digest says nothing of the product's name, which DEGIRO changes, nor of the exchange rate."""
    quantity = cells.needed("Quantity", values.nonzero_amount, ONE)
    price = cells.needed("Price", values.price, ZERO)
    local = cells.needed("Local value", values.amount, ZERO)
    quoted_in = cells.needed("Price currency", values.currency, "")
    currency, factor = HUNDREDTHS.get(quoted_in, quoted_in), CENT if quoted_in in HUNDREDTHS else ONE
    value, fees = _in_base(cells, base)
    if not cells.problems:
        _check(cells, quantity, price, local)
    with exact():
        gross = abs(local) * factor
    if currency == base:
        gross = _same(cells, gross, abs(value))
    elif local * value < 0:
        cells.refuse("Value", "an amount of the same sign as the local value")
    return Trade(
        at=_moment(cells),
        instrument=_instrument(cells, currency, factor),
        side="BUY" if quantity > 0 else "SELL",
        quantity=abs(quantity),
        price=price,
        amount=gross,
        fees=fees,
        fx_rate=_rate(cells, currency, base, gross, abs(value), factor),
        settlement=None if currency == base else Settlement(base, abs(value)),
        selections=Selections(),
        last_mkt=_market_of_execution(cells),
    )


def _in_base(cells: Cells, base: str) -> tuple[Decimal, tuple[Fee, ...]]:
    """The value before costs, and these: together they are the total to the cent, which is what the cash moves by."""
    value = cells.needed("Value", values.amount, ZERO)
    total = cells.needed("Total", values.amount, ZERO)
    costs, autofx = (cells.costs(column) for column in ("Transaction costs", "AutoFX Fee"))
    for column in IN_BASE:
        if cells.text[column] and (found := _currency(cells, column)) != base:
            cells.refuse(column, f"an amount in {base}, the account's base currency, not in {found or 'none'}")
    with exact():
        over = total - (value + costs + autofx)
        if not cells.problems and abs(over) > (CENT if autofx else ZERO):
            cells.refuse("Total", f"{plain(value + costs + autofx)}, the value with its costs")
        # A value and its conversion are rounded each for itself, their total once.
        value += over
    fees = ((-costs, "COMMISSION"), (-autofx, "OTHER"))
    return value, tuple(Fee(amount, base, kind) for amount, kind in fees if amount)


def _currency(cells: Cells, column: str) -> str:
    """That of the column's own, or of its title."""
    titled = WITH_CURRENCY.fullmatch(cells.titles[column])
    return titled["currency"] if titled else cells.text[f"{column} currency"]


def _check(cells: Cells, quantity: Decimal, price: Decimal, local: Decimal) -> None:
    """See that the local value is the quantity at the price, as it is of what has no multiplier."""
    if cells.text["Local value currency"] != cells.text["Price currency"]:
        cells.refuse("Local value currency", f"{cells.text['Price currency']}, the currency of the price")
    with exact():
        gross = -quantity * price
        if abs(local - gross) > abs(quantity) * PRICE_ROUNDING + VALUE_ROUNDING:
            expected = f"{plain(gross)}, quantity x price: what has a multiplier is imported in the generic format"
            cells.refuse("Local value", expected)


def _same(cells: Cells, gross: Decimal, value: Decimal) -> Decimal:
    """The value, which in the trade's own currency is the local one, in cents."""
    with exact():
        if abs(value - gross) > VALUE_ROUNDING:
            cells.refuse("Value", f"{plain(gross)}, the local value")
    return value


def _rate(cells: Cells, currency: str, base: str, gross: Decimal, value: Decimal, factor: Decimal) -> Decimal | None:
    """Units of base currency per unit of the trade's, by what was paid; of what cost nothing, by the exchange rate."""
    quoted = cells.aside("Exchange rate", values.rate)
    if currency == base:
        return None
    with exact():
        if gross and value:
            return (value / gross).quantize(RATE_PLACE) or None
        return (ONE / (quoted * factor)).quantize(RATE_PLACE) or None if quoted else None


def _instrument(cells: Cells, currency: str, factor: Decimal) -> InstrumentName:
    """Known by its ISIN alone."""
    cells.tell("currency", currency)
    details = Details(name=cells.aside("Product", values.title) or "", price_quotation_factor=factor)
    isin = cells.needed("ISIN", values.isin, "")
    return InstrumentName("", cells.needed("Reference", _market, ""), isin, currency, details)


def _market(text: str) -> str:
    if text not in MARKETS:
        known = ", ".join(MARKETS)
        raise Unreadable(f"a market whose MIC is known ({known}): import the row in the generic format, with its MIC")
    return MARKETS[text]


def _market_of_execution(cells: Cells) -> str:
    """The Venue's MIC; DEGIRO may have none there, or several."""
    venue = cells.given("Venue", str) or ""
    return venue if values.MIC.fullmatch(venue) else ""


def _moment(cells: Cells) -> Moment:
    """What is of a corporate action has neither venue nor order; where it has no time either, 00:00 stands there."""
    day, minute = cells.needed("Date", _day, NO_DAY), cells.needed("Time", _minute, time.min)
    order = _order(cells)
    at = datetime.combine(day, minute)
    if minute == time.min and not (order or cells.text["Venue"]):
        return Moment(at, is_date=True)
    try:
        return Moment(Moment(at, is_date=False).placed(ZONE)[0], is_date=False)
    except Unreadable as error:
        cells.refuse("Time", str(error))
        return Moment(at, is_date=True)


def _order(cells: Cells) -> str:
    column = "Order ID" if cells.text["Order ID"] else "Order ID currency"
    order = cells.aside(column, _order_id) or ""
    if order:
        cells.tell("Order ID", order)
    return order


def _order_id(text: str) -> str:
    if not ORDER_ID.fullmatch(text):
        raise Unreadable("an order ID such as 420be97a-265e-4b69-b7a7-acfad1ba8940, or nothing")
    return text


def _day(text: str) -> date:
    try:
        if DAY.fullmatch(text):
            return date(*map(int, reversed(text.split("-"))))
    except ValueError as error:
        raise Unreadable("a date that exists, the day first") from error
    raise Unreadable("a date such as 07-04-2021, the day first")


def _minute(text: str) -> time:
    found = MINUTE.fullmatch(text)
    if not found:
        raise Unreadable("a time such as 20:25")
    return time(int(found[1]), int(found[2]))


FORMAT = Format(
    read,
    {
        "symbol": "ISIN",
        "isin": "ISIN",
        "mic": "Reference",
        "currency": "Price currency",
        "fee_currency": "Transaction costs currency",
        "settl_currency": "Value currency",
        "settl_amount": "Value",
        "transact_time": "Time",
        "quantity": "Quantity",
        "price": "Price",
        "amount": "Local value",
        "fee": "Transaction costs",
    },
)
