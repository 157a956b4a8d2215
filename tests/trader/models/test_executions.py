from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError

from tests.factories import DAY, NOW, ExecutionFactory, ExecutionFeeFactory, InstrumentFactory, OrderFactory
from tests.trader.models.plain_sql import PlainBook, Row, orm_refused, refused
from trader.models import Execution
from trader.models.keys import uuid7

pytestmark = pytest.mark.django_db

XID = "SELECT pg_current_xact_id()::text::bigint"
OF_EXECUTION = "SELECT posted_xid, trade_id FROM trader_execution WHERE id = %s"


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"side": "HOLD"}, "side"),
        ({"exec_type": "X"}, "exec_type_exec_ref"),
        ({"exec_type": "G"}, "exec_type_exec_ref"),
        ({"exec_type": "H", "last_qty": "0", "last_px": "0"}, "exec_type_exec_ref"),
        ({"last_qty": "NaN"}, "last_qty"),
        ({"last_px": "-1"}, "last_px"),
        ({"last_px": "NaN"}, "last_px"),
        ({"gross_trade_amt": "-1"}, "gross_trade_amt"),
        ({"settl_amount": "5"}, "settl_amount_settl_currency"),
        ({"fx_rate": "0"}, "fx_rate"),
        ({"fx_rate": "NaN"}, "fx_rate"),
    ],
)
def test_an_execution_that_contradicts_itself_is_refused(
    book: PlainBook, changes: dict[str, Any], constraint: str
) -> None:
    with refused(book.session, f"trader_execution_{constraint}_check"):
        book.execution(**changes)


@pytest.mark.parametrize(
    "changes", [{"last_qty": "1"}, {"last_qty": "0", "last_px": "1"}, {"last_px": "0", "gross_trade_amt": "0"}]
)
def test_a_bust_leaves_nothing_of_the_trade(book: PlainBook, changes: dict[str, Any]) -> None:
    trade = book.execution()

    with refused(book.session, "trader_execution_last_qty_check"):
        book.execution(**{"exec_type": "H", "exec_ref_id": trade, "last_qty": "0", "last_px": "0"} | changes)


def test_validation_names_what_contradicts() -> None:
    execution = ExecutionFactory.build(account=OrderFactory.create().account, instrument=InstrumentFactory.create())
    execution.last_px = Decimal(-1)

    with pytest.raises(ValidationError, match="A price is zero or more"):
        execution.full_clean(exclude=["trade"])


def test_a_second_exec_id_of_an_account_and_source_is_refused(book: PlainBook) -> None:
    book.execution(exec_id="1")
    book.execution(exec_id="1", source="ibkr")
    book.execution(exec_id="1", account_id=book.another_account("OTHER"))

    with refused(book.session, "trader_execution_account_source_exec_id_unique"):
        book.execution(exec_id="1")


def test_the_database_says_which_transaction_wrote_it_and_which_trade_it_is(book: PlainBook) -> None:
    trade = book.execution(posted_xid=1, trade_id=uuid7())
    correction = book.correct(trade, "5", trade_id=uuid7())
    bust = book.bust(correction)

    stamps = {book.execute(OF_EXECUTION, execution).fetchone() for execution in (trade, correction, bust)}

    assert stamps == {(book.value(XID), trade)}


@pytest.mark.parametrize("difference", ["account", "instrument", "side", "missing"])
def test_an_execution_is_of_its_orders_account_instrument_and_side(book: PlainBook, difference: str) -> None:
    order = book.order()
    differences: dict[str, Callable[[], Row]] = {
        "account": lambda: {"account_id": book.another_account("OTHER")},
        "instrument": lambda: {"instrument_id": book.another_instrument("BBB")},
        "side": lambda: {"side": "SELL"},
        "missing": lambda: {"order_id": uuid7()},
    }
    changes = differences[difference]()

    with refused(book.session, "trader_execution_order_rule"):
        book.execution(**{"order_id": order} | changes)


def test_the_orm_cannot_fill_an_order_from_another_account() -> None:
    order = OrderFactory.create()

    with orm_refused("trader_execution_order_rule"):
        ExecutionFactory.create(order=order, instrument=order.instrument)


@pytest.mark.parametrize(
    "difference",
    ["order", "no order", "account", "instrument", "source", "side", "transact_time", "trade_date", "missing"],
)
def test_a_correction_is_of_the_trades_own_time_and_place(book: PlainBook, difference: str) -> None:
    order, other = book.order(), book.order()
    trade = book.fill(order, "10")
    differences: dict[str, Callable[[], Row]] = {
        "order": lambda: {"order_id": other},
        "no order": lambda: {"order_id": None},
        "account": lambda: {"account_id": book.another_account("OTHER")},
        "instrument": lambda: {"instrument_id": book.another_instrument("BBB")},
        "source": lambda: {"source": "ibkr"},
        "side": lambda: {"side": "SELL"},
        "transact_time": lambda: {"transact_time": NOW + timedelta(microseconds=1)},
        "trade_date": lambda: {"trade_date": DAY + timedelta(days=1)},
        "missing": lambda: {"exec_ref_id": uuid7()},
    }
    changes = differences[difference]()
    good = {"order_id": order, "exec_ref_id": trade, "exec_type": "G", "last_qty": "5"}

    with refused(book.session, "trader_execution_exec_ref_rule"):
        book.execution(**good | changes)
    book.execution(**good)


def test_nothing_comes_after_a_bust(book: PlainBook) -> None:
    bust = book.bust(book.execution())

    with refused(book.session, "trader_execution_exec_ref_rule"):
        book.correct(bust, "5")


@pytest.mark.parametrize("again", [PlainBook.bust, lambda book, trade: book.correct(trade, "7")])
def test_only_the_last_report_of_a_trade_is_corrected(
    book: PlainBook, again: Callable[[PlainBook, UUID], UUID]
) -> None:
    trade = book.execution()
    book.correct(trade, "5")

    with refused(book.session, "trader_execution_exec_ref_id_key"):
        again(book, trade)


def test_an_execution_cannot_refer_to_itself(book: PlainBook) -> None:
    key = uuid7()

    with refused(book.session, "trader_execution_exec_ref_rule"):
        book.correct(key, "5", id=key)


def test_the_orm_cannot_correct_from_another_source() -> None:
    trade = ExecutionFactory.create()

    with orm_refused("trader_execution_exec_ref_rule"):
        ExecutionFactory.create(
            exec_type="G", exec_ref=trade, account=trade.account, instrument=trade.instrument, source="ibkr"
        )


@pytest.mark.parametrize("quantity", ["0.999999999999999999", "0.000000000000000001"])
def test_a_quantity_under_the_increment_is_refused(book: PlainBook, quantity: str) -> None:
    trade = book.execution(last_qty="1")

    with refused(book.session, "trader_execution_qty_increment_rule"):
        book.execution(last_qty=quantity)
    with refused(book.session, "trader_execution_qty_increment_rule"):
        book.correct(trade, quantity)


def test_several_reports_of_a_trade_come_in_one_statement(book: PlainBook) -> None:
    trade, correction = book.execution_row(), book.execution_row(exec_type="G", last_qty="5")
    correction["exec_ref_id"] = trade["id"]
    columns = ["id", "exec_ref_id", *(name for name in trade if name != "id")]

    with book.session.cursor().copy(f"COPY trader_execution ({', '.join(columns)}, posted_xid) FROM STDIN") as copy:
        for row in (trade, correction):
            copy.write_row([*(row.get(column) for column in columns), 0])

    assert book.execute(OF_EXECUTION, correction["id"]).fetchone() == (book.value(XID), trade["id"])


def test_a_fee_comes_with_its_execution(book: PlainBook) -> None:
    book.fee(book.execution())
    book.fee(book.execution(), amount="-0.5", currency_id=None)

    with refused(book.session, "trader_executionfee_execution_rule"):
        book.fee(uuid7())


@pytest.mark.parametrize(("changes", "constraint"), [({"type": "BRIBE"}, "type"), ({"amount": "NaN"}, "amount")])
def test_a_fee_that_is_none_is_refused(book: PlainBook, changes: dict[str, Any], constraint: str) -> None:
    execution = book.execution()

    with refused(book.session, f"trader_executionfee_{constraint}_check"):
        book.fee(execution, **changes)


def test_the_orm_writes_a_fee_with_its_execution() -> None:
    fee = ExecutionFeeFactory.create()

    assert Execution.objects.get(fees=fee).fees.get().amount == Decimal("1.5")
