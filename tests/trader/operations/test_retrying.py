from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from psycopg import sql

from tests.factories import UserFactory
from tests.trader.conftest import Connect
from tests.trader.operations.books import Book, assert_as_if_entered_so
from tests.trader.operations.threads import elsewhere
from trader.models import Order, User
from trader.operations.retrying import TRIES, in_one_transaction

# SQLSTATEs.
DEADLOCK, SERIALIZATION, LOCK_NOT_AVAILABLE = "40P01", "40001", "55P03"

RAISE = sql.SQL("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = {code}; END $$")


class Failing:
    """Writes a row each time, and lets the server refuse so many times."""

    def __init__(self, code: str, failures: int) -> None:
        self.code = code
        self.failures = failures
        self.tries = 0

    def __call__(self) -> str:
        self.tries += 1
        UserFactory.create()
        if self.tries <= self.failures:
            with connection.cursor() as cursor:
                cursor.execute(RAISE.format(code=self.code))
        return "done"


@pytest.mark.parametrize("code", [DEADLOCK, SERIALIZATION])
def test_a_transaction_that_was_ended_for_another_ones_sake_is_done_again(transactional_db: Connect, code: str) -> None:
    work = Failing(code, failures=2)

    result = in_one_transaction(work)()

    assert result == "done"
    assert work.tries == 3
    assert User.objects.count() == 1


def test_it_gives_up_after_its_tries(transactional_db: Connect) -> None:
    work = Failing(DEADLOCK, failures=TRIES)

    with pytest.raises(OperationalError) as failure:
        in_one_transaction(work)()

    assert isinstance(failure.value.__cause__, psycopg.errors.DeadlockDetected)
    assert work.tries == TRIES
    assert not User.objects.exists()


def test_what_would_fail_again_is_not_done_again(transactional_db: Connect) -> None:
    work = Failing(LOCK_NOT_AVAILABLE, failures=1)

    with pytest.raises(OperationalError):
        in_one_transaction(work)()

    assert work.tries == 1


@pytest.mark.django_db
def test_within_somebody_elses_transaction_it_is_tried_once_and_leaves_nothing_behind() -> None:
    work = Failing(DEADLOCK, failures=1)

    with transaction.atomic():
        UserFactory.create(email="before@example.com")
        with pytest.raises(OperationalError):
            in_one_transaction(work)()

    assert work.tries == 1
    assert [user.email for user in User.objects.all()] == ["before@example.com"]


@pytest.mark.django_db
def test_within_somebody_elses_transaction_it_takes_part_in_that_one() -> None:
    with transaction.atomic():
        in_one_transaction(Failing(DEADLOCK, failures=0))()
        transaction.set_rollback(True)

    assert not User.objects.exists()


def test_two_operations_that_block_each_other_both_come_through(transactional_db: Connect) -> None:
    books = [Book(), Book()]
    orders = [book.order("100") for book in books]
    each_holds_one, tries = Barrier(2), [0, 0]

    @in_one_transaction
    def fill_both(mine: int, other: int) -> None:
        tries[mine] += 1
        books[mine].fill(orders[mine], "10", day=mine, exec_id=f"{mine} mine")
        if tries[mine] == 1:
            each_holds_one.wait(timeout=10)
        books[other].fill(orders[other], "10", day=mine, exec_id=f"{mine} other")

    with ThreadPoolExecutor() as pool:
        futures = [elsewhere(pool, partial(fill_both, mine, 1 - mine)) for mine in (0, 1)]
        for future in futures:
            future.result()

    assert sorted(tries) == [1, 2]
    assert list(Order.objects.values_list("cum_qty", flat=True)) == [20, 20]
    for book in books:
        assert_as_if_entered_so(book.account)
