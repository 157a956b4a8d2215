from datetime import date
from decimal import Decimal

import pytest
from django.db import DataError

from tests.factories import CorporateActionFactory, InstrumentFactory
from tests.trader.models.plain_sql import orm_refused
from tests.trader.operations.books import Book, assert_as_if_entered_so, currency, figures
from trader.booking.holding import Oversold
from trader.models import CorporateAction, Execution, LotMatch, TaxLot
from trader.operations.splits import record_split, withdraw

pytestmark = pytest.mark.django_db


def test_a_split_changes_the_lots_and_leaves_cost_and_executions() -> None:
    book = Book()
    first = book.buy("10", "100", day=1)
    book.sell("4", "120", day=2)
    book.buy("8", "30", day=4)

    book.split(3)

    lots = TaxLot.objects.order_by("acquired_at")
    assert figures(Execution.objects.get(pk=first.pk), "last_qty", "last_px") == (10, 100)
    assert [figures(lot, "quantity", "unclosed", "remaining", "unit_cost", "cost") for lot in lots] == [
        (10, 6, 24, 25, 600),
        (8, 8, 8, 30, 240),
    ]
    assert figures(book.position, "quantity", "cost", "realized_pnl") == (32, 840, 80)


def test_what_is_closed_after_a_split_says_how_much_that_was_before() -> None:
    book = Book()
    book.buy("10", "100", day=1)
    book.split(2)

    book.sell("6", "30", day=3)

    assert figures(LotMatch.objects.get(), "quantity", "opened_quantity", "proceeds", "cost") == (
        6,
        Decimal("1.5"),
        180,
        150,
    )
    assert book.position.quantity == 34


def test_a_split_acts_before_all_trades_of_its_day() -> None:
    book = Book()
    book.buy("10", "100", day=1)
    book.buy("10", "25", day=2)

    book.split(2)

    assert book.position.quantity == 50


def test_a_split_after_the_last_trade_waits_for_the_next_one() -> None:
    book = Book()
    book.buy("10", "100", day=1)
    before = book.state

    book.split(2)
    waiting = book.state
    book.buy("1", "25", day=3)

    assert waiting == before
    assert book.position.quantity == 41
    assert_as_if_entered_so(book.account)


def test_a_split_acts_on_every_account_that_holds_the_instrument_and_on_no_other_instrument() -> None:
    book = Book()
    others = [Book(instrument=book.instrument, allow_short=True), Book()]
    book.buy("10", day=1)
    others[0].sell("7", day=1)
    others[1].buy("3", day=1)
    for each in (book, *others):
        each.buy("1", day=3)

    book.split(2)

    assert [each.position.quantity for each in (book, *others)] == [41, -27, 4]
    for each in (book, *others):
        assert_as_if_entered_so(each.account)


def test_a_second_split_on_one_day_is_refused() -> None:
    book = Book()
    book.buy("10", day=1)
    book.buy("10", day=3)
    book.split(2)
    before = book.state

    with orm_refused("trader_corporateaction_instrument_ex_date_split_unique"):
        book.split(2, 2, 1)

    assert book.state == before


def test_a_split_that_leaves_too_little_for_a_sale_is_refused() -> None:
    book = Book()
    book.buy("10", day=1)
    book.sell("6", day=3)
    before = book.state

    with pytest.raises(Oversold):
        book.split(2, 1, 2)

    assert book.state == before
    assert not CorporateAction.objects.exists()


def test_a_split_into_more_than_can_be_written_is_refused() -> None:
    book = Book()
    book.buy("100000000000000000", "0.0000126", day=1)
    book.buy("1", day=3)
    before = book.state

    with pytest.raises(DataError):
        book.split(2, 1_000_000, 1)

    assert book.state == before
    assert not CorporateAction.objects.exists()


def test_a_split_that_is_withdrawn_never_was() -> None:
    book = Book()
    book.buy("10", day=1)
    book.buy("1", day=3)
    before = book.state
    action = book.split(2)

    withdraw(action)

    assert book.state == before
    assert not CorporateAction.objects.exists()


def test_a_split_that_a_sale_needs_is_not_withdrawn() -> None:
    book = Book()
    book.buy("10", day=1)
    action = book.split(2)
    book.sell("11", day=3)
    before = book.state

    with pytest.raises(Oversold):
        withdraw(action)

    assert book.state == before
    assert CorporateAction.objects.exists()


def test_a_dividend_is_withdrawn_and_changes_no_position() -> None:
    book = Book()
    book.buy("10", day=1)
    dividend = CorporateActionFactory.create(
        instrument=book.instrument,
        type=CorporateAction.Type.CASH_DIVIDEND,
        ex_date=date(2026, 1, 5),
        numerator=None,
        denominator=None,
        cash_per_unit=Decimal("2.5"),
        currency=currency("CHF"),
    )
    before = book.state

    withdraw(dividend)

    assert book.state == before
    assert not CorporateAction.objects.exists()


def test_a_split_of_an_instrument_that_nobody_trades_is_noted() -> None:
    action = record_split(instrument=InstrumentFactory.create(), ex_date=date(2026, 1, 5), numerator=3, denominator=2)

    assert figures(CorporateAction.objects.get(), "pk", "type", "numerator", "denominator") == (
        action.pk,
        "SPLIT",
        3,
        2,
    )
