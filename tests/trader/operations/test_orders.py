from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.factories import NOW, InstrumentFactory
from tests.trader.models.plain_sql import orm_refused
from tests.trader.operations.books import Book, Row, figures, on_day, terms
from trader.models import Execution, Order, OrderEvent
from trader.operations.orders import TransitionRefused, fill_order, move_order, replace_order

pytestmark = pytest.mark.django_db

Lifecycle = Order.Lifecycle
LATER = NOW + timedelta(hours=1)

# From the design, by FIX's codes.
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
# By which steps an order comes there.
PATHS = {"A": "", "0": "0", "3": "03", "4": "04", "5": "05", "6": "06", "8": "8", "9": "09", "C": "0C", "E": "0E"}


def move(order: Order, *steps: str) -> Order:
    for step in steps:
        order = move_order(order, Lifecycle(step), actor="a broker", now=LATER)
    return order


def replace(order: Order, quantity: str, **conditions: Any) -> Order:
    return replace_order(
        order, cl_ord_id=f"{order}-2", order_qty=Decimal(quantity), actor="a trader", now=LATER, **conditions
    )


def stands(order: Order) -> Row:
    """As the database has it."""
    stored = Order.objects.get(pk=order.pk)
    return figures(stored, "lifecycle", "ord_status", "cum_qty", "leaves_qty")


def told(order: Order) -> list[str]:
    return list(order.events.order_by("pk").values_list("exec_type", flat=True))


def test_an_order_begins_pending_and_says_who_placed_it() -> None:
    book = Book()

    order = book.order("100", ord_type=Order.OrdType.LIMIT, price=Decimal("99.5"))

    order.refresh_from_db()
    event = order.events.get()
    assert figures(order, "account", "instrument", "side", "order_qty", "price", "transact_time") == (
        book.account,
        book.instrument,
        "BUY",
        100,
        Decimal("99.5"),
        NOW,
    )
    assert stands(order) == ("A", "A", 0, 100)
    assert figures(event, "exec_type", "actor", "at", "payload") == ("A", "a trader", NOW, {})


@pytest.mark.parametrize(
    ("conditions", "rule"),
    [
        ({"ord_type": "LIMIT"}, "trader_order_ord_type_price_check"),
        ({"price": Decimal(1)}, "trader_order_ord_type_price_check"),
        ({"ord_type": "STOP"}, "trader_order_ord_type_stop_px_check"),
        ({"time_in_force": "GTD"}, "trader_order_time_in_force_expire_time_check"),
        ({"quantity": "0"}, "trader_order_order_qty_check"),
    ],
)
def test_an_order_that_contradicts_itself_is_refused(conditions: dict[str, Any], rule: str) -> None:
    book = Book()

    with orm_refused(rule):
        book.order(**conditions)

    assert not Order.objects.exists()
    assert not OrderEvent.objects.exists()


@pytest.mark.parametrize("before", list(LEGAL))
@pytest.mark.parametrize("after", list(LEGAL))
def test_an_order_moves_as_fix_allows(before: str, after: str) -> None:
    order = move(Book().order(), *PATHS[before])
    events = told(order)

    if after in LEGAL[before]:
        moved = move(order, after)

        assert moved.lifecycle == stands(order)[0] == after
        assert told(order) == [*events, after]
    else:
        with pytest.raises(TransitionRefused):
            move(order, after)

        assert stands(order)[0] == before
        assert told(order) == events


def test_a_refused_step_says_what_is_possible() -> None:
    order = move(Book().order(), "0", "3")

    with pytest.raises(TransitionRefused) as refusal:
        move(order, "9")

    assert str(refusal.value) == (
        f"Order {order} is Done for day and cannot become Suspended; it can become New, Canceled, Expired."
    )
    with pytest.raises(TransitionRefused, match="it can become nothing else any more"):
        move(move(order, "4"), "0")


def test_a_step_says_who_asked_for_it_and_what_was_said() -> None:
    order = Book().order()

    move_order(order, Lifecycle.REJECTED, actor="a broker", now=LATER, reason="No such symbol.")

    event = order.events.get(exec_type="8")
    assert figures(event, "actor", "at", "payload") == ("a broker", LATER, {"reason": "No such symbol."})


def test_a_step_goes_by_the_order_as_it_is_now() -> None:
    order = Book().order()
    move(order, "0", "4")

    with pytest.raises(TransitionRefused):
        move(order, "0")


def test_an_order_with_a_fill_is_not_rejected() -> None:
    book = Book()
    order = book.order()
    book.fill(order, "10")

    with orm_refused("trader_order_lifecycle_cum_qty_check"):
        move(order, "8")

    assert stands(order) == ("0", "1", 10, 90)
    assert told(order) == ["A"]


def test_fills_make_the_order() -> None:
    book = Book()
    order = book.order("100")

    first = fill_order(
        order,
        terms=terms("40", "10"),
        exec_id="1",
        source="broker",
        transact_time=on_day(1),
        actor="a broker",
        now=LATER,
    )
    partly = stands(order)
    book.fill(order, "60", "15")

    order.refresh_from_db()
    assert figures(first, "order", "account", "instrument", "side", "source", "transact_time", "recorded_at") == (
        order,
        book.account,
        book.instrument,
        "BUY",
        "broker",
        on_day(1),
        LATER,
    )
    assert partly == ("0", "1", 40, 60)
    assert stands(order) == ("0", "2", 100, 0)
    assert figures(order, "avg_px", "notional") == (13, 1300)
    assert book.position.quantity == 100


def test_an_overfill_is_refused() -> None:
    book = Book()
    order = book.order("100")
    fill = book.fill(order, "60")
    before = book.state

    with orm_refused("trader_order_cum_qty_check"):
        book.fill(order, "40.00000001")
    with orm_refused("trader_order_cum_qty_check"):
        book.correct(fill, "100.00000001")

    assert stands(order) == ("0", "1", 60, 40)
    assert book.state == before
    assert Execution.objects.count() == 1


def test_a_rejected_order_takes_no_fill() -> None:
    book = Book()
    order = move(book.order(), "8")

    with orm_refused("trader_order_lifecycle_cum_qty_check"):
        book.fill(order, "10")

    assert not Execution.objects.exists()


@pytest.mark.parametrize("ended", ["4", "5", "C"])
def test_a_late_fill_counts_and_a_bust_takes_it_away_again(ended: str) -> None:
    book = Book()
    order = book.order("100")
    book.fill(order, "40")
    move(order, ended)
    before = stands(order), book.state

    late = book.fill(order, "60")
    filled, held = stands(order), book.position.quantity
    book.bust(late)

    assert filled == (ended, "2", 100, 0)
    assert held == 100
    assert (stands(order), book.state) == before


@pytest.mark.parametrize("step", ["", "6", "E", "9", "3"])
def test_a_bust_of_an_orders_fill_restores_its_status(step: str) -> None:
    book = Book()
    order = book.order("100")
    book.fill(order, "40")
    move(order, *step)
    before = stands(order)

    fill = book.fill(order, "60", "90")
    book.bust(fill)

    order.refresh_from_db()
    assert stands(order) == before
    assert figures(order, "avg_px", "notional") == (100, 4000)


def test_a_bust_of_the_only_fill_leaves_a_new_order() -> None:
    book = Book()
    order = book.order("100")

    book.bust(book.fill(order, "100"))

    assert stands(order) == ("0", "0", 0, 100)


def test_a_correction_restates_what_the_order_has() -> None:
    book = Book()
    order = book.order("100")
    fill = book.fill(order, "100", "10")

    book.correct(fill, "50", "12")

    order.refresh_from_db()
    assert stands(order) == ("0", "1", 50, 50)
    assert figures(order, "avg_px", "notional") == (12, 600)


def test_a_replace_is_a_new_order_for_what_the_chains_fills_leave() -> None:
    book = Book()
    order = move(book.order("100", ord_type="LIMIT", price=Decimal(10), time_in_force="GTC"), "0")
    book.fill(order, "30")

    second = replace(order, "120", price=Decimal(11))
    book.fill(second, "20")
    third = replace(second, "80")
    book.fill(third, "5")
    fourth = replace(third, "60")

    second.refresh_from_db()
    third.refresh_from_db()
    assert [stands(each) for each in (order, second, third, fourth)] == [
        ("5", "5", 30, 0),
        ("5", "5", 20, 0),
        ("5", "5", 5, 0),
        ("A", "A", 0, 5),
    ]
    assert figures(second, "orig_order", "order_qty", "price", "side", "ord_type", "time_in_force") == (
        order,
        90,
        11,
        "BUY",
        "LIMIT",
        "GTC",
    )
    assert figures(third, "orig_order", "order_qty", "price") == (second, 30, 11)
    assert told(order) == ["A", "0", "E", "5"]
    assert order.events.get(exec_type="5").payload == {"successor": second.cl_ord_id}
    assert told(fourth) == ["A"]


@pytest.mark.parametrize("before", list(LEGAL))
def test_a_replace_takes_an_order_that_can_be_pending_replace(before: str) -> None:
    order = move(Book().order(), *PATHS[before])
    events = told(order)

    if before in "A06E":
        replace(order, "50")

        assert stands(order)[0] == "5"
        assert told(order) == [*events, *("5" if before == "E" else "E5")]
    else:
        with pytest.raises(TransitionRefused):
            replace(order, "50")

        assert stands(order)[0] == before
        assert told(order) == events
        assert Order.objects.count() == 1


@pytest.mark.parametrize("now_is", ["0", "E"])
def test_a_replace_goes_by_the_order_as_it_is_now(now_is: str) -> None:
    order = move(Book().order(), "0", "E" if now_is == "0" else "6")
    move(order, now_is)

    replace(order, "50")

    assert told(order)[-2:] == ["E", "5"]


@pytest.mark.parametrize("total", ["30", "29.99999999"])
def test_a_replace_that_leaves_nothing_is_refused(total: str) -> None:
    book = Book()
    order = book.order("100")
    book.fill(order, "30")
    before = stands(order), told(order)

    with pytest.raises(TransitionRefused, match=f"is filled for 30 already: a total of {total} leaves nothing"):
        replace(order, total)

    assert (stands(order), told(order)) == before


def test_a_replace_by_a_cl_ord_id_that_is_taken_is_refused() -> None:
    book = Book()
    order = move(book.order(), "0")
    taken = book.order()
    before = stands(order), told(order)

    with orm_refused("trader_order_account_cl_ord_id_unique"):
        replace_order(order, cl_ord_id=taken.cl_ord_id, order_qty=Decimal(50), actor="a trader", now=LATER)

    assert (stands(order), told(order)) == before


def test_a_late_fill_of_a_replaced_order_is_its_own() -> None:
    book = Book()
    order = book.order("100")
    successor = replace(order, "100")

    book.fill(order, "100")

    assert stands(order) == ("5", "2", 100, 0)
    assert stands(successor) == ("A", "A", 0, 100)


def test_what_a_replace_leaves_is_exact_with_the_longest_numbers() -> None:
    book = Book(instrument=InstrumentFactory.create(qty_increment=Decimal("1e-18")))
    order = book.order("1e17")
    book.fill(order, "1e-18")

    successor = replace(order, "1e17")

    assert stands(successor)[3] == Decimal("99999999999999999.999999999999999999")
