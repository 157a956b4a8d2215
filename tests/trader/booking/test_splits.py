from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.trader.booking.trades import buy, held, left, numbers, rules, sell, slices, split


@pytest.mark.parametrize(
    ("ratio", "quantity", "unit_cost"),
    [
        ((4, 1), "40", "25"),
        ((1, 10), "1", "1000"),
        ((3, 2), "15", "66.666666666666666667"),
        ((1, 3), "3.333333333333333333", "300"),
    ],
)
def test_a_split_changes_quantities_and_leaves_the_cost(ratio: tuple[int, int], quantity: str, unit_cost: str) -> None:
    holding = held(rules(), [buy(1, "10", "100")])

    holding.split(split(2, *ratio))

    (lot,) = holding.lots
    assert holding.quantity == lot.remaining == Decimal(quantity)
    assert numbers(holding.cost.amount, lot.unit_cost) == (1000, Decimal(unit_cost))
    assert lot.quantity == 10


@pytest.mark.parametrize("method", ["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"])
def test_a_match_across_a_split_counts_in_the_units_of_both_days(method: str) -> None:
    holding = held(rules(method), [buy(1, "10", "100"), sell(3, "20", "30")], [split(2, 4, 1)])

    (match,) = holding.matches
    assert slices(holding) == [("T1", "T3", 20, 600, 500)]
    assert match.opened_quantity == 5
    assert numbers(holding.quantity, holding.cost.amount) == (20, 500)


def test_fractions_of_a_split_are_sold_as_dust() -> None:
    holding = held(rules(), [buy(1, "1", "90"), sell(3, "0.33333333", "300")], [split(2, 1, 3)])

    (match,) = holding.matches
    assert numbers(match.quantity, match.opened_quantity) == (Decimal("0.333333333333333333"), 1)
    assert (holding.sign, holding.realized_pnl) == (0, Decimal("9.999999"))


def test_a_split_acts_on_a_short_position() -> None:
    holding = held(rules(), [sell(1, "10", "100"), buy(3, "15", "60")], [split(2, 3, 2)])

    assert numbers(holding.sign, holding.realized_pnl) == (0, 100)


def test_a_split_comes_before_the_trades_of_its_ex_date() -> None:
    holding = held(rules(), [buy(1, "10", "100"), buy(2, "1", "25")], [split(2, 4, 1)])

    assert left(holding) == {"T1": 40, "T2": 1}


def test_the_venue_s_date_decides_what_a_split_acts_on() -> None:
    tokyo = buy(1, "10", "100")._replace(at=datetime(2024, 1, 2, 1, tzinfo=UTC))

    holding = held(rules(), [tokyo, buy(3, "1", "25")], [split(2, 4, 1)])

    assert left(holding) == {"T1": 40, "T3": 1}


def test_a_split_after_the_last_trade_is_left_to_the_caller() -> None:
    holding = held(rules(), [buy(1, "10", "100")], [split(2, 4, 1)])

    assert holding.quantity == 10


def test_splits_between_two_trades_act_in_the_order_of_their_days() -> None:
    fills = [buy(1, "10", "100"), buy(4, "1", "100")]

    holding = held(rules(), fills, [split(3, 1, 3), split(2, 3, 1)])

    assert holding.quantity == 11


def test_a_split_does_not_touch_what_is_sold() -> None:
    holding = held(rules(), [buy(1, "10", "100"), sell(2, "10", "110")])
    (sold,) = holding.closed

    holding.split(split(3, 4, 1))

    assert numbers(holding.quantity, sold.quantity, sold.remaining, sold.unit_cost) == (0, 10, 0, 100)


def test_a_lot_that_a_split_would_leave_nothing_of_carries_its_cost() -> None:
    holding = held(rules(increment="1e-18"), [buy(1, "4e-18", "1000000")])

    holding.split(split(2, 1, 10))
    holding.record(sell(3, "1e-18", "0"))

    assert numbers(holding.quantity, holding.realized_pnl) == (0, Decimal("-4e-12"))
