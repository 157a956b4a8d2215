"""The legs that events post: double entry, summing to zero in each currency. Positive is debit."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from trader.booking.numbers import ZERO, exact, rounded

CASH, SECURITIES, FX_TRADING = "CASH", "SECURITIES", "FX_TRADING"
INCOME, EXPENSE, EQUITY = "INCOME", "EXPENSE", "EQUITY"

# What stands against the cash of an event, and whether the cash comes in.
CASH_EVENTS = {
    "DEPOSIT": (EQUITY, 1),
    "WITHDRAWAL": (EQUITY, -1),
    "DIVIDEND": (INCOME, 1),
    "INTEREST": (INCOME, 1),
    "WITHHOLDING_TAX": (EXPENSE, -1),
    "FEE": (EXPENSE, -1),
}


class Leg(NamedTuple):
    kind: str
    currency: str
    amount: Decimal


class Settlement(NamedTuple):
    """In which other currency a trade is settled: for `amount` as stated, unsigned, or at a rate, of the trade's
    currency to it."""

    currency: str
    amount: Decimal | None
    rate: Decimal | None


class SettlementUnknown(ValueError):
    """A trade that is settled in another currency states the amount, or a rate is known."""


class Ledger:
    """Legs being gathered, each rounded to its currency's minor unit as it comes; those of one account become one."""

    def __init__(self, minor_units: Mapping[str, int]) -> None:
        self._minor_units = minor_units
        self._amounts: defaultdict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)

    def move(self, currency: str, amount: Decimal, *, debit: str, credit: str) -> None:
        cash = rounded(amount, self._minor_units[currency])
        self._amounts[debit, currency] += cash
        self._amounts[credit, currency] -= cash

    def legs(self) -> list[Leg]:
        return [Leg(kind, currency, amount) for (kind, currency), amount in self._amounts.items() if amount]


def trade_legs(
    *,
    sign: int,
    currency: str,
    gross: Decimal,
    fees: Iterable[tuple[str, Decimal]],
    units_value: Decimal,
    settlement: Settlement | None,
    minor_units: Mapping[str, int],
) -> list[Leg]:
    """The legs of a purchase (sign 1) or sale (-1), long or short, for `gross` in its currency.

    `fees` are (currency, amount); `units_value` is what a fee in units of the instrument was worth, which is not among
    them. Raises SettlementUnknown. No legs when all of them round to zero.
    """
    with exact():
        book = Ledger(minor_units)
        counter = FX_TRADING if settlement else CASH
        sums = defaultdict(lambda: ZERO, {currency: ZERO})
        for paid_in, amount in fees:
            sums[paid_in] += amount
        book.move(currency, sign * gross, debit=SECURITIES, credit=counter)
        if units_value:
            book.move(currency, units_value, debit=EXPENSE, credit=SECURITIES)
        for paid_in, amount in sums.items():
            book.move(paid_in, amount, debit=EXPENSE, credit=counter if paid_in == currency else CASH)
        if settlement:
            amount = _settled(settlement, gross + sign * sums[currency])
            book.move(settlement.currency, sign * amount, debit=FX_TRADING, credit=CASH)
        return book.legs()


def _settled(settlement: Settlement, due: Decimal) -> Decimal:
    if settlement.amount is not None:
        return settlement.amount.copy_sign(due)
    if settlement.rate is None:
        raise SettlementUnknown(f"It is settled in {settlement.currency}, and neither an amount nor a rate is known.")
    return due * settlement.rate


def cash_legs(kind: str, currency: str, amount: Decimal, minor_units: Mapping[str, int]) -> list[Leg]:
    """The legs of a DEPOSIT, WITHDRAWAL, DIVIDEND, INTEREST, WITHHOLDING_TAX or FEE; negative when taken back."""
    against, direction = CASH_EVENTS[kind]
    with exact():
        book = Ledger(minor_units)
        book.move(currency, direction * amount, debit=CASH, credit=against)
        return book.legs()


def exchange_legs(
    bought: tuple[str, Decimal],
    sold: tuple[str, Decimal],
    minor_units: Mapping[str, int],
    fee: tuple[str, Decimal] | None = None,
) -> list[Leg]:
    """The legs of a currency exchange; each side, and what it cost, is (currency, amount)."""
    with exact():
        book = Ledger(minor_units)
        book.move(*bought, debit=CASH, credit=FX_TRADING)
        book.move(*sold, debit=FX_TRADING, credit=CASH)
        if fee:
            book.move(*fee, debit=EXPENSE, credit=CASH)
        return book.legs()
