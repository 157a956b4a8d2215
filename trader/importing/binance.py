"""Binance's "Transaction history" CSV: changes of coins, of which those at one second make a fill.

What coins are quoted in, and which are money in the account, QUOTES and MONEY say; every other one is an instrument of
the coin's symbol. Times are of UTC.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import BinaryIO, NamedTuple

from trader.booking.numbers import ZERO, exact, plain
from trader.importing import values
from trader.importing.activities import (
    Activity,
    Cash,
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
from trader.importing.cells import Cells, digest_of
from trader.importing.problems import Problems, Refusal
from trader.importing.reading import Layout, Record, records
from trader.importing.values import Moment, Selections, Unreadable
from trader.models import Instrument

COLUMNS = ("User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark")
LAYOUT = Layout(columns=COLUMNS, required=COLUMNS[:-1])
NUMBERS = {"Change"}

FIAT = (
    *("EUR", "USD", "GBP", "CHF", "JPY", "AUD", "CAD", "TRY", "BRL", "PLN", "RON", "CZK", "UAH", "ZAR", "RUB", "NGN"),
    *("ARS", "COP", "MXN", "IDR", "KZT", "VND"),
)
STABLE = ("USDT", "BUSD", "USDC", "FDUSD", "TUSD", "USDP", "DAI", "EURI", "AEUR")
# Of the two coins of a fill the one that comes first here is the currency.
QUOTES = (*FIAT, *STABLE, "BTC", "ETH", "BNB")
MONEY = {*FIAT, *STABLE}

FILLS = {
    "Transaction Related",
    "Buy",
    "Sell",
    "Transaction Buy",
    "Transaction Spend",
    "Transaction Sold",
    "Transaction Revenue",
    "Binance Convert",
    "Large OTC trading",
    "Small assets exchange BNB",
    "Small Assets Exchange BNB",
}
FEES = {"Fee", "Transaction Fee"}
OF_FILLS = FILLS | FEES
TRANSFERS = {
    "Deposit": "DEPOSIT",
    "Fiat Deposit": "DEPOSIT",
    "Withdraw": "WITHDRAWAL",
    "Withdrawal": "WITHDRAWAL",
    "Fiat Withdraw": "WITHDRAWAL",
}
INTEREST = {
    "Savings Interest",
    "POS savings interest",
    "Simple Earn Flexible Interest",
    "Simple Earn Locked Rewards",
    "Staking Rewards",
    "ETH 2.0 Staking Rewards",
    "Launchpool Interest",
    "BNB Vault Rewards",
}
REBATES = {"Commission History", "Commission Rebate", "Referral Kickback", "Commission Fee Shared With You"}
WITHIN = {
    "Savings purchase",
    "Savings Principal redemption",
    "POS savings purchase",
    "POS savings redemption",
    "Simple Earn Flexible Subscription",
    "Simple Earn Flexible Redemption",
    "Simple Earn Locked Subscription",
    "Simple Earn Locked Redemption",
    "Staking Purchase",
    "Staking Redemption",
    "Transfer Between Main and Funding Wallet",
    "Transfer Between Spot and Funding",
}
COIN_TRANSFER = (
    "fiat or a stablecoin: a coin comes with what it cost, and goes from its lots, which no line here says. Take the "
    "line out and enter a TRADE in the generic format"
)
BY_HAND = "take the lines out, and enter it in the generic format"
UNKNOWN = "an operation that is read: take the line out, and enter what it did in the generic format"
COIN = re.compile(r"[A-Z0-9]{1,20}")
CRYPTO = Details(security_type=Instrument.SecurityType.CRYPTO)

Amounts = dict[str, Decimal]


class Change(NamedTuple):
    """A row that was read; one with problems is not `sound`."""

    line: int
    raw: str
    at: datetime
    operation: str
    coin: str
    amount: Decimal
    sound: bool


def read(file: BinaryIO, problems: Problems, _destination: Destination) -> Iterator[Row | Passed | None]:
    history = History(problems)
    for record in records(file, LAYOUT, problems):
        change = record and history.change(record)
        if change is None:
            yield None
        else:
            yield from history.take(change)
    yield from history.end()


class History:
    """The changes of one second are held until another one comes."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._user = ""
        self._held: list[Change] = []
        # The first line of each second that has a fill.
        self._filled: dict[int, int] = {}

    def change(self, record: Record) -> Change | None:
        """None for a row that does not say when it was."""
        cells = Cells(record, LAYOUT, NUMBERS)
        self._user = self._user or cells.text["User_ID"]
        if not self._user or cells.text["User_ID"] != self._user:
            cells.refuse("User_ID", f"{self._user or 'a user'}, as a file is of one user")
        at = cells.needed("UTC_Time", _time, None)
        operation = cells.needed("Operation", str, "")
        coin = cells.needed("Coin", _coin, "")
        amount = cells.needed("Change", values.nonzero_amount, ZERO)
        self._problems.extend(cells.problems.values())
        if at is None:
            return None
        return Change(record.line, record.raw, at, operation, coin, amount, sound=not cells.problems)

    def take(self, change: Change) -> Iterator[Row | Passed | None]:
        if self._held and self._held[0].at != change.at:
            yield from self.end()
        self._held.append(change)

    def end(self) -> Iterator[Row | Passed | None]:
        """What the changes make that are held."""
        fill = []
        for change in self._held:
            if change.operation in OF_FILLS or not change.sound:
                fill.append(change)
            else:
                yield self._single(change)
        self._held.clear()
        if fill:
            yield self._fill(fill)

    def _single(self, change: Change) -> Row | Passed | None:
        if change.operation in WITHIN:
            return Passed(change.line, 1, f"{change.operation}: a move within Binance")
        try:
            activity = _cash(change)
        except Refusal as refusal:
            self._problems.add(refusal.on(change.line))
            return None
        digest = digest_of([f"at={change.at}", f"kind={activity.kind}", f"{change.coin}={activity.amount}"])
        return Row(change.line, change.raw, "", digest, activity)

    def _fill(self, changes: list[Change]) -> Row | Passed:
        line, at = changes[0].line, changes[0].at
        refused = Passed(line, len(changes))
        if not all(change.sound for change in changes):
            return refused
        try:
            self._see_apart(line, at)
            traded, fees = _sums(changes)
            activity = _fill(Moment(at, is_date=False), traded, fees)
        except Refusal as refusal:
            self._problems.add(refusal.on(line))
            return refused
        told = [
            f"at={at}",
            *(f"{coin}={traded[coin]}" for coin in traded),
            *(f"fee {coin}={fees[coin]}" for coin in fees),
        ]
        raw = "\n".join(change.raw for change in changes)
        return Row(line, raw, "", digest_of(told), activity, len(changes))

    def _see_apart(self, line: int, at: datetime) -> None:
        """See that no fill of this second went before: its rows stand together, however much of it a file has."""
        first = self._filled.setdefault(int(at.timestamp()), line)
        if first != line:
            expected = f"the rows of a second together: line {first} is of this one. Sort the file by UTC_Time"
            raise Refusal("UTC_Time", f"{at:%Y-%m-%d %H:%M:%S}", expected)


def _cash(change: Change) -> Cash:
    """Raises Refusal."""
    operation, coin, amount = change.operation, change.coin, change.amount
    if kind := TRANSFERS.get(operation):
        if coin not in MONEY:
            raise Refusal("Coin", coin, COIN_TRANSFER)
        amount = amount if kind == "DEPOSIT" else -amount
        if amount < 0:
            raise Refusal("Change", plain(change.amount), f"a number of the other sign of a {operation}")
    elif operation in INTEREST:
        kind = "INTEREST"
    elif operation in REBATES:
        kind, amount = "FEE", -amount
    else:
        raise Refusal("Operation", operation, UNKNOWN)
    return Cash(Moment(change.at, is_date=False), kind, None, coin, amount, None)


def _sums(changes: list[Change]) -> tuple[Amounts, Amounts]:
    """By coin what was traded and what was paid for that. Raises Refusal for a coin that came and went."""
    traded: Amounts = defaultdict(lambda: ZERO)
    fees: Amounts = defaultdict(lambda: ZERO)
    with exact():
        for change in changes:
            sums = fees if change.operation in FEES else traded
            if sums is traded and sums[change.coin] * change.amount < 0:
                raise Refusal("Coin", change.coin, f"purchases or sales in one second, not both: {BY_HAND}")
            sums[change.coin] += change.amount
    return dict(traded), {coin: -amount for coin, amount in fees.items() if amount}


def _fill(at: Moment, traded: Amounts, fees: Amounts) -> Activity:
    """A purchase or sale of the coin that is not the quote; between two moneys, an exchange. Raises Refusal."""
    found = ", ".join(f"{plain(amount)} {coin}" for coin, amount in traded.items())
    if not traded:
        raise Refusal("Operation", "Fee", f"a fill at that second, which the fee is of: {BY_HAND}")
    if len(traded) != 2 or len({amount > 0 for amount in traded.values()}) != 2:
        raise Refusal("Coin", found, f"at one second one coin that comes and another one that goes: {BY_HAND}")
    quote, coin = sorted(traded, key=_rank)
    if quote not in QUOTES:
        raise Refusal("Coin", found, f"a fill for fiat, a stablecoin, BTC, ETH or BNB: {BY_HAND}")
    if coin in MONEY:
        return _exchange(at, traded, fees)
    return Trade(
        at=at,
        instrument=InstrumentName(coin, "", "", quote, CRYPTO),
        side="BUY" if traded[coin] > 0 else "SELL",
        quantity=abs(traded[coin]),
        price=None,
        amount=abs(traded[quote]),
        fees=tuple(Fee(amount, "" if paid_in == coin else paid_in) for paid_in, amount in sorted(fees.items())),
        fx_rate=None,
        settlement=None,
        selections=Selections(),
    )


def _exchange(at: Moment, traded: Amounts, fees: Amounts) -> Exchange:
    if len(fees) > 1:
        raise Refusal("Coin", ", ".join(fees), f"fees in one coin: {BY_HAND}")
    paid, bought = sorted(traded, key=traded.__getitem__)
    fee = next((Fee(amount, coin) for coin, amount in fees.items()), None)
    return Exchange(at, bought, traded[bought], paid, -traded[paid], fee)


def _rank(coin: str) -> int:
    return QUOTES.index(coin) if coin in QUOTES else len(QUOTES)


def _time(text: str) -> datetime | None:
    moment = values.moment(text)
    if moment.is_date or moment.at.tzinfo:
        raise Unreadable("a time of UTC such as 2021-11-29 09:56:38")
    return moment.at.replace(tzinfo=UTC)


def _coin(text: str) -> str:
    if not COIN.fullmatch(text):
        raise Unreadable("a coin, in capital letters and digits")
    return text


FORMAT = Format(
    read,
    {
        "symbol": "Coin",
        "currency": "Coin",
        "settl_currency": "Coin",
        "fee_currency": "Coin",
        "transact_time": "UTC_Time",
        "quantity": "Change",
        "price": "Change",
        "amount": "Change",
        "fee": "Change",
    },
)
