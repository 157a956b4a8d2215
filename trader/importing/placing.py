"""What a row says, in the book's terms: which instrument, when, at what price. What does not go together is refused."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from trader.booking.fees import gross_amount
from trader.booking.numbers import CONTEXT, exact
from trader.importing.activities import Activity, Cash, Correction, Exchange, Fee, InstrumentName, Split, Trade
from trader.importing.listings import Currencies, Listing, Listings
from trader.importing.problems import Refusal
from trader.importing.values import Moment, Unreadable
from trader.models import Account
from trader.operations.rates import Rates

PRICE_PLACE = Decimal("1e-12")
# What the columns of prices, and of amounts, hold.
PRICE_DIGITS, AMOUNT_DIGITS = 16, 20


class Figures(NamedTuple):
    """A trade's price, at 12 places, and its gross amount where that is not what the price gives."""

    last_px: Decimal
    gross_trade_amt: Decimal | None


class Unlisted(NamedTuple):
    """An activity of no instrument: the instant in UTC, and its date in the account's zone."""

    transact_time: datetime
    trade_date: date


class Listed(NamedTuple):
    """An activity of an instrument: the instant in UTC, and its date in the venue's zone."""

    transact_time: datetime
    trade_date: date
    listing: Listing


class Priced(NamedTuple):
    """A trade, or the whole of it that a correction restates."""

    transact_time: datetime
    trade_date: date
    listing: Listing
    trade: Trade
    figures: Figures


Placed = Unlisted | Listed | Priced


class Placing:
    def __init__(self, account: Account, currencies: Currencies, listings: Listings, rates: Rates) -> None:
        self._zone = ZoneInfo(account.time_zone)
        self._base = account.base_currency.code
        self._currencies = currencies
        self._listings = listings
        self._rates = rates

    def place(self, activity: Activity) -> Placed:
        """Raises Refusal. Instruments, venues and coins that are new are made."""
        match activity:
            case Trade():
                return self._priced(activity.at, activity, settles=True)
            case Correction():
                return self._priced(activity.at, activity.trade, settles=False)
            case Split(instrument=InstrumentName() as name) | Cash(instrument=InstrumentName() as name):
                return self._listed(activity.at, name)
            case Cash():
                self._currencies.named(activity.currency)
            case Exchange():
                self._currencies.named(activity.currency)
                self._currencies.named(activity.paid_currency, "settl_currency")
                self._see_fees([activity.fee] if activity.fee else [])
        return Unlisted(*_placed(activity.at, self._zone))

    def _listed(self, at: Moment, name: InstrumentName) -> Listed:
        listing = self._listings.find(name, at.at.date())
        return Listed(*_placed(at, listing.time_zone), listing)

    def _priced(self, at: Moment, trade: Trade, *, settles: bool) -> Priced:
        instant, day, listing = self._listed(at, trade.instrument)
        trade = _converted(trade, listing)
        priced = Priced(instant, day, listing, trade, self._figures(trade, listing))
        if settles:
            self._see_rate(trade, day)
        return priced

    def _figures(self, trade: Trade, listing: Listing) -> Figures:
        if trade.quantity < listing.qty_increment:
            least = f"at least {listing.qty_increment.normalize(CONTEXT):f}, the quantity increment of {listing.name}"
            raise Refusal("quantity", f"{trade.quantity:f}", least)
        self._see_fees(trade.fees)
        if trade.settlement:
            self._currencies.named(trade.settlement.currency, "settl_currency")
        return figures(trade, listing.unit)

    def _see_fees(self, fees: Iterable[Fee]) -> None:
        for fee in fees:
            if fee.currency:
                self._currencies.named(fee.currency, "fee_currency")

    def _see_rate(self, trade: Trade, day: date) -> None:
        """See that what is settled in another currency without an amount has a rate: the row's own, or a known one."""
        if not trade.settlement or trade.settlement.amount is not None:
            return
        pair = trade.instrument.currency, trade.settlement.currency
        if (trade.fx_rate is None or pair[1] != self._base) and self._rates.at(*pair, day) is None:
            raise Refusal("settl_amount", "", f"an amount, for no rate {'/'.join(pair)} is known on {day}")


def _placed(at: Moment, zone: ZoneInfo) -> tuple[datetime, date]:
    try:
        return at.placed(zone)
    except Unreadable as error:
        raise Refusal("transact_time", str(at), str(error)) from error


def _converted(trade: Trade, listing: Listing) -> Trade:
    """With its price in the instrument's quotation units: a row may have pence where the book has pounds."""
    factor, kept = trade.instrument.details.price_quotation_factor, listing.instrument.price_quotation_factor
    if trade.price is None or factor is None or factor == kept:
        return trade
    with exact():
        return trade._replace(price=trade.price * factor / kept)


def figures(trade: Trade, unit: Decimal) -> Figures:
    """From a price, a gross amount or both. A price of more places than the book keeps is taken where its gross amount
    is exact, which then counts. Raises Refusal."""
    with exact():
        if trade.amount is not None:
            price = trade.amount / (trade.quantity * unit) if trade.price is None else trade.price
            return Figures(_kept(price, trade), trade.amount)
        if trade.price is None:
            raise Refusal("price", "", "a price")
        gross = gross_amount(trade.quantity, trade.price, unit)
        if gross.adjusted() >= AMOUNT_DIGITS and gross:
            raise Refusal("quantity", f"{trade.quantity:f}", f"a gross amount under 1e{AMOUNT_DIGITS}")
        price = _kept(trade.price, trade)
        if price == trade.price:
            return Figures(price, None)
        if _is_exact(gross):
            return Figures(price, gross)
        raise Refusal("price", f"{trade.price:f}", "at most 12 decimal places, or the gross amount in its column")


def _kept(price: Decimal, trade: Trade) -> Decimal:
    price = price.quantize(PRICE_PLACE)
    if price and price.adjusted() >= PRICE_DIGITS:
        column = "price" if trade.price is not None else "amount"
        raise Refusal(column, f"{getattr(trade, column):f}", f"a price under 1e{PRICE_DIGITS}")
    return price


def _is_exact(gross: Decimal) -> bool:
    return gross == gross.quantize(Decimal("1e-18"))
