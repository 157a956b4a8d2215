"""What a row gives is what the operation of its kind gives, to the last digit."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.factories import DAY, NOW, AccountFactory, FxRateFactory, InstrumentFactory
from tests.trader.importing import sheets
from tests.trader.importing.intake import facts_of, imported
from tests.trader.importing.sheets import Row, cancel, cash, exchange, split
from tests.trader.operations.books import Book, currency, fee, on_day, state_of
from trader.models import Account, CorporateAction, Execution
from trader.operations import executions
from trader.operations.executions import Terms
from trader.operations.ledger import record_cash, record_exchange

pytestmark = pytest.mark.django_db

Stated = dict[str, Any]

BY_HAND: Stated = {"actor": "a trader", "now": NOW}


class Pair:
    """Two accounts of the same rules: what comes into one by file is entered by hand into the other."""

    def __init__(self, **rules: Any) -> None:
        for code in ("EUR", "USD", "JPY", "BTC"):
            currency(code)
        FxRateFactory.create(rate=Decimal("0.92"), at=on_day(0))
        FxRateFactory.create(base=currency("EUR"), quote=currency("USD"), rate=Decimal("1.25"), at=on_day(0))
        rules = {"allow_short": True} | rules
        self.account: Account = AccountFactory.create(**rules)
        instrument = InstrumentFactory.create(symbol="AAA", currency=currency("USD"))
        self.book = Book(AccountFactory.create(**rules), instrument)
        self.by_hand: dict[str, Execution] = {}

    def record(self, day: int, side: str, **stated: Any) -> None:
        terms = self._terms(**stated)
        self.by_hand[f"T{day}"] = executions.record_trade(
            account=self.book.account,
            instrument=self.book.instrument,
            side=side,
            terms=terms,
            transact_time=on_day(day),
            exec_id=f"T{day}",
            source="generic",
            **BY_HAND,
        )

    def correct(self, exec_id: str, latest: str, **stated: Any) -> None:
        terms = self._terms(**stated)
        self.by_hand[exec_id] = executions.correct(self.by_hand[latest], terms=terms, exec_id=exec_id, **BY_HAND)

    def bust(self, exec_id: str, latest: str) -> None:
        executions.bust(self.by_hand[latest], exec_id=exec_id, **BY_HAND)

    def assert_equal(self) -> None:
        assert facts_of(self.account) == facts_of(self.book.account)
        assert state_of(self.account) == state_of(self.book.account)

    def _terms(self, quantity: str = "10", price: str = "100", **stated: Any) -> Terms:
        return Terms(
            quantity=Decimal(quantity),
            price=Decimal(price),
            fees=[fee(*each) for each in stated.pop("fees", [])],
            lots=[(self.by_hand[name], Decimal(part)) for name, part in stated.pop("lots", [])],
            settl_currency=currency(stated.pop("settl_currency")) if "settl_currency" in stated else None,
            **_decimals(stated),
        )


def _decimals(stated: dict[str, str]) -> Stated:
    return {name: Decimal(value) for name, value in stated.items()}


def trade(day: int, side: str = "BUY", quantity: str = "10", price: str = "100", **more: str) -> Row:
    listed = {"transact_time": str(on_day(day)), "mic": "XSWX", "currency": "USD", "external_id": f"T{day}"}
    return sheets.trade(side, quantity, price, **listed | more)


def correction(external_id: str, exec_ref: str, side: str = "BUY", quantity: str = "10", **more: str) -> Row:
    listed = {"mic": "XSWX", "currency": "USD", "external_id": external_id}
    return sheets.correction(exec_ref, side, quantity, **listed | more)


TERMS: list[tuple[str, dict[str, str], Stated]] = [
    ("BUY", {}, {}),
    ("SELL", {"price": "0"}, {"price": "0"}),
    ("SELL_SHORT", {"quantity": "0.00000001", "price": "0.005"}, {"quantity": "0.00000001", "price": "0.005"}),
    ("BUY", {"amount": "1000.5"}, {"gross": "1000.5"}),
    (
        "BUY",
        {"quantity": "3", "price": "", "amount": "100"},
        {"quantity": "3", "price": "33.333333333333", "gross": "100"},
    ),
    ("BUY", {"price": "1.00000000000001"}, {"price": "1", "gross": "10.0000000000001"}),
    ("BUY", {"fee": "1.505"}, {"fees": [("1.505", "USD")]}),
    ("SELL", {"fee": "-0.25", "fee_currency": "USD"}, {"fees": [("-0.25", "USD")]}),
    ("SELL", {"fee": "2", "fee_currency": "EUR"}, {"fees": [("2", "EUR")]}),
    ("BUY", {"fee": "0.0001", "fee_currency": "BTC"}, {"fees": [("0.0001", "BTC")]}),
    ("BUY", {"fee": "0.01", "fee_currency": "AAA"}, {"fees": [("0.01", "")]}),
    ("SELL", {"fee": "0.01", "fee_currency": "AAA"}, {"fees": [("0.01", "")]}),
    ("BUY", {"fx_rate": "0.905"}, {"fx_rate": "0.905"}),
    (
        "BUY",
        {"settl_currency": "CHF", "settl_amount": "912.34", "fee": "1"},
        {"settl_currency": "CHF", "settl_amount": "912.34", "fees": [("1", "USD")]},
    ),
    ("SELL", {"settl_currency": "CHF", "fee": "1"}, {"settl_currency": "CHF", "fees": [("1", "USD")]}),
    ("SELL", {"settl_currency": "CHF", "fx_rate": "0.9"}, {"settl_currency": "CHF", "fx_rate": "0.9"}),
    ("BUY", {"settl_currency": "EUR", "fx_rate": "0.9"}, {"settl_currency": "EUR", "fx_rate": "0.9"}),
]


@pytest.mark.parametrize(("side", "cells", "stated"), TERMS)
def test_a_trade(side: str, cells: dict[str, str], stated: Stated) -> None:
    pair = Pair()

    imported(pair.account, trade(1, quantity="20", price="50"), trade(2, side, **cells))

    pair.record(1, "BUY", quantity="20", price="50")
    pair.record(2, side, **stated)
    pair.assert_equal()


@pytest.mark.parametrize(("side", "cells", "stated"), TERMS)
def test_a_correction_restates_the_whole_trade(side: str, cells: dict[str, str], stated: Stated) -> None:
    pair = Pair()

    imported(
        pair.account,
        trade(1, quantity="20", price="50"),
        trade(2, side, "7", "70", fee="7", settl_currency="EUR", settl_amount="777"),
        trade(3, "SELL", "5", "120"),
        correction("C2", "T2", side, transact_time="2027-01-01", **cells),
    )

    pair.record(1, "BUY", quantity="20", price="50")
    first = {"settl_currency": "EUR", "settl_amount": "777", "fees": [("7", "USD")]}
    pair.record(2, side, quantity="7", price="70", **first)
    pair.record(3, "SELL", quantity="5", price="120")
    pair.correct("C2", "T2", **stated)
    pair.assert_equal()


@pytest.mark.parametrize(
    ("instrument", "cells"),
    [
        ({"currency_code": "GBP", "price_quotation_factor": "0.01"}, {"price": "250.5"}),
        ({"currency_code": "USD", "multiplier": "50"}, {"price": "4000.25"}),
        ({"currency_code": "USD", "multiplier": "50"}, {"price": "", "amount": "2000125"}),
        ({"currency_code": "JPY"}, {"price": "123.45"}),
    ],
    ids=["pence", "a contract", "a contract by its amount", "yen"],
)
def test_a_trade_is_worth_what_its_instrument_s_units_are(instrument: dict[str, str], cells: dict[str, str]) -> None:
    pair = Pair()
    listed = dict(instrument)
    code = listed.pop("currency_code")
    pair.book.instrument = InstrumentFactory.create(symbol="BBB", currency=currency(code), **_decimals(listed))

    imported(pair.account, trade(1, symbol="BBB", **{"currency": code} | cells))

    by_amount = {"price": "4000.25", "gross": cells.get("amount", "0")}
    pair.record(1, "BUY", **by_amount if "amount" in cells else cells)
    pair.assert_equal()


@pytest.mark.parametrize("exec_ref", ["T1", "C1"])
def test_a_correction_may_itself_be_corrected_and_taken_back(exec_ref: str) -> None:
    pair = Pair()

    imported(
        pair.account,
        trade(1, fee="1"),
        trade(2, quantity="3"),
        correction("C1", "T1", quantity="11", fee="2"),
        correction("C2", exec_ref, quantity="12", price="90"),
        cancel(exec_ref, external_id="H1"),
        cancel("T2", external_id="H2", side="BUY", quantity="3"),
    )

    pair.record(1, "BUY", fees=[("1", "USD")])
    pair.record(2, "BUY", quantity="3")
    pair.correct("C1", "T1", quantity="11", fees=[("2", "USD")])
    pair.correct("C2", "C1", quantity="12", price="90")
    pair.bust("H1", "C2")
    pair.bust("H2", "T2")
    pair.assert_equal()


@pytest.mark.parametrize("policy", ["EXPENSED", "IN_COST", "BUY_IN_COST"])
@pytest.mark.parametrize("method", ["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"])
def test_a_history_by_every_rule(method: str, policy: str) -> None:
    """The split, which is the instrument's, comes into both accounts by the file."""
    pair = Pair(cost_basis_method=method, fee_policy=policy)

    imported(
        pair.account,
        trade(1, quantity="10", price="100", fee="1"),
        trade(2, quantity="10", price="110", fee="1.1", fee_currency="EUR"),
        split("3:1", transact_time="2026-01-07", mic="XSWX"),
        trade(4, "SELL", "21", "40", fee="0.5", lots="T2:20;T1:1", fx_rate="0.9"),
        trade(5, quantity="7", price="33", settl_currency="CHF"),
        correction("C2", "T2", quantity="9", price="111.11", fee="2"),
        correction("C4", "T4", "SELL", "22", price="41", lots="T2:21;T1:1"),
        trade(6, "SELL", "50", "45", fee="0.01", fee_currency="AAA"),
        cancel("T5", external_id="H5"),
    )

    pair.record(1, "BUY", quantity="10", price="100", fees=[("1", "USD")])
    pair.record(2, "BUY", quantity="10", price="110", fees=[("1.1", "EUR")])
    pair.record(
        4, "SELL", quantity="21", price="40", fees=[("0.5", "USD")], lots=[("T2", "20"), ("T1", "1")], fx_rate="0.9"
    )
    pair.record(5, "BUY", quantity="7", price="33", settl_currency="CHF")
    pair.correct("C2", "T2", quantity="9", price="111.11", fees=[("2", "USD")])
    pair.correct("C4", "T4", quantity="22", price="41", lots=[("T2", "21"), ("T1", "1")])
    pair.record(6, "SELL", quantity="50", price="45", fees=[("0.01", "")])
    pair.bust("H5", "T5")
    pair.assert_equal()


@pytest.mark.parametrize(
    ("kind", "amount", "more"),
    [
        ("DEPOSIT", "100.005", {}),
        ("WITHDRAWAL", "100.004", {}),
        ("WITHDRAWAL", "1234.5", {"currency": "JPY"}),
        ("INTEREST", "-3.21", {"fx_rate": "0.9", "currency": "USD"}),
        ("FEE", "3.21", {}),
        ("FEE", "-3.21", {"symbol": "AAA", "mic": "XSWX", "currency": "USD"}),
        ("DIVIDEND", "12.345", {"symbol": "AAA", "mic": "XSWX", "currency": "USD", "fx_rate": "0.9"}),
        ("DIVIDEND", "-12.345", {"symbol": "AAA", "mic": "XSWX", "currency": "USD"}),
        ("WITHHOLDING_TAX", "1.85", {"symbol": "AAA", "mic": "XSWX", "currency": "USD"}),
        ("INTEREST", "0.004", {}),
    ],
)
def test_cash(kind: str, amount: str, more: dict[str, str]) -> None:
    pair = Pair()

    imported(pair.account, cash(kind, amount, **more))

    record_cash(
        account=pair.book.account,
        kind=kind,
        currency=currency(more.get("currency", "CHF")),
        amount=Decimal(amount),
        value_date=DAY,
        instrument=pair.book.instrument if "symbol" in more else None,
        fx_rate=Decimal(more["fx_rate"]) if "fx_rate" in more else None,
        **BY_HAND,
    )
    pair.assert_equal()


@pytest.mark.parametrize(
    ("cells", "bought", "sold"),
    [
        ({}, ("USD", "1000"), ("CHF", "910")),
        ({"amount": "0.123456789", "currency": "BTC"}, ("BTC", "0.12345679"), ("CHF", "910")),
        ({"amount": "0.004"}, ("USD", "0.004"), ("CHF", "910")),
    ],
)
def test_a_currency_exchange(cells: dict[str, str], bought: tuple[str, str], sold: tuple[str, str]) -> None:
    pair = Pair()

    imported(pair.account, exchange(**cells))

    (buying, incoming), (selling, outgoing) = bought, sold
    record_exchange(
        account=pair.book.account,
        bought=(currency(buying), Decimal(incoming)),
        sold=(currency(selling), Decimal(outgoing)),
        value_date=DAY,
        **BY_HAND,
    )
    pair.assert_equal()


def test_a_split_acts_on_every_account_that_holds_the_instrument() -> None:
    pair = Pair()
    pair.record(1, "BUY", quantity="10")
    pair.record(3, "SELL", quantity="4")
    imported(pair.account, trade(1), trade(3, "SELL", "4"))

    imported(pair.account, split("1:2", transact_time="2026-01-06", mic="XSWX", currency="USD"))

    pair.assert_equal()
    assert pair.book.position.quantity == 1
    assert CorporateAction.objects.values_list("ex_date", "numerator", "denominator").get() == (date(2026, 1, 6), 1, 2)
