"""Two sessions that want the same at the same time: the one that comes second goes by what the first one did."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any, TypeVar

import psycopg
import pytest
from django.db import IntegrityError, transaction

from tests.factories import AccountFactory, FxRateFactory, InstrumentFactory
from tests.trader.conftest import Connect
from tests.trader.models.plain_sql import orm_refused
from tests.trader.operations.books import Book, assert_as_if_entered_so, currency, figures, on_day
from tests.trader.operations.threads import elsewhere, wait_until_blocked
from trader.booking.holding import Oversold
from trader.models import Execution, LedgerAccount, Order, OrderEvent
from trader.operations.orders import TransitionRefused, move_order, replace_order
from trader.operations.positions import project
from trader.operations.rate_entry import record_rates

T = TypeVar("T")
Meanwhile = Callable[[Callable[[], object], Callable[[], T]], "Future[T]"]

Lifecycle = Order.Lifecycle
OVERFILL = "trader_order_cum_qty_check"


@pytest.fixture
def observer(transactional_db: Connect) -> psycopg.Connection:
    return transactional_db("owner")


@pytest.fixture
def pool(transactional_db: Connect) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        yield pool


@pytest.fixture
def meanwhile(observer: psycopg.Connection, pool: ThreadPoolExecutor) -> Meanwhile[Any]:
    """Do the first, begin the second elsewhere, and commit the first when the second waits for it."""

    def meanwhile(first: Callable[[], object], second: Callable[[], T]) -> "Future[T]":
        with transaction.atomic():
            first()
            future = elsewhere(pool, second)
            wait_until_blocked(observer)
        return future

    return meanwhile


def learn_rate() -> int:
    rate = FxRateFactory.build(base=currency("USD"), quote=currency("CHF"), at=on_day(0), rate=Decimal("0.9"))
    return record_rates([rate])


def test_of_two_fills_that_together_overfill_the_second_is_refused(meanwhile: Meanwhile[Execution]) -> None:
    book = Book()
    order = book.order("100")

    second = meanwhile(lambda: book.fill(order, "60"), lambda: book.fill(order, "50"))

    with orm_refused(OVERFILL):
        second.result()
    order.refresh_from_db()
    assert order.cum_qty == 60
    assert book.position.quantity == 60
    assert Execution.objects.count() == 1


def test_a_fill_that_waited_is_taken_when_the_one_before_it_is_not(
    observer: psycopg.Connection, pool: ThreadPoolExecutor
) -> None:
    book = Book()
    order = book.order("100")

    with transaction.atomic():
        book.fill(order, "60")
        second = elsewhere(pool, lambda: book.fill(order, "50"))
        wait_until_blocked(observer)
        transaction.set_rollback(True)

    second.result()
    order.refresh_from_db()
    assert order.cum_qty == 50
    assert_as_if_entered_so(book.account)


def test_of_fills_that_race_just_those_are_taken_that_the_order_has_room_for(pool: ThreadPoolExecutor) -> None:
    book = Book()
    order = book.order("100")
    start = Barrier(8)

    def fill() -> bool:
        start.wait()
        try:
            book.fill(order, "30")
        except IntegrityError:
            return False
        return True

    taken = [future.result() for future in [elsewhere(pool, fill) for _ in range(8)]]

    order.refresh_from_db()
    assert sum(taken) == 3
    assert order.cum_qty == 90
    assert book.position.quantity == 90
    assert_as_if_entered_so(book.account)


def test_of_two_sales_of_all_that_is_held_the_second_is_refused(meanwhile: Meanwhile[Execution]) -> None:
    book = Book()
    book.buy("10")

    second = meanwhile(lambda: book.sell("10"), lambda: book.sell("10"))

    with pytest.raises(Oversold):
        second.result()
    assert_as_if_entered_so(book.account)


@pytest.mark.parametrize("second", [3, 0.5], ids=["later", "earlier"])
def test_two_trades_both_count(meanwhile: Meanwhile[Execution], second: float) -> None:
    book = Book()
    book.buy("10", "100", day=1)

    meanwhile(lambda: book.buy("5", "110", day=2), lambda: book.buy("3", "120", day=second)).result()

    assert book.position.quantity == 18
    assert_as_if_entered_so(book.account)


def test_the_first_two_trades_make_their_position_and_ledger_accounts_once(meanwhile: Meanwhile[Execution]) -> None:
    book = Book()

    meanwhile(lambda: book.buy("5", day=1), lambda: book.buy("3", day=2)).result()

    assert book.position.quantity == 8
    assert LedgerAccount.objects.count() == 2
    assert_as_if_entered_so(book.account)


def test_a_bust_goes_by_the_trade_that_came_before_it(meanwhile: Meanwhile[Execution]) -> None:
    book = Book()
    trade = book.buy("10", "100", day=1)

    meanwhile(lambda: book.buy("5", "110", day=2), lambda: book.bust(trade)).result()

    assert figures(book.position, "quantity", "cost") == (5, 550)
    assert_as_if_entered_so(book.account)


def test_a_trade_goes_by_the_bust_that_came_before_it(meanwhile: Meanwhile[Execution]) -> None:
    book = Book()
    trade = book.buy("10", "100", day=1)

    meanwhile(lambda: book.bust(trade), lambda: book.buy("5", "110", day=2)).result()

    assert figures(book.position, "quantity", "cost") == (5, 550)
    assert_as_if_entered_so(book.account)


def test_a_trade_is_corrected_once(meanwhile: Meanwhile[Execution]) -> None:
    book = Book()
    trade = book.buy("10", "100")

    second = meanwhile(lambda: book.correct(trade, "9"), lambda: book.correct(trade, "8"))

    with orm_refused("trader_execution_exec_ref_id_key"):
        second.result()
    assert book.position.quantity == 9
    assert_as_if_entered_so(book.account)


@pytest.mark.parametrize("first", ["trade", "split"])
def test_a_split_and_a_trade_know_of_each_other(meanwhile: Meanwhile[object], first: str) -> None:
    book = Book()
    book.buy("10", day=1)
    events: list[Callable[[], object]] = [lambda: book.buy("1", day=3), lambda: book.split(2)]

    meanwhile(*(events if first == "trade" else reversed(events))).result()

    assert book.position.quantity == 41
    assert_as_if_entered_so(book.account)


@pytest.mark.parametrize("first", ["trade", "rate"])
def test_a_rate_and_a_trade_know_of_each_other(meanwhile: Meanwhile[object], first: str) -> None:
    book = Book(AccountFactory.create(), InstrumentFactory.create(currency=currency("USD")))
    events: list[Callable[[], object]] = [lambda: book.buy("10", "100"), learn_rate]

    meanwhile(*(events if first == "trade" else reversed(events))).result()

    assert book.position.rated_cost_base == 900
    assert_as_if_entered_so(book.account)


def test_a_replay_goes_by_the_split_that_came_before_it(meanwhile: Meanwhile[int]) -> None:
    book = Book()
    book.buy("10", day=1)
    book.buy("1", day=3)

    def replay() -> int:
        with transaction.atomic():
            return project(book.account)

    meanwhile(lambda: book.split(2), replay).result()

    assert book.position.quantity == 41


def test_of_two_steps_that_exclude_each_other_the_second_is_refused(meanwhile: Meanwhile[Order]) -> None:
    order = Book().order()

    def move(to: Lifecycle) -> Order:
        return move_order(order, to, actor="a broker", now=on_day(1))

    second = meanwhile(lambda: move(Lifecycle.CANCELED), lambda: move(Lifecycle.NEW))

    with pytest.raises(TransitionRefused):
        second.result()
    assert list(OrderEvent.objects.order_by("pk").values_list("exec_type", flat=True)) == ["A", "4"]


@pytest.mark.parametrize("generation", [0, 1])
def test_a_replace_goes_by_the_fill_that_came_before_it(meanwhile: Meanwhile[Any], generation: int) -> None:
    book = Book()
    orders = [book.order("100")]

    def replace(total: str) -> Order:
        return replace_order(
            orders[-1], cl_ord_id=f"R{len(orders)}", order_qty=Decimal(total), actor="a trader", now=on_day(1)
        )

    orders.append(replace("100"))
    successor = meanwhile(lambda: book.fill(orders[generation], "30"), lambda: replace("80")).result()

    assert successor.order_qty == 50
