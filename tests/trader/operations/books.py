"""Books as tests write them: trades said with the least, and what they made of the book."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Model, Sum

from tests.factories import NOW, AccountFactory, CurrencyFactory, InstrumentFactory
from trader.models import (
    Account,
    CorporateAction,
    Currency,
    Execution,
    Instrument,
    JournalEntry,
    LotMatch,
    LotSelection,
    Order,
    Position,
    Posting,
    Side,
    TaxLot,
)
from trader.operations import executions
from trader.operations.executions import Fee, Terms, record_trade
from trader.operations.orders import place_order
from trader.operations.positions import STATE, project
from trader.operations.splits import record_split

Amounts = dict[tuple[str, str], Decimal]
Row = tuple[Any, ...]

# The trade of day 1; that of day 2 is 24 hours later.
FIRST = datetime(2026, 1, 5, 9, tzinfo=UTC)
MINOR_UNITS = {"JPY": 0, "KWD": 3, "BTC": 8, "ETH": 18}
NAMED = ["as_of_execution__exec_id" if name == "as_of_execution_id" else name for name in STATE]
LOT = ["acquired_at", "quantity", "unclosed", "remaining", "unit_cost", "cost", "gross", "cost_base"]
MATCH = [
    "quantity",
    "opened_quantity",
    "proceeds",
    "cost",
    "realized_pnl",
    "gross_proceeds",
    "gross_cost",
    "proceeds_base",
    "cost_base",
    "realized_pnl_base",
]


class State(NamedTuple):
    """All that is derived of an account, its trades named by their first ExecIDs."""

    positions: list[Row]
    lots: list[Row]
    matches: list[Row]
    ledger: Amounts


class Book:
    """An account that trades an instrument, once a day as far as no day is said."""

    def __init__(self, account: Account | None = None, instrument: Instrument | None = None, **rules: Any) -> None:
        self.account = account or AccountFactory.create(**rules)
        self.instrument = instrument or InstrumentFactory.create()
        self._days = count(1)
        self._reports = count(1)

    def beside(self, instrument: Instrument) -> "Book":
        """The account's trades in another instrument."""
        other = Book(self.account, instrument)
        other._days, other._reports = self._days, self._reports
        return other

    def buy(self, quantity: str, price: str = "100", **more: Any) -> Execution:
        return self.trade(Side.BUY, quantity, price, **more)

    def sell(self, quantity: str, price: str = "100", **more: Any) -> Execution:
        return self.trade(Side.SELL, quantity, price, **more)

    def trade(
        self,
        side: str,
        quantity: str,
        price: str,
        *,
        day: float | None = None,
        instrument: Instrument | None = None,
        exec_id: str = "",
        order: Order | None = None,
        **more: Any,
    ) -> Execution:
        return record_trade(
            account=self.account,
            instrument=instrument or self.instrument,
            side=side,
            terms=terms(quantity, price, **more),
            transact_time=on_day(next(self._days) if day is None else day),
            exec_id=exec_id or f"T{next(self._reports)}",
            source="manual",
            actor="a trader",
            now=NOW,
            order=order,
        )

    def correct(self, execution: Execution, quantity: str, price: str = "100", **more: Any) -> Execution:
        report = f"G{next(self._reports)}"
        return executions.correct(
            execution, terms=terms(quantity, price, **more), exec_id=report, actor="a corrector", now=NOW
        )

    def bust(self, execution: Execution) -> Execution:
        return executions.bust(execution, exec_id=f"H{next(self._reports)}", actor="a corrector", now=NOW)

    def order(self, quantity: str = "100", side: str = Side.BUY, **more: Any) -> Order:
        return place_order(
            account=self.account,
            instrument=more.pop("instrument", self.instrument),
            cl_ord_id=f"ORD{next(self._reports)}",
            side=side,
            ord_type=more.pop("ord_type", Order.OrdType.MARKET),
            order_qty=Decimal(quantity),
            actor="a trader",
            now=NOW,
            **more,
        )

    def fill(self, order: Order, quantity: str, price: str = "100", **more: Any) -> Execution:
        return self.trade(order.side, quantity, price, order=order, instrument=order.instrument, **more)

    def split(self, day: int, numerator: int = 4, denominator: int = 1) -> CorporateAction:
        return record_split(
            instrument=self.instrument, ex_date=on_day(day).date(), numerator=numerator, denominator=denominator
        )

    @property
    def position(self) -> Position:
        return Position.objects.get(account=self.account, instrument=self.instrument)

    @property
    def state(self) -> State:
        return state_of(self.account)


def figures(row: Model, *names: str) -> Row:
    return tuple(getattr(row, name) for name in names)


def on_day(day: float) -> datetime:
    return FIRST + timedelta(days=day - 1)


def currency(code: str) -> Currency:
    return CurrencyFactory.create(code=code, minor_unit=MINOR_UNITS.get(code, 2))


def fee(amount: str, code: str = "CHF") -> Fee:
    """Without a code: in units of the instrument."""
    return Fee(amount=Decimal(amount), currency=currency(code) if code else None)


def terms(quantity: str, price: str = "100", **more: Any) -> Terms:
    return Terms(quantity=Decimal(quantity), price=Decimal(price), **more)


def amounts(**legs: str) -> Amounts:
    """`amounts(CASH_CHF="1")`, by kind and currency."""
    parted = (leg.rpartition("_") for leg in legs)
    return {(kind, code): Decimal(amount) for (kind, _, code), amount in zip(parted, legs.values(), strict=True)}


def posted(entry: JournalEntry | None) -> Amounts:
    """An entry's amounts by kind and currency of their ledger accounts; each has one."""
    assert entry is not None
    rows = entry.postings.values_list("ledger_account__kind", "currency__code", "amount", "value_date")
    amounts = {(kind, code): amount for kind, code, amount, _ in rows}
    assert len(amounts) == len(rows)
    assert {row[3] for row in rows} == {entry.value_date}
    return amounts


def entries(account: Account) -> list[JournalEntry]:
    """In the order of their writing."""
    return list(JournalEntry.objects.filter(account=account).order_by("pk"))


def ledger(account: Account) -> Amounts:
    """What each ledger account of the account sums up to, those that do to nothing left out."""
    rows = Posting.objects.filter(entry__account=account).values_list("ledger_account__kind", "currency__code")
    return {(kind, code): amount for kind, code, amount in rows.annotate(Sum("amount")) if amount}


def state_of(account: Account) -> State:
    owned = {"position__account": account}
    lots = TaxLot.objects.filter(**owned).values_list("position__instrument", "trade__exec_id", *LOT)
    pairs = ("closing_trade__exec_id", "opening_trade__exec_id")
    matches = LotMatch.objects.filter(**owned).values_list("position__instrument", *pairs, *MATCH)
    positions = Position.objects.filter(account=account).order_by("instrument").values_list("instrument", *NAMED)
    return State(
        # One that was made for trades which were all taken back says nothing.
        [row for row in positions if any(row[1:])],
        sorted(lots, key=lambda row: row[:2]),
        sorted(matches, key=lambda row: row[:3]),
        ledger(account),
    )


def entered_anew(account: Account) -> Account:
    """Another account of its rules, in which each trade that counts was entered in its place, as its last report has
    it."""
    copy = AccountFactory.create(
        owner=account.owner,
        base_currency=account.base_currency,
        cost_basis_method=account.cost_basis_method,
        fee_policy=account.fee_policy,
        allow_short=account.allow_short,
    )
    trades: dict[str, Execution] = {}
    counting = Execution.objects.filter(account=account, successor=None).exclude(exec_type="H")
    for report in counting.select_related("trade", "settl_currency").order_by("transact_time", "trade"):
        trades[report.trade.exec_id] = record_trade(
            account=copy,
            instrument=Instrument.objects.get(pk=report.instrument_id),
            side=report.side,
            terms=Terms(
                quantity=report.last_qty,
                price=report.last_px,
                gross=report.gross_trade_amt,
                fees=[Fee(amount=each.amount, currency=each.currency) for each in report.fees.order_by("pk")],
                lots=_selected(report, trades),
                settl_currency=report.settl_currency,
                settl_amount=report.settl_amount,
                fx_rate=report.fx_rate,
            ),
            transact_time=report.transact_time,
            exec_id=report.trade.exec_id,
            source=report.source,
            actor=report.actor,
            now=NOW,
        )
    return copy


def _selected(report: Execution, trades: dict[str, Execution]) -> Sequence[tuple[Execution, Decimal]]:
    selections = LotSelection.objects.filter(closing_execution=report).order_by("pk")
    rows = selections.values_list("opening_execution__trade__exec_id", "quantity")
    return [(trades[exec_id], quantity) for exec_id, quantity in rows]


def assert_as_replayed(account: Account) -> None:
    """What is derived, kept in line trade by trade, is what a replay of all makes of it."""
    kept = state_of(account)
    with transaction.atomic():
        project(account)
    assert state_of(account) == kept


def assert_as_if_entered_so(account: Account) -> None:
    """The same, and what an account has in which the trades were entered so from the start."""
    assert_as_replayed(account)
    assert state_of(entered_anew(account)) == state_of(account)
