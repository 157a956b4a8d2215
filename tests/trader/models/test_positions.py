from decimal import Decimal

import pytest

from tests.factories import PositionFactory
from tests.trader.models.plain_sql import PlainBook, Row, orm_refused, refused
from trader.models import LotMatch, TaxLot
from trader.models.keys import uuid7

pytestmark = pytest.mark.django_db

INSERTED = "trader_lotmatch_insert_opened_quantity_rule"
UPDATED = "trader_lotmatch_update_opened_quantity_rule"
LOWERED = "trader_taxlot_quantity_rule"


def test_a_second_position_of_an_account_in_an_instrument_is_refused(book: PlainBook) -> None:
    book.position()
    book.position(account_id=book.another_account("OTHER"))
    book.position(instrument_id=book.another_instrument("BBB"))

    with refused(book.session, "trader_position_account_instrument_unique"):
        book.position(quantity="5")


def test_the_orm_cannot_write_a_second_position() -> None:
    position = PositionFactory.create()

    with orm_refused("trader_position_account_instrument_unique"):
        PositionFactory.create(account=position.account, instrument=position.instrument)


def test_a_second_lot_of_a_trade_is_refused(book: PlainBook) -> None:
    position, trade = book.position(), uuid7()
    book.lot(position, trade)

    with refused(book.session, "trader_taxlot_position_trade_unique"):
        book.lot(position, trade)


@pytest.mark.parametrize("changes", [{"quantity": "0"}, {"quantity": "-1"}, {"remaining": "-1"}])
def test_a_lot_holds_something_and_never_less_than_nothing(book: PlainBook, changes: Row) -> None:
    position = book.position()

    with refused(book.session, "trader_taxlot_quantity_check"):
        book.lot(position, uuid7(), **changes)


@pytest.mark.parametrize("column", ["quantity", "opened_quantity"])
def test_a_match_closes_nothing_negative(book: PlainBook, column: str) -> None:
    position, trade = book.position(), uuid7()
    book.lot(position, trade)

    with refused(book.session, "trader_lotmatch_quantity_check"):
        book.match(position, trade, "1", **{column: "-1"})


def test_no_more_is_matched_than_the_lot_holds(book: PlainBook) -> None:
    position, trade = book.position(), uuid7()
    book.lot(position, trade)
    book.match(position, trade, "6")

    with refused(book.session, INSERTED):
        book.match(position, trade, "4.000000000000000001")
    # By what the lot's own units are: a split lies between.
    book.match(position, trade, "4", quantity="8")


def test_matches_of_one_statement_are_taken_together(book: PlainBook) -> None:
    position, trade = book.position(), uuid7()
    book.lot(position, trade)
    columns = "position_id, opening_trade_id, closing_trade_id, quantity, opened_quantity"
    zero = ["0"] * 4

    with (
        refused(book.session, INSERTED),
        book.session.cursor().copy(
            f"COPY trader_lotmatch ({columns}, proceeds, cost, gross_proceeds, gross_cost) FROM STDIN"
        ) as copy,
    ):
        for _ in range(2):
            copy.write_row([position, trade, uuid7(), "6", "6", *zero])


def test_a_match_needs_its_lot(book: PlainBook) -> None:
    position, trade = book.position(), uuid7()
    elsewhere = book.position(instrument_id=book.another_instrument("BBB"))
    book.lot(elsewhere, trade)

    with refused(book.session, INSERTED):
        book.match(position, trade, "1")


@pytest.mark.parametrize("assignment", ["opened_quantity = 4.000000000000000001", "opening_trade_id = %s"])
def test_a_match_does_not_grow_over_its_lot_nor_leave_it(book: PlainBook, assignment: str) -> None:
    position, trade = book.position(), uuid7()
    book.lot(position, trade)
    book.match(position, trade, "6")
    match = book.match(position, trade, "3")
    other = [uuid7()] if "%s" in assignment else []

    with refused(book.session, UPDATED):
        book.execute(f"UPDATE trader_lotmatch SET {assignment} WHERE id = %s", *other, match)
    book.execute("UPDATE trader_lotmatch SET opened_quantity = 4 WHERE id = %s", match)


def test_a_lot_does_not_shrink_under_what_is_matched_of_it(book: PlainBook) -> None:
    position, trade = book.position(), uuid7()
    lot = book.lot(position, trade)
    book.match(position, trade, "6")

    with refused(book.session, LOWERED):
        book.execute("UPDATE trader_taxlot SET quantity = 5.999999999999999999 WHERE id = %s", lot)
    book.execute("UPDATE trader_taxlot SET quantity = 6, remaining = 0 WHERE id = %s", lot)


def test_the_orm_cannot_match_more_than_the_lot_holds() -> None:
    position, trade = PositionFactory.create(), uuid7()
    TaxLot.objects.create(
        position=position,
        trade_id=trade,
        acquired_at="2026-01-05T15:30Z",
        quantity=10,
        unclosed=10,
        remaining=10,
        unit_cost=100,
    )

    with orm_refused(INSERTED):
        LotMatch.objects.create(
            position=position,
            opening_trade_id=trade,
            closing_trade_id=uuid7(),
            quantity=Decimal(11),
            opened_quantity=Decimal(11),
            proceeds=0,
            cost=0,
            gross_proceeds=0,
            gross_cost=0,
        )


def test_realized_is_proceeds_less_cost(book: PlainBook) -> None:
    position, trade = book.position(), uuid7()
    book.lot(position, trade)
    base = {"proceeds_base": "11.5", "cost_base": None}

    match = book.match(position, trade, "1", proceeds="12.000000000000000001", cost="10", **base)

    realized = book.execute("SELECT realized_pnl, realized_pnl_base FROM trader_lotmatch WHERE id = %s", match)
    assert realized.fetchone() == (Decimal("2.000000000000000001"), None)
