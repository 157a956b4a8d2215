from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.trader.conftest import Connect
from tests.trader.models.plain_sql import PlainBook
from tests.trader.models.racing import SECONDS, begin, refused_rule


def fill(book: PlainBook, order: UUID) -> Any:
    return book.fill(order, "60")


def reject(book: PlainBook, order: UUID) -> Any:
    return book.execute("UPDATE trader_order SET lifecycle = '8' WHERE id = %s", order)


def select(book: PlainBook, lot: UUID) -> Any:
    return book.selection(book.execution(side="SELL"), lot, "6")


def correct(book: PlainBook, trade: UUID) -> Any:
    return book.correct(trade, "5")


def reverse(book: PlainBook, entry: UUID) -> Any:
    reversal = book.entry(kind="REVERSAL", reverses_id=entry)
    book.posting(reversal, "CASH", "-100")
    return book.posting(reversal, "EQUITY", "100")


def book_trade(book: PlainBook, trade: UUID) -> Any:
    entry = book.entry(kind="TRADE", execution_id=trade, instrument_id=book.instrument)
    book.posting(entry, "SECURITIES", "1000")
    return book.posting(entry, "CASH", "-1000")


def rename(book: PlainBook, trade: UUID) -> Any:
    return book.identifier("TICKER", "NESN")


Write = Callable[[PlainBook, UUID], Any]


@pytest.mark.parametrize(
    ("fact", "first_write", "second_write", "rule"),
    [
        (PlainBook.order, fill, fill, "trader_order_cum_qty_check"),
        (PlainBook.order, fill, reject, "trader_order_lifecycle_cum_qty_check"),
        (PlainBook.order, reject, fill, "trader_order_lifecycle_cum_qty_check"),
        (PlainBook.execution, select, select, "trader_lotselection_quantity_rule"),
        (PlainBook.execution, correct, PlainBook.bust, "trader_execution_exec_ref_id_key"),
        (PlainBook.execution, book_trade, book_trade, "trader_journalentry_execution_trade_unique"),
        (PlainBook.deposit, reverse, reverse, "trader_journalentry_reverses_id_key"),
        (PlainBook.execution, rename, rename, "trader_instrumentidentifier_source_value_mic_valid_excl"),
    ],
)
def test_two_at_once_do_not_break_a_rule_that_neither_breaks_alone(
    committed: Connect, fact: Callable[[PlainBook], UUID], first_write: Write, second_write: Write, rule: str
) -> None:
    first, second = committed("application"), committed("owner")
    with first.transaction():
        book = PlainBook(first)
        book.ledger_account("SECURITIES")
        book.deposit()
        written = fact(book)

    def write() -> None:
        with second.transaction():
            second_write(book.at(second), written)

    with first.transaction():
        first_write(book, written)
        writing = begin(write, second, behind=first)

    assert refused_rule(writing) == rule


def test_a_fill_goes_through_when_the_one_before_it_is_rolled_back(committed: Connect) -> None:
    first, second = committed("application"), committed("application")
    with first.transaction():
        book = PlainBook(first)
        order = book.order()

    with first.transaction(force_rollback=True):
        fill(book, order)
        filling = begin(lambda: fill(book.at(second), order), second, behind=first)

    assert filling.result(timeout=SECONDS)
    assert book.value("SELECT cum_qty FROM trader_order") == 60
