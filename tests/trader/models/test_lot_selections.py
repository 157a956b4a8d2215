from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.factories import DAY, NOW, ExecutionFactory
from tests.trader.models.plain_sql import PlainBook, orm_refused, refused
from trader.models import LotSelection
from trader.models.keys import uuid7

pytestmark = pytest.mark.django_db

LOT = "trader_lotselection_opening_execution_rule"
QUANTITY = "trader_lotselection_quantity_rule"


def later(days: int) -> dict[str, Any]:
    return {"transact_time": NOW + timedelta(days=days), "trade_date": DAY + timedelta(days=days)}


def sale(book: PlainBook, quantity: str = "10", days: int = 0) -> UUID:
    return book.execution(side="SELL", last_qty=quantity, **later(days))


def test_no_more_is_selected_than_the_lot_holds(book: PlainBook) -> None:
    lot = book.execution()
    book.selection(sale(book), lot, "6")
    other = sale(book)

    with refused(book.session, QUANTITY):
        book.selection(other, lot, "4.000000000000000001")
    book.selection(other, lot, "4")


def test_two_selections_in_one_statement_hold_together(book: PlainBook) -> None:
    lot, first, second = book.execution(), sale(book), sale(book)

    with refused(book.session, QUANTITY):
        book.execute(
            "INSERT INTO trader_lotselection (closing_execution_id, opening_execution_id, quantity)"
            " VALUES (%s, %s, 6), (%s, %s, 6)",
            first,
            lot,
            second,
            lot,
        )


def test_a_lot_holds_what_its_last_report_says(book: PlainBook) -> None:
    lot = book.execution()
    correction = book.correct(lot, "4")
    closing = sale(book)

    with refused(book.session, QUANTITY):
        book.selection(closing, lot, "5")
    book.selection(closing, correction, "3")
    with refused(book.session, QUANTITY):
        book.selection(closing, lot, "2")


def test_a_lot_that_was_busted_holds_nothing(book: PlainBook) -> None:
    lot = book.execution()
    bust = book.bust(lot)
    closing = sale(book)

    with refused(book.session, QUANTITY):
        book.selection(closing, lot, "1")
    with refused(book.session, LOT):
        book.selection(closing, bust, "1")


@pytest.mark.parametrize(
    "replace",
    [
        lambda book, closing: book.bust(closing, side="SELL"),
        lambda book, closing: book.correct(closing, "1", side="SELL"),
    ],
)
def test_what_a_replaced_report_selected_is_free_again(
    book: PlainBook, replace: Callable[[PlainBook, UUID], UUID]
) -> None:
    lot, closing = book.execution(), sale(book)
    book.selection(closing, lot, "10")

    replace(book, closing)

    book.selection(sale(book), lot, "10")


def test_splits_bring_a_selection_back_to_the_lots_units(book: PlainBook) -> None:
    lot = book.execution(last_qty="10")
    book.split(3, 1, ex_date=DAY)
    book.split(4, 1, ex_date=DAY + timedelta(days=1))
    book.split(1, 2, ex_date=DAY + timedelta(days=2))
    book.split(5, 1, ex_date=DAY + timedelta(days=3))
    closing, other = sale(book, "20", days=2), sale(book, "20", days=2)
    book.selection(closing, lot, "19")

    with refused(book.session, QUANTITY):
        book.selection(other, lot, "1.000000000000000002")
    book.selection(other, lot, "1")


def test_thirds_add_up_to_the_whole_lot(book: PlainBook) -> None:
    lot = book.execution(last_qty="10")
    book.split(3, 1, ex_date=DAY + timedelta(days=1))

    for _ in range(3):
        book.selection(sale(book, days=1), lot, "10")
    closing = sale(book, days=1)

    with refused(book.session, QUANTITY):
        book.selection(closing, lot, "0.000000000000000002")


def test_another_instruments_split_changes_nothing(book: PlainBook) -> None:
    lot = book.execution()
    book.split(2, 1, instrument_id=book.another_instrument("BBB"), ex_date=DAY + timedelta(days=1))
    closing = sale(book, days=1)

    with refused(book.session, QUANTITY):
        book.selection(closing, lot, "11")


@pytest.mark.parametrize("difference", ["account", "instrument", "same side", "later", "missing", "itself"])
def test_a_lot_that_cannot_be_closed_is_refused(book: PlainBook, difference: str) -> None:
    closing = sale(book)
    lots: dict[str, Callable[[], UUID]] = {
        "account": lambda: book.execution(account_id=book.another_account("OTHER")),
        "instrument": lambda: book.execution(instrument_id=book.another_instrument("BBB")),
        "same side": lambda: book.execution(side="SELL_SHORT"),
        "later": lambda: book.execution(transact_time=NOW + timedelta(microseconds=1)),
        "missing": uuid7,
        "itself": lambda: closing,
    }
    lot = lots[difference]()

    with refused(book.session, LOT):
        book.selection(closing, lot, "1")


@pytest.mark.parametrize("side", ["SELL", "SELL_SHORT"])
def test_a_purchase_closes_what_was_sold_short(book: PlainBook, side: str) -> None:
    lot = book.execution(side=side)

    book.selection(book.execution(), lot, "10")


@pytest.mark.parametrize(
    ("quantity", "rule"),
    [("0", "trader_lotselection_quantity_check"), ("-1", "trader_lotselection_quantity_check"), ("NaN", QUANTITY)],
)
def test_a_selection_of_nothing_is_refused(book: PlainBook, quantity: str, rule: str) -> None:
    lot, closing = book.execution(), sale(book)

    with refused(book.session, rule):
        book.selection(closing, lot, quantity)


def test_a_second_selection_of_a_pair_is_refused(book: PlainBook) -> None:
    lot, closing = book.execution(), sale(book)
    book.selection(closing, lot, "1")

    with refused(book.session, "trader_lotselection_closing_opening_execution_unique"):
        book.selection(closing, lot, "1")


def test_the_orm_cannot_select_more_than_the_lot_holds() -> None:
    lot = ExecutionFactory.create()
    closing = ExecutionFactory.create(account=lot.account, instrument=lot.instrument, side="SELL")

    with orm_refused(QUANTITY):
        LotSelection.objects.create(closing_execution=closing, opening_execution=lot, quantity=Decimal(11))
