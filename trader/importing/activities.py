"""What can happen in an account, as a file tells it. A format turns its records into these, and nothing after it knows
which format that was."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import BinaryIO, NamedTuple

from trader.importing.problems import Problems
from trader.importing.values import Moment, Ratio, Selections


class InstrumentName(NamedTuple):
    """What a row calls an instrument; what it leaves out is empty."""

    symbol: str
    mic: str
    isin: str
    currency: str


class Fee(NamedTuple):
    """Negative where the venue pays. Of units of the instrument when it has no currency."""

    amount: Decimal
    currency: str


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
    fee: Fee | None
    fx_rate: Decimal | None
    settlement: Settlement | None
    selections: Selections


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


class Split(NamedTuple):
    """Before all fills of its day. The instrument may be named without its currency."""

    at: Moment
    instrument: InstrumentName
    ratio: Ratio


Activity = Trade | Correction | Cancellation | Cash | Exchange | Split


class Row(NamedTuple):
    """An activity and where it stands in the file. `digest` is of 16 bytes, and equal for rows of equal content."""

    line: int
    raw: str
    external_id: str
    digest: bytes
    activity: Activity


# Reads a file from its start; a row with problems adds them, and is None.
Read = Callable[[BinaryIO, Problems], Iterator[Row | None]]
