from collections.abc import Callable
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from tests.factories import NOW, ExecutionFactory, InstrumentFactory, OrderFactory
from tests.trader.models.plain_sql import PlainBook, Row, insert, orm_refused, refused
from trader.models import Order

pytestmark = pytest.mark.django_db

LEGAL = {
    "A": "0468CE",
    "0": "345689CE",
    "6": "04CE",
    "E": "0456C",
    "9": "046C",
    "3": "04C",
    "4": "",
    "5": "",
    "8": "",
    "C": "",
}
# How an order gets there from its birth as A.
PATHS = {"A": "", "0": "0", "3": "03", "4": "4", "5": "05", "6": "6", "8": "8", "9": "09", "C": "C", "E": "E"}
STATE = "SELECT lifecycle, ord_status, cum_qty, avg_px, notional, leaves_qty FROM trader_order WHERE id = %s"
MOVE = "UPDATE trader_order SET lifecycle = %s WHERE id = %s"


def state(book: PlainBook, order: UUID) -> tuple[Any, ...]:
    found = book.execute(STATE, order).fetchone()
    assert found is not None
    return tuple(found)


def order_in(book: PlainBook, lifecycle: str, **changes: Any) -> UUID:
    order = book.order(**changes)
    for step in PATHS[lifecycle]:
        book.execute(MOVE, step, order)
    return order


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"side": "HOLD"}, "side"),
        ({"ord_type": "ICEBERG"}, "ord_type"),
        ({"time_in_force": "OPG"}, "time_in_force"),
        ({"order_qty": "0"}, "order_qty"),
        ({"order_qty": "NaN"}, "order_qty"),
        ({"price": "10"}, "ord_type_price"),
        ({"ord_type": "LIMIT"}, "ord_type_price"),
        ({"ord_type": "LIMIT", "price": "-1"}, "price"),
        ({"ord_type": "LIMIT", "price": "NaN"}, "price"),
        ({"stop_px": "10"}, "ord_type_stop_px"),
        ({"ord_type": "STOP"}, "ord_type_stop_px"),
        ({"ord_type": "STOP", "stop_px": "-1"}, "stop_px"),
        ({"ord_type": "STOP_LIMIT", "stop_px": "10"}, "ord_type_price"),
        ({"expire_time": NOW}, "time_in_force_expire_time"),
        ({"time_in_force": "GTD"}, "time_in_force_expire_time"),
    ],
)
def test_an_order_that_contradicts_itself_is_refused(book: PlainBook, changes: dict[str, Any], constraint: str) -> None:
    with refused(book.session, f"trader_order_{constraint}_check"):
        book.order(**changes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ord_type": "LIMIT"}, "A limit order has a limit price"),
        ({"stop_px": Decimal(1)}, "A stop order has a stop price"),
        ({"time_in_force": "GTD"}, "An order good till date has an expiry"),
        ({"order_qty": Decimal(0)}, "A quantity is positive"),
    ],
)
def test_validation_says_what_contradicts(fields: dict[str, Any], message: str) -> None:
    order = OrderFactory.create()
    for name, value in fields.items():
        setattr(order, name, value)

    with pytest.raises(ValidationError, match=message):
        order.full_clean()


def test_every_kind_of_order_is_accepted(book: PlainBook) -> None:
    for side, (kind, prices), (life, expiry) in product(
        ("BUY", "SELL", "SELL_SHORT"),
        {
            "MARKET": {},
            "LIMIT": {"price": "0"},
            "STOP": {"stop_px": "9"},
            "STOP_LIMIT": {"price": "1", "stop_px": "2"},
        }.items(),
        {"DAY": {}, "GTC": {}, "IOC": {}, "FOK": {}, "GTD": {"expire_time": NOW}}.items(),
    ):
        book.order(side=side, ord_type=kind, time_in_force=life, **prices, **expiry)


def test_a_second_cl_ord_id_in_an_account_is_refused(book: PlainBook) -> None:
    book.order(cl_ord_id="1")
    book.order(cl_ord_id="1", account_id=book.another_account("OTHER"))

    with refused(book.session, "trader_order_account_cl_ord_id_unique"):
        book.order(cl_ord_id="1")


@pytest.mark.parametrize(
    "changes",
    [*({"lifecycle": state} for state in "345689CE"), {"cum_qty": "1"}, {"avg_px": "1"}, {"notional": "NaN"}],
)
def test_an_order_is_born_pending_or_new_without_a_fill(book: PlainBook, changes: dict[str, Any]) -> None:
    with refused(book.session, "trader_order_birth_rule"):
        book.order(**changes)


def test_the_orm_cannot_bear_a_filled_order() -> None:
    with orm_refused("trader_order_birth_rule"):
        OrderFactory.create(cum_qty=Decimal(1))


@pytest.mark.parametrize("difference", ["account", "instrument", "side", "missing"])
def test_an_order_replaces_one_of_its_own_kind(book: PlainBook, difference: str) -> None:
    former = book.order()
    differences: dict[str, Callable[[], Row]] = {
        "account": lambda: {"account_id": book.another_account("OTHER")},
        "instrument": lambda: {"instrument_id": book.another_instrument("BBB")},
        "side": lambda: {"side": "SELL"},
        "missing": lambda: {"orig_order_id": "01890000-0000-7000-8000-000000000000"},
    }
    successor = differences[difference]()

    book.order(orig_order_id=former)
    with refused(book.session, "trader_order_orig_order_rule"):
        book.order(**{"orig_order_id": former} | successor)


@pytest.mark.parametrize("before", list(LEGAL))
def test_only_legal_steps_are_taken(book: PlainBook, before: str) -> None:
    for after in LEGAL:
        order = order_in(book, before)
        if after in {*LEGAL[before], before}:
            book.execute(MOVE, after, order)
        else:
            with refused(book.session, "trader_order_lifecycle_rule"):
                book.execute(MOVE, after, order)


@pytest.mark.parametrize("lifecycle", ["", "1", "2", "Z"])
def test_no_order_goes_where_no_lifecycle_is(book: PlainBook, lifecycle: str) -> None:
    order = book.order()

    with pytest.raises(psycopg.IntegrityError):
        book.execute(MOVE, lifecycle, order)


def test_the_orm_cannot_bring_a_cancelled_order_back() -> None:
    order = OrderFactory.create()
    order.lifecycle = Order.Lifecycle.CANCELED
    order.save()

    order.lifecycle = Order.Lifecycle.NEW
    with orm_refused("trader_order_lifecycle_rule"):
        order.save()


@pytest.mark.parametrize(
    "assignment",
    [
        "id = gen_random_uuid()",
        "cl_ord_id = 'other'",
        "orig_order_id = id",
        "side = 'SELL'",
        "ord_type = 'STOP', stop_px = 1",
        "time_in_force = 'GTC'",
        "order_qty = 1000",
        "price = 5",
        "stop_px = 5",
        "expire_time = now()",
        "account_id = account_id + 1",
        "instrument_id = instrument_id + 1",
    ],
)
def test_what_an_order_is_never_changes(book: PlainBook, assignment: str) -> None:
    order = book.order()

    with refused(book.session, "trader_order_identity_rule"):
        book.execute(f"UPDATE trader_order SET {assignment} WHERE id = %s", order)


def test_the_orm_cannot_change_the_quantity() -> None:
    order = OrderFactory.create()

    with orm_refused("trader_order_identity_rule"):
        Order.objects.filter(pk=order.pk).update(order_qty=1)


def test_a_step_may_be_told_again_with_another_time(book: PlainBook) -> None:
    order = book.order(lifecycle="0")

    changed = book.execute("UPDATE trader_order SET lifecycle = '0', transact_time = now() WHERE id = %s", order)

    assert changed.rowcount == 1


@pytest.mark.parametrize("column", ["cum_qty", "avg_px", "notional"])
def test_nobody_writes_what_is_filled(book: PlainBook, column: str) -> None:
    order = book.order()

    with refused(book.session, "trader_order_fills_rule"):
        book.execute(f"UPDATE trader_order SET {column} = 1 WHERE id = %s", order)


def test_the_orm_cannot_write_what_is_filled() -> None:
    order = OrderFactory.create()
    order.cum_qty = Decimal(1)

    with orm_refused("trader_order_fills_rule"):
        order.save()


@pytest.mark.parametrize(
    "statement",
    [
        "MERGE INTO trader_order o USING (VALUES (1)) v ON o.id = %s WHEN MATCHED THEN UPDATE SET cum_qty = 5",
        """
        INSERT INTO trader_order (id, account_id, instrument_id, cl_ord_id, side, ord_type, time_in_force, order_qty,
            lifecycle, transact_time, cum_qty, avg_px, notional)
        SELECT id, account_id, instrument_id, cl_ord_id, side, ord_type, time_in_force, order_qty, 'A', now(), 0, 0, 0
        FROM trader_order WHERE id = %s
        ON CONFLICT (id) DO UPDATE SET cum_qty = 5
        """,
    ],
)
def test_no_statement_writes_what_is_filled(book: PlainBook, statement: str) -> None:
    order = book.order()

    with refused(book.session, "trader_order_fills_rule"):
        book.execute(statement, order)


def test_an_upsert_cannot_bear_a_filled_order(book: PlainBook) -> None:
    order = book.order()
    row = book.order_row(id=order, cum_qty=5)

    with refused(book.session, "trader_order_birth_rule"):
        insert(book.session, "trader_order", row)


def test_orders_are_not_deleted(book: PlainBook) -> None:
    order = book.order()

    with refused(book.session, "trader_order_delete_rule"):
        book.execute("DELETE FROM trader_order WHERE id = %s", order)


def test_the_orm_does_not_delete_an_order() -> None:
    order = OrderFactory.create()

    with orm_refused("trader_order_delete_rule"):
        order.delete()


@pytest.mark.parametrize(
    "statement",
    ["TRUNCATE trader_order CASCADE", "TRUNCATE trader_account CASCADE", "TRUNCATE trader_instrument CASCADE"],
)
def test_the_owner_does_not_truncate_orders(statement: str) -> None:
    with orm_refused("trader_order_truncate_rule"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_fills_add_up_and_a_bust_takes_back_to_the_last_digit(book: PlainBook) -> None:
    order = book.order()
    book.fill(order, "10", "100")
    first = book.fill(order, "1.333333333333333333", "0.333333333333")
    second = book.fill(order, "30", "103")
    after = state(book, order)

    book.bust(first, order_id=order)
    book.bust(second, order_id=order)

    assert after[2] == Decimal("41.333333333333333333")
    assert state(book, order)[2:5] == (Decimal(10), Decimal(100), Decimal(1000))


def test_the_average_is_rounded_to_18_places(book: PlainBook) -> None:
    order = book.order()

    book.fill(order, "1", "1")
    book.fill(order, "2", "2")

    assert state(book, order)[3:5] == (Decimal("1.666666666666666667"), Decimal(5))


def test_a_correction_restates_the_fill(book: PlainBook) -> None:
    order = book.order()
    fill = book.fill(order, "10", "100")
    book.fill(order, "20", "50")

    correction = book.correct(fill, "40", "25", order_id=order)
    again = book.correct(correction, "5", "10", order_id=order)
    corrected = state(book, order)
    book.bust(again, order_id=order)

    assert corrected[2:5] == (Decimal(25), Decimal(42), Decimal(1050))
    assert state(book, order)[2:5] == (Decimal(20), Decimal(50), Decimal(1000))


def test_a_bust_of_all_leaves_nothing(book: PlainBook) -> None:
    order = book.order()
    fill = book.fill(order, "3", "0.333333333333")

    book.bust(fill, order_id=order)

    assert state(book, order) == ("0", "0", 0, 0, 0, 100)


def test_a_fill_opens_a_pending_order(book: PlainBook) -> None:
    order = book.order()

    book.fill(order, "10")

    assert state(book, order)[:2] == ("0", "1")


@pytest.mark.parametrize("lifecycle", [state for state in PATHS if state not in "A8"])
def test_a_late_fill_counts_and_leaves_the_lifecycle(book: PlainBook, lifecycle: str) -> None:
    order = order_in(book, lifecycle)

    fill = book.fill(order, "10")
    filled = state(book, order)
    corrected = book.correct(fill, "20", order_id=order)
    book.bust(corrected, order_id=order)

    assert (filled[0], filled[2]) == (lifecycle, 10)
    assert (state(book, order)[0], state(book, order)[2]) == (lifecycle, 0)


def test_a_rejected_order_takes_no_fill(book: PlainBook) -> None:
    order = order_in(book, "8")

    with refused(book.session, "trader_order_lifecycle_cum_qty_check"):
        book.fill(order, "10")


def test_an_order_with_a_fill_is_not_rejected(book: PlainBook) -> None:
    order = book.order()
    book.fill(order, "10")

    with refused(book.session, "trader_order_lifecycle_cum_qty_check"):
        book.execute(MOVE, "8", order)


@pytest.mark.parametrize(
    ("lifecycle", "filled", "status", "leaves"),
    [
        ("A", "0", "A", 100),
        ("0", "0", "0", 100),
        ("0", "40", "1", 60),
        ("0", "100", "2", 0),
        ("6", "40", "6", 60),
        ("6", "100", "6", 0),
        ("E", "100", "E", 0),
        ("3", "100", "3", 0),
        ("3", "40", "3", 0),
        ("9", "40", "9", 60),
        ("9", "100", "2", 0),
        ("4", "0", "4", 0),
        ("4", "40", "4", 0),
        ("4", "100", "2", 0),
        ("5", "40", "5", 0),
        ("8", "0", "8", 0),
        ("C", "40", "C", 0),
        ("C", "100", "2", 0),
    ],
)
def test_the_status_follows_fixs_precedence(
    book: PlainBook, lifecycle: str, filled: str, status: str, leaves: int
) -> None:
    order = order_in(book, lifecycle)
    if filled != "0":
        book.fill(order, filled)

    after = state(book, order)

    assert (after[1], after[5]) == (status, leaves)


def test_overfill_is_refused(book: PlainBook) -> None:
    order = book.order()
    book.fill(order, "60")

    with refused(book.session, "trader_order_cum_qty_check"):
        book.fill(order, "40.000000000000000001")
    book.fill(order, "40")


def test_a_correction_cannot_overfill(book: PlainBook) -> None:
    order = book.order()
    fill = book.fill(order, "60")

    with refused(book.session, "trader_order_cum_qty_check"):
        book.correct(fill, "101", order_id=order)


def test_the_orm_cannot_overfill() -> None:
    order = OrderFactory.create()

    with orm_refused("trader_order_cum_qty_check"):
        ExecutionFactory.create(order=order, account=order.account, instrument=order.instrument, last_qty=101)


def test_the_smallest_and_the_largest_quantities_are_kept_exactly(book: PlainBook) -> None:
    coin = book.another_instrument("BBB", qty_increment="0.000000000000000001")
    small = book.order(instrument_id=coin, order_qty="1")
    large = book.order(instrument_id=coin, order_qty="100000000000000000")

    book.fill(small, "0.000000000000000001", "0.0000126", instrument_id=coin)
    book.fill(large, "100000000000000000", "0.0000126", instrument_id=coin)

    assert state(book, small)[2] == Decimal("1e-18")
    assert state(book, large)[2:5] == (Decimal("1e17"), Decimal("0.0000126"), Decimal("1.26e12"))


def test_generated_values_are_there_after_a_refresh() -> None:
    order = OrderFactory.create(instrument=InstrumentFactory.create())
    ExecutionFactory.create(order=order, account=order.account, instrument=order.instrument, last_qty=100)

    order.refresh_from_db()

    assert (order.ord_status, order.leaves_qty) == (Order.OrdStatus.FILLED, 0)


def test_a_refused_fill_in_a_savepoint_leaves_the_order_as_it_was() -> None:
    order = OrderFactory.create()
    fill = {"order": order, "account": order.account, "instrument": order.instrument}
    ExecutionFactory.create(**fill, last_qty=90)

    with orm_refused("trader_order_cum_qty_check"), transaction.atomic():
        ExecutionFactory.create(**fill, last_qty=20)

    order.refresh_from_db()
    assert order.cum_qty == 90
