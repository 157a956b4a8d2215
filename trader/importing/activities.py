"""What can happen in an account, as a file tells it. A format turns its records into these, and nothing after it knows
which format that was."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

from trader.importing.problems import Problems
from trader.importing.values import Moment, Ratio, Selections


class Details(NamedTuple):
    """What else a row tells of an instrument; one that is new gets it. What is not told is empty or None.

    A `price_quotation_factor` is of the row's own price, which is converted to that of a known instrument.
    """

    name: str = ""
    security_type: str = ""
    multiplier: Decimal | None = None
    price_quotation_factor: Decimal | None = None
    cusip: str = ""


class InstrumentName(NamedTuple):
    """What a row calls an instrument; what it leaves out is empty."""

    symbol: str
    mic: str
    isin: str
    currency: str
    details: Details = Details()


class Fee(NamedTuple):
    """Negative where the venue pays. Of units of the instrument when it has no currency. `type` is ExecutionFee's."""

    amount: Decimal
    currency: str
    type: str = "COMMISSION"


class Settlement(NamedTuple):
    """In which other currency a trade is settled, and for how much where the row says so."""

    currency: str
    amount: Decimal | None


class Trade(NamedTuple):
    """A purchase or sale at a price in quotation units, for a gross amount, or both."""

    at: Moment
    instrument: InstrumentName
    side: str
    quantity: Decimal
    price: Decimal | None
    amount: Decimal | None
    fees: tuple[Fee, ...]
    fx_rate: Decimal | None
    settlement: Settlement | None
    selections: Selections
    last_mkt: str = ""
    settl_date: date | None = None


class Correction(NamedTuple):
    """The whole of a trade as it should have been; `exec_ref` is the trade's external ID."""

    at: Moment
    trade: Trade
    exec_ref: str


class Cancellation(NamedTuple):
    at: Moment
    exec_ref: str


class Cash(NamedTuple):
    """A DEPOSIT, WITHDRAWAL, DIVIDEND, WITHHOLDING_TAX, FEE or INTEREST."""

    at: Moment
    kind: str
    instrument: InstrumentName | None
    currency: str
    amount: Decimal
    fx_rate: Decimal | None


class Exchange(NamedTuple):
    """One currency bought for another."""

    at: Moment
    currency: str
    amount: Decimal
    paid_currency: str
    paid_amount: Decimal
    fee: Fee | None = None


class Split(NamedTuple):
    """Before all fills of its day. The instrument may be named without its currency."""

    at: Moment
    instrument: InstrumentName
    ratio: Ratio


Activity = Trade | Correction | Cancellation | Cash | Exchange | Split


class Row(NamedTuple):
    """An activity and where it stands in the file, of how many rows of it. `digest` is of 16 bytes, and equal for rows
    of equal content."""

    line: int
    raw: str
    external_id: str
    digest: bytes
    activity: Activity
    rows: int = 1


class Passed(NamedTuple):
    """Rows of the file that make no activity: `why`, unless problems were added."""

    line: int
    rows: int = 1
    why: str = ""


class Destination(NamedTuple):
    """What a format may know of the account."""

    base_currency: str
    time_zone: ZoneInfo


# Reads a file from its start; a row with problems adds them, and is None.
Read = Callable[[BinaryIO, Problems, Destination], Iterator[Row | Passed | None]]


class Format(NamedTuple):
    """How a file is read, and which of its columns holds what a refusal calls by the generic format's name."""

    read: Read
    columns: Mapping[str, str] = MappingProxyType({})
