from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.factories import (
    NOW,
    AccountFactory,
    FxRateFactory,
    InstrumentFactory,
    OrderFactory,
    VenueFactory,
)
from tests.trader.models.plain_sql import orm_refused
from tests.trader.operations.books import (
    Amounts,
    Book,
    amounts,
    currency,
    entries,
    fee,
    figures,
    ledger,
    on_day,
    posted,
    state_of,
    terms,
)
from trader.booking.fees import UnitsExceedPurchase
from trader.booking.holding import LotsExceeded, Oversold
from trader.booking.postings import SettlementUnknown
from trader.models import (
    Execution,
    ExecutionFee,
    JournalEntry,
    LedgerAccount,
    LotMatch,
    LotSelection,
    OrderEvent,
    Position,
    Posting,
    Side,
    TaxLot,
)
from trader.operations.executions import record_trade
from trader.operations.ledger import reverse

pytestmark = pytest.mark.django_db

Amend = Callable[[Book, Execution], Execution]

WRITTEN = [
    Execution,
    ExecutionFee,
    JournalEntry,
    LedgerAccount,
    LotMatch,
    LotSelection,
    OrderEvent,
    Position,
    Posting,
    TaxLot,
]


def book_in(code: str, **instrument: Any) -> Book:
    """Of an account in francs and an instrument in that currency."""
    return Book(AccountFactory.create(), InstrumentFactory.create(currency=currency(code), **instrument))


def correct(book: Book, execution: Execution) -> Execution:
    return book.correct(execution, "9")


def rows() -> list[int]:
    return [model._default_manager.count() for model in WRITTEN]


def test_a_purchase_is_an_execution_with_its_fees_an_entry_a_lot_and_a_position() -> None:
    book = Book(fee_policy="IN_COST")

    trade = book.buy("10", "100", fees=[fee("1.50"), fee("0.25")], settl_date=date(2026, 1, 7), last_mkt="XEUR")

    trade = Execution.objects.get(pk=trade.pk)
    entry = trade.entries.get()
    lot = TaxLot.objects.get()
    position = book.position
    assert figures(trade, "exec_type", "trade", "exec_ref", "order") == ("F", trade, None, None)
    assert figures(trade, "last_qty", "last_px", "last_mkt", "settl_date") == (10, 100, "XEUR", date(2026, 1, 7))
    assert list(trade.fees.order_by("pk").values_list("type", "amount", "currency__code")) == [
        ("COMMISSION", Decimal("1.5"), "CHF"),
        ("COMMISSION", Decimal("0.25"), "CHF"),
    ]
    assert (entry.kind, entry.account, entry.instrument) == ("TRADE", book.account, book.instrument)
    assert (entry.value_date, entry.actor, entry.recorded_at) == (trade.trade_date, "a trader", NOW)
    assert posted(entry) == amounts(SECURITIES_CHF="1000", EXPENSE_CHF="1.75", CASH_CHF="-1001.75")
    assert figures(lot, "trade", "acquired_at", "quantity", "remaining") == (trade, trade.transact_time, 10, 10)
    assert figures(lot, "unit_cost", "cost", "gross") == (Decimal("100.175"), Decimal("1001.75"), 1000)
    assert figures(position, "quantity", "cost", "gross", "as_of_execution") == (10, Decimal("1001.75"), 1000, trade)
    assert figures(position, "fees", "fees_expensed", "realized_pnl") == (Decimal("1.75"), 0, 0)


def test_a_sale_closes_lots_and_realizes_what_it_made() -> None:
    book = Book()
    first = book.buy("10", "100")
    second = book.buy("10", "110")

    sale = book.sell("15", "120", fees=[fee("3")])

    matches = LotMatch.objects.order_by("pk")
    lots = TaxLot.objects.order_by("acquired_at")
    assert [figures(match, "opening_trade", "closing_trade", "quantity") for match in matches] == [
        (first, sale, 10),
        (second, sale, 5),
    ]
    assert [figures(match, "proceeds", "cost", "realized_pnl") for match in matches] == [
        (1200, 1000, 200),
        (600, 550, 50),
    ]
    assert [figures(lot, "remaining", "cost") for lot in lots] == [(0, 0), (5, 550)]
    assert figures(book.position, "quantity", "cost", "realized_pnl", "fees_expensed") == (5, 550, 250, 3)


def test_a_sale_beyond_what_is_held_crosses_zero() -> None:
    book = Book(allow_short=True)
    book.buy("10", "100")

    sale = book.sell("25", "120")

    assert figures(book.position, "quantity", "cost", "realized_pnl") == (-15, -1800, 200)
    assert figures(TaxLot.objects.get(trade=sale), "quantity", "unit_cost", "cost") == (15, 120, 1800)


@pytest.mark.parametrize(
    ("code", "side", "price", "more", "expected"),
    [
        ("CHF", Side.BUY, "9.99", {}, amounts(SECURITIES_CHF="99.9", CASH_CHF="-99.9")),
        ("CHF", Side.SELL, "9.99", {}, amounts(CASH_CHF="99.9", SECURITIES_CHF="-99.9")),
        ("CHF", Side.SELL_SHORT, "9.99", {}, amounts(CASH_CHF="99.9", SECURITIES_CHF="-99.9")),
        ("CHF", Side.BUY, "10", {"gross": Decimal("101.005")}, amounts(SECURITIES_CHF="101.01", CASH_CHF="-101.01")),
        ("JPY", Side.BUY, "123.45", {}, amounts(SECURITIES_JPY="1235", CASH_JPY="-1235")),
        ("JPY", Side.SELL, "123.44", {}, amounts(CASH_JPY="1234", SECURITIES_JPY="-1234")),
        ("KWD", Side.BUY, "0.12345", {}, amounts(SECURITIES_KWD="1.235", CASH_KWD="-1.235")),
        ("ETH", Side.BUY, "0.0000126", {}, amounts(SECURITIES_ETH="0.000126", CASH_ETH="-0.000126")),
    ],
)
def test_a_trade_posts_its_gross_amount_at_the_minor_unit(
    code: str, side: str, price: str, more: dict[str, Any], expected: Amounts
) -> None:
    book = book_in(code)
    book.account.allow_short = True
    book.account.save()

    trade = book.trade(side, "10", price, **more)

    assert posted(trade.entries.get()) == expected


@pytest.mark.parametrize(
    ("side", "fees", "expected"),
    [
        (Side.BUY, [("1.50", "USD")], amounts(SECURITIES_USD="1000", EXPENSE_USD="1.5", CASH_USD="-1001.5")),
        (Side.SELL, [("1.50", "USD")], amounts(SECURITIES_USD="-1000", EXPENSE_USD="1.5", CASH_USD="998.5")),
        (Side.BUY, [("-0.25", "USD")], amounts(SECURITIES_USD="1000", EXPENSE_USD="-0.25", CASH_USD="-999.75")),
        (
            Side.BUY,
            [("1.50", "USD"), ("0.005", "EUR")],
            amounts(SECURITIES_USD="1000", EXPENSE_USD="1.5", CASH_USD="-1001.5", EXPENSE_EUR="0.01", CASH_EUR="-0.01"),
        ),
        (Side.BUY, [("0.001", "")], amounts(SECURITIES_USD="999.9", EXPENSE_USD="0.1", CASH_USD="-1000")),
        (Side.SELL, [("0.001", "")], amounts(SECURITIES_USD="-1000.1", EXPENSE_USD="0.1", CASH_USD="1000")),
    ],
    ids=["on a purchase", "on a sale", "a rebate", "in a third currency", "in units bought", "in units sold"],
)
def test_fees_are_posted(side: str, fees: list[tuple[str, str]], expected: Amounts) -> None:
    book = book_in("USD")
    book.buy("20", "50")

    trade = book.trade(side, "10", "100", fees=[fee(*each) for each in fees])

    assert posted(trade.entries.get()) == expected


def test_a_fee_in_units_changes_what_is_held() -> None:
    book = Book()

    book.buy("1", "2000", fees=[fee("0.001", "")])

    assert figures(book.position, "quantity", "gross", "fees") == (Decimal("0.999"), 1998, 2)


def test_pence_are_hundredths_of_pounds() -> None:
    book = book_in("GBP", price_quotation_factor=Decimal("0.01"))

    trade = book.buy("100", "250.5")

    assert posted(trade.entries.get()) == amounts(SECURITIES_GBP="250.5", CASH_GBP="-250.5")
    assert book.position.cost == Decimal("250.5")


def test_a_contract_is_worth_its_multiplier() -> None:
    book = book_in("USD", multiplier=Decimal(50))

    trade = book.buy("3", "4000.25")

    assert posted(trade.entries.get()) == amounts(SECURITIES_USD="600037.5", CASH_USD="-600037.5")


@pytest.mark.parametrize(
    ("side", "more", "settled"),
    [
        (Side.BUY, {"settl_amount": Decimal("912.34")}, "-912.34"),
        (Side.SELL, {"settl_amount": Decimal("912.34")}, "912.34"),
        (Side.BUY, {"fx_rate": Decimal("0.905")}, "-906.36"),
        (Side.SELL, {"fx_rate": Decimal("0.905")}, "903.64"),
        (Side.BUY, {}, "-921.38"),
        (Side.BUY, {"settl_amount": Decimal("912.34"), "fx_rate": Decimal("0.5")}, "-912.34"),
    ],
    ids=["for an amount", "sold for an amount", "at its rate", "sold at its rate", "at the last rate", "for both"],
)
def test_a_trade_that_is_settled_in_another_currency_changes_money(
    side: str, more: dict[str, Any], settled: str
) -> None:
    book = book_in("USD")
    book.buy("20", "50")
    FxRateFactory.create(rate=Decimal("0.92"), at=on_day(0))
    sign = 1 if side == Side.BUY else -1

    trade = book.trade(side, "10", "100", fees=[fee("1.50", "USD")], settl_currency=currency("CHF"), **more)

    assert posted(trade.entries.get()) == {
        ("SECURITIES", "USD"): Decimal(1000) * sign,
        ("EXPENSE", "USD"): Decimal("1.5"),
        ("FX_TRADING", "USD"): -Decimal(1000) * sign - Decimal("1.5"),
        ("CASH", "CHF"): Decimal(settled),
        ("FX_TRADING", "CHF"): -Decimal(settled),
    }


def test_a_rate_to_the_base_currency_says_nothing_about_another_settlement() -> None:
    book = book_in("USD")
    FxRateFactory.create(base=currency("EUR"), quote=currency("USD"), rate=Decimal("1.25"), at=on_day(1))

    trade = book.buy("10", "100", settl_currency=currency("EUR"), fx_rate=Decimal("0.9"))

    assert posted(trade.entries.get())["CASH", "EUR"] == -800
    assert trade.entries.get().fx_rate == Decimal("0.9")


def test_a_settlement_in_the_trades_own_currency_is_none() -> None:
    book = Book()

    trade = book.buy("10", "100", settl_currency=currency("CHF"))

    assert posted(trade.entries.get()) == amounts(SECURITIES_CHF="1000", CASH_CHF="-1000")


def test_a_trade_that_rounds_to_nothing_counts_without_an_entry() -> None:
    book = Book()

    trade = book.buy("0.00001", "100")

    assert not trade.entries.exists()
    assert figures(book.position, "quantity", "cost") == (Decimal("0.00001"), Decimal("0.001"))


def test_the_trade_date_is_the_venues() -> None:
    tokyo = VenueFactory.create(mic="XTKS", time_zone="Asia/Tokyo")
    book = Book(instrument=InstrumentFactory.create(venue=tokyo))

    trade = record_trade(
        account=book.account,
        instrument=book.instrument,
        side=Side.BUY,
        terms=terms("10"),
        transact_time=datetime(2026, 1, 5, 15, 30, tzinfo=UTC),
        exec_id="1",
        source="manual",
        actor="a trader",
        now=NOW,
    )

    assert trade.trade_date == trade.entries.get().value_date == date(2026, 1, 6)


class Held:
    """A book with chosen lots: 10 and 10 bought, 15 sold."""

    def __init__(self) -> None:
        self.book = Book(cost_basis_method="SPECIFIC")
        self.first, self.second = self.book.buy("10"), self.book.buy("10")
        self.sale = self.book.sell("15")
        self.other = self.book.buy("10", instrument=InstrumentFactory.create())

    def sell(self, quantity: str, *lots: tuple[Execution, str], **more: Any) -> Execution:
        return self.book.sell(quantity, lots=[(opening, Decimal(part)) for opening, part in lots], **more)


REFUSED: dict[str, tuple[Callable[[Held], object], type[Exception] | str]] = {
    "more than is held": (lambda held: held.sell("5.00000001"), Oversold),
    "a short sale": (lambda held: held.book.trade(Side.SELL_SHORT, "6", "100"), Oversold),
    "a fee in units that are not there": (lambda held: held.sell("5", fees=[fee("0.001", "")]), Oversold),
    "a sale before the purchase": (lambda held: held.sell("5", day=0.5), Oversold),
    "a purchase too small for what was sold": (lambda held: held.book.correct(held.first, "4"), Oversold),
    "no purchase of what was sold": (lambda held: held.book.bust(held.first), Oversold),
    "a sale corrected to more than was held": (lambda held: held.book.correct(held.sale, "21"), Oversold),
    "a lot that is closed": (lambda held: held.sell("5", (held.first, "1")), LotsExceeded),
    "more lots than are closed": (lambda held: held.sell("4", (held.second, "5")), LotsExceeded),
    "more than a lot ever held": (
        lambda held: held.sell("5", (held.first, "10.1")),
        "trader_lotselection_quantity_rule",
    ),
    "a sale for a lot": (lambda held: held.sell("1", (held.sale, "1")), "trader_lotselection_opening_execution_rule"),
    "another instrument's lot": (
        lambda held: held.sell("1", (held.other, "1")),
        "trader_lotselection_opening_execution_rule",
    ),
    "an unknown settlement": (lambda held: held.book.buy("10", settl_currency=currency("EUR")), SettlementUnknown),
    "a settlement in no currency": (
        lambda held: held.book.buy("10", settl_amount=Decimal(1)),
        "trader_execution_settl_amount_settl_currency_check",
    ),
    "a fee of all that is bought": (lambda held: held.book.buy("10", fees=[fee("10", "")]), UnitsExceedPurchase),
    "a fee of no type": (
        lambda held: held.book.buy("10", fees=[replace(fee("1"), type="BRIBE")]),
        "trader_executionfee_type_check",
    ),
    "a second ExecID": (
        lambda held: held.book.buy("10", exec_id="T1"),
        "trader_execution_account_source_exec_id_unique",
    ),
    "less than the increment": (lambda held: held.book.buy("0.000000009"), "trader_execution_qty_increment_rule"),
    "a negative price": (lambda held: held.book.buy("10", "-1"), "trader_execution_last_px_check"),
    "a negative amount": (
        lambda held: held.book.buy("10", gross=Decimal(-1)),
        "trader_execution_gross_trade_amt_check",
    ),
    "no rate": (lambda held: held.book.buy("10", fx_rate=Decimal(0)), "trader_execution_fx_rate_check"),
    "another account's order": (
        lambda held: held.book.buy("10", order=OrderFactory.create()),
        "trader_execution_order_rule",
    ),
}


@pytest.mark.parametrize(("attempt", "refusal"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_leaves_nothing_behind(
    attempt: Callable[[Held], object], refusal: type[Exception] | str
) -> None:
    held = Held()
    before = rows(), held.book.state

    with orm_refused(refusal) if isinstance(refusal, str) else pytest.raises(refusal):
        attempt(held)

    assert (rows(), held.book.state) == before


@pytest.mark.parametrize("first", [Book.bust, correct])
@pytest.mark.parametrize("second", [Book.bust, correct])
def test_a_report_is_taken_back_or_restated_once(first: Amend, second: Amend) -> None:
    book = Book()
    trade = book.buy("10")
    first(book, trade)
    before = rows(), book.state

    with orm_refused("trader_execution_exec_ref_id_key"):
        second(book, trade)

    assert (rows(), book.state) == before


@pytest.mark.parametrize("amend", [Book.bust, correct])
def test_what_was_taken_back_stays_so(amend: Amend) -> None:
    book = Book()
    cancel = book.bust(book.buy("10"))
    before = rows()

    with orm_refused("trader_execution_exec_ref_rule"):
        amend(book, cancel)

    assert rows() == before


def test_a_correction_restates_the_whole_trade() -> None:
    book = Book(fee_policy="IN_COST")
    trade = book.buy("10", "100", fees=[fee("5"), fee("1", "USD")])
    book.buy("1", "100")

    correction = book.correct(trade, "20", "50.5", fees=[fee("2")])

    correction = Execution.objects.get(pk=correction.pk)
    restated, reversal, entry = entries(book.account)[0], *entries(book.account)[-2:]
    assert (correction.exec_type, correction.exec_ref, correction.trade) == ("G", trade, trade)
    assert (correction.transact_time, correction.trade_date) == (trade.transact_time, trade.trade_date)
    assert (reversal.kind, reversal.reverses, reversal.execution) == ("REVERSAL", restated, None)
    assert (reversal.value_date, reversal.actor, entry.actor) == (trade.trade_date, "a corrector", "a corrector")
    assert posted(reversal) == {account: -amount for account, amount in posted(restated).items()}
    assert (entry.kind, entry.execution) == ("TRADE", correction)
    assert posted(entry) == amounts(SECURITIES_CHF="1010", EXPENSE_CHF="2", CASH_CHF="-1012")
    assert ledger(book.account) == amounts(SECURITIES_CHF="1110", EXPENSE_CHF="2", CASH_CHF="-1112")
    assert figures(book.position, "quantity", "cost", "fees") == (21, 1112, 2)
    assert TaxLot.objects.get(trade=trade).quantity == 20


def test_a_correction_is_corrected_in_turn_and_taken_back() -> None:
    book = Book()
    book.buy("1", "100")
    trade = book.buy("10", "100")

    correction = book.correct(book.correct(trade, "20", "50.5"), "30", "10")
    corrected = book.state
    book.bust(correction)

    assert corrected.positions[0][1] == 31
    assert corrected.ledger == amounts(SECURITIES_CHF="400", CASH_CHF="-400")
    assert book.position.quantity == 1
    assert ledger(book.account) == amounts(SECURITIES_CHF="100", CASH_CHF="-100")
    assert [entry.kind for entry in entries(book.account)] == [
        "TRADE",
        "TRADE",
        *["REVERSAL", "TRADE"] * 2,
        "REVERSAL",
    ]


def test_a_trade_that_was_taken_back_never_was() -> None:
    book = Book()
    trade = book.buy("10", "100", fees=[fee("5")])

    cancel = book.bust(trade)

    cancel = Execution.objects.get(pk=cancel.pk)
    assert figures(cancel, "exec_type", "exec_ref", "trade", "last_qty", "last_px") == ("H", trade, trade, 0, 0)
    assert book.state == state_of(AccountFactory.create())
    assert figures(book.position, "quantity", "as_of_execution") == (0, None)


def test_a_trade_without_an_entry_gets_one_by_its_correction_and_loses_it() -> None:
    book = Book()
    trade = book.buy("0.00001", "100")

    correction = book.correct(trade, "10", "100")
    corrected = ledger(book.account)
    book.correct(correction, "0.00001", "100")

    assert corrected == amounts(SECURITIES_CHF="1000", CASH_CHF="-1000")
    assert ledger(book.account) == {}


@pytest.mark.parametrize(
    ("amend", "left"), [(Book.bust, {}), (correct, amounts(SECURITIES_CHF="900", CASH_CHF="-900"))]
)
def test_a_trade_whose_entry_was_reversed_by_hand_can_still_be_amended(amend: Amend, left: Amounts) -> None:
    book = Book()
    trade = book.buy("10", "100")
    reverse(trade.entries.get(), actor="a trader", now=NOW)

    amend(book, trade)

    assert ledger(book.account) == left


def test_an_entrys_rate_is_that_of_its_trade() -> None:
    book = book_in("USD")

    trade = book.buy("10", "100", fx_rate=Decimal("0.91"))
    correction = book.correct(trade, "10", "100", fx_rate=Decimal("0.92"))

    assert [entry.fx_rate for entry in entries(book.account)] == [Decimal("0.91"), Decimal("0.91"), Decimal("0.92")]
    assert correction.entries.get().fx_rate == Decimal("0.92")
    assert TaxLot.objects.get().cost_base == 920
