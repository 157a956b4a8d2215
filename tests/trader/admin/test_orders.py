from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from tests.factories import OrderEventFactory
from tests.trader.admin.forms import buttons, done, last_message, refused, send
from tests.trader.admin.rows import url
from tests.trader.operations.books import Book, figures
from trader.admin.pages import MOST_INLINE_ROWS
from trader.models import Execution, JournalEntry, Order, OrderEvent, User
from trader.operations.orders import move_order

pytestmark = pytest.mark.django_db

# What FIX allows after each state, a replacement left aside, which has a page of its own; and the way there.
NEXT = {
    "A": ("", "0468CE"),
    "0": ("0", "34689CE"),
    "6": ("06", "04CE"),
    "E": ("0E", "046C"),
    "9": ("09", "046C"),
    "3": ("03", "04C"),
}
ENDED = ["04", "05", "8", "0C"]


def new_order(book: Book, **more: Any) -> dict[str, Any]:
    """What is entered for one."""
    entered = {"cl_ord_id": "MINE", "side": "BUY", "ord_type": "LIMIT", "order_qty": "100", "price": "99.5"}
    return entered | {"account": book.account.pk, "instrument": book.instrument.pk} | more


def moved(order: Order, steps: str) -> str:
    """Take the order there; returns the path of its page."""
    for step in steps:
        move_order(order, Order.Lifecycle(step), actor="a broker", now=order.transact_time)
    return url(Order, "change", order.pk)


def stands(order: Order) -> tuple[Any, ...]:
    """As the database has it, with how often something was said of it."""
    stored = Order.objects.get(pk=order.pk)
    return *figures(stored, "lifecycle", "ord_status", "cum_qty"), stored.events.count()


def test_an_operator_takes_an_order_through_its_life(operator_client: Client, operator: User) -> None:
    book = Book()
    listed = done(operator_client, url(Order, "add"), **new_order(book))
    order = Order.objects.get(cl_ord_id="MINE")
    page = url(Order, "change", order.pk)
    done(operator_client, page, to="0", text="by telephone")
    fill = next(tool.url for tool in operator_client.get(page).context["tools"] if tool.label == "Fill")
    done(operator_client, fill, last_qty="40", last_px="99", **{"fees-0-amount": "1.5"})
    trade = Execution.objects.get(order=order)
    corrected = done(operator_client, url(Execution, "correct", trade.pk), last_qty="30")
    assert stands(order) == ("0", "1", Decimal(30), 2)
    assert book.position.quantity == Decimal("28.5")
    done(operator_client, corrected.replace("/change/", "/bust/"))
    done(operator_client, page, to="4")

    assert listed == url(Order, "changelist")
    assert stands(order) == ("4", "4", Decimal(0), 3)
    assert [event.payload for event in order.events.order_by("pk")] == [{}, {"text": "by telephone"}, {}]
    assert [report.exec_type for report in order.executions.order_by("pk")] == ["F", "G", "H"]
    assert book.position.quantity == 0
    actors = [
        *order.events.values_list("actor", flat=True),
        *order.executions.values_list("actor", flat=True),
        *JournalEntry.objects.values_list("actor", flat=True),
    ]
    assert actors == [operator.email] * 10


@pytest.mark.parametrize("state", NEXT)
def test_the_page_has_buttons_for_the_legal_steps_alone(operator_client: Client, state: str) -> None:
    steps, allowed = NEXT[state]

    page = moved(Book().order(), steps)

    assert sorted(buttons(operator_client, page)) == sorted(allowed)


@pytest.mark.parametrize("steps", ENDED)
def test_an_ended_order_offers_no_step(operator_client: Client, steps: str) -> None:
    page = moved(Book().order(), steps)

    assert buttons(operator_client, page) == []
    assert operator_client.post(page, {"to": "0"}).status_code == 403


@pytest.mark.parametrize(
    ("steps", "to", "message"),
    [
        ("0", "0", "is New and cannot become New; it can become Done for day,"),
        ("", "5", "is Pending new and cannot become Replaced; it can become New,"),
        ("", "", "This field is required."),
        ("", "X", "Select a valid choice."),
    ],
)
def test_a_step_that_is_not_legal_is_refused(operator_client: Client, steps: str, to: str, message: str) -> None:
    order = Book().order()
    page = moved(order, steps)
    before = stands(order)

    assert message in refused(operator_client, page, to=to)

    assert stands(order) == before


def test_an_order_with_a_fill_is_not_rejected(operator_client: Client) -> None:
    book = Book()
    order = book.order()
    book.fill(order, "1")
    before = stands(order)

    assert refused(operator_client, moved(order, ""), to="8") == "A rejected order has no fill."

    assert stands(order) == before


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"price": ""}, "A limit order has a limit price, any other has none."),
        ({"order_qty": "0"}, "A quantity is positive."),
        ({"time_in_force": "GTD"}, "An order good till date has an expiry, any other has none."),
        ({"cl_ord_id": "TAKEN"}, "Order with this Account and ClOrdID already exists."),
        (
            {"time_in_force": "GTD", "expire_time_0": "1799-12-31", "expire_time_1": "00:00"},
            "A date lies in the years from 1800 to 9999.",
        ),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused(operator_client: Client, entered: dict[str, str], message: str) -> None:
    book = Book()
    done(operator_client, url(Order, "add"), **new_order(book, cl_ord_id="TAKEN"))

    assert refused(operator_client, url(Order, "add"), **new_order(book) | entered) == message

    assert (Order.objects.count(), OrderEvent.objects.count()) == (1, 1)


def test_an_order_is_replaced(operator_client: Client) -> None:
    book = Book()
    order = book.order("100", ord_type="LIMIT", price=Decimal(99))
    book.fill(order, "40")

    page = done(operator_client, url(Order, "replace", order.pk), cl_ord_id="SECOND", order_qty="90", price="98")

    successor = Order.objects.get(cl_ord_id="SECOND")
    assert page == url(Order, "change", successor.pk)
    assert figures(successor, "orig_order", "side", "ord_type", "order_qty", "price", "lifecycle") == (
        order,
        "BUY",
        "LIMIT",
        50,
        98,
        "A",
    )
    assert stands(order) == ("5", "5", Decimal(40), 3)


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"order_qty": "40"}, "is filled for 40 already: a total of 40 leaves nothing."),
        ({"price": ""}, "A limit order has a limit price, any other has none."),
        ({"cl_ord_id": "ORD1"}, "Order with this Account and ClOrdID already exists."),
    ],
)
def test_a_replacement_that_is_refused_leaves_the_order_as_it_was(
    operator_client: Client, entered: dict[str, str], message: str
) -> None:
    book = Book()
    order = book.order("100", ord_type="LIMIT", price=Decimal(99))
    book.fill(order, "40")
    before = stands(order)
    given = {"cl_ord_id": "SECOND", "order_qty": "90"} | entered

    assert message in refused(operator_client, url(Order, "replace", order.pk), **given)

    assert stands(order) == before
    assert Order.objects.count() == 1


def test_an_order_that_has_ended_is_not_replaced(operator_client: Client) -> None:
    order = Book().order()
    moved(order, "04")

    response = operator_client.get(url(Order, "replace", order.pk), follow=True)

    assert last_message(response) == f"Order {order} cannot be replaced any more."
    assert "Replace" not in [tool.label for tool in response.context["tools"]]


def test_an_order_of_which_much_was_said_shows_the_last_of_it_and_moves_on(operator_client: Client) -> None:
    order = Book().order()
    events = OrderEventFactory.create_batch(MOST_INLINE_ROWS + 5, order=order, actor="a broker")
    page = url(Order, "change", order.pk)

    shown = operator_client.get(page).context["inline_admin_formsets"][0].formset
    every = next(tool.url for tool in operator_client.get(page).context["tools"] if tool.label == "All events")

    assert [form.instance for form in shown.initial_forms] == events[: -MOST_INLINE_ROWS - 1 : -1]
    assert operator_client.get(every).context["cl"].result_count == len(events) + 1
    assert send(operator_client, page, to="0").status_code == 302


@pytest.mark.parametrize(("status", "steps"), [("open", "0"), ("0", "0"), ("4", "04")])
def test_orders_are_filtered_by_their_status(operator_client: Client, status: str, steps: str) -> None:
    book = Book()
    order = book.order()
    moved(order, steps)
    moved(book.order(), "8")

    found = operator_client.get(url(Order, "changelist"), {"ord_status": status}).context["cl"]

    assert list(found.result_list) == [order]
