from decimal import Decimal

import pytest

from tests.trader.booking.trades import buy, held, left, numbers, rules, selecting, sell, slices, split
from trader.booking.holding import LotsExceeded
from trader.booking.lots import lots_of

THREE_PURCHASES = [buy(1, "10", "100"), buy(2, "10", "120"), buy(3, "10", "110")]
THREE_SHORT_SALES = [sell(1, "10", "100"), sell(2, "10", "120"), sell(3, "10", "90")]


@pytest.mark.parametrize(
    ("method", "taken"),
    [
        ("FIFO", [("T1", 10, 1000), ("T2", 5, 600)]),
        ("LIFO", [("T3", 10, 1100), ("T2", 5, 600)]),
        ("HIFO", [("T2", 10, 1200), ("T3", 5, 550)]),
        ("AVERAGE", [("T1", 10, 1100), ("T2", 5, 550)]),
        ("SPECIFIC", [("T1", 10, 1000), ("T2", 5, 600)]),
    ],
)
def test_long_lots_go_in_the_order_of_the_method(method: str, taken: list[tuple[str, int, int]]) -> None:
    holding = held(rules(method), [*THREE_PURCHASES, sell(4, "15", "130")])

    assert [(each.opening_trade, each.quantity, each.cost) for each in slices(holding)] == taken
    assert holding.realized_pnl == 15 * 130 - sum(cost for _, _, cost in taken)


@pytest.mark.parametrize(
    ("method", "taken"),
    [
        ("FIFO", [("T1", 10, 1000), ("T2", 5, 600)]),
        ("LIFO", [("T3", 10, 900), ("T2", 5, 600)]),
        ("HIFO", [("T3", 10, 900), ("T1", 5, 500)]),
    ],
)
def test_short_lots_go_in_the_order_of_the_method(method: str, taken: list[tuple[str, int, int]]) -> None:
    holding = held(rules(method), [*THREE_SHORT_SALES, buy(4, "15", "80")])

    assert [(each.opening_trade, each.quantity, each.proceeds) for each in slices(holding)] == taken
    assert holding.realized_pnl == sum(proceeds for _, _, proceeds in taken) - 15 * 80


@pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
def test_of_equally_dear_lots_the_oldest_goes_first(sign: int) -> None:
    opens, closes = (buy, sell) if sign > 0 else (sell, buy)

    holding = held(rules("HIFO"), [opens(1, "1", "100"), opens(2, "1", "100"), closes(3, "1", "100")])

    assert left(holding) == {"T2": 1}


def test_fees_in_the_cost_make_a_lot_dearer() -> None:
    purchases = [buy(1, "1", "100"), buy(2, "1", "99", fee="2")]

    assert left(held(rules("HIFO", "EXPENSED"), [*purchases, sell(3, "1", "100")])) == {"T2": 1}
    assert left(held(rules("HIFO", "IN_COST"), [*purchases, sell(3, "1", "100")])) == {"T1": 1}


def test_the_dearest_lot_is_found_among_those_before_and_after_a_split() -> None:
    fills = [buy(1, "10", "100"), buy(3, "10", "50"), sell(4, "15", "60")]

    holding = held(rules("HIFO"), fills, [split(2, 4, 1)])

    assert slices(holding) == [("T3", "T4", 10, 600, 500), ("T1", "T4", 5, 300, 125)]


def test_of_lots_that_a_split_makes_equally_dear_the_oldest_goes_first() -> None:
    fills = [buy(1, "1", "1"), buy(2, "1", "1.000000000000000001"), sell(4, "2", "1")]

    assert left(held(rules("HIFO"), fills, [split(3, 2, 1)])) == {"T2": 2}


def test_average_cost_is_one_pool() -> None:
    holding = held(rules("AVERAGE"), [*THREE_PURCHASES, sell(4, "15", "130"), buy(5, "15", "150")])

    assert numbers(holding.quantity, holding.cost.amount) == (30, 1650 + 2250)
    assert left(holding) == {"T2": 5, "T3": 10, "T5": 15}


def test_average_cost_is_kept_as_cost_and_loses_nothing_to_rounding() -> None:
    fills = [buy(1, "3", "3.333333333333"), *(sell(day, "1", "4") for day in (2, 3, 4))]

    holding = held(rules("AVERAGE"), fills)

    assert sum(each.cost for each in slices(holding)) == Decimal("9.999999999999")


def test_selected_lots_go_first_and_then_the_oldest() -> None:
    sale = sell(4, "15", "130", selections=selecting(T3="4", T2="5"))

    holding = held(rules("SPECIFIC"), [*THREE_PURCHASES, sale])

    assert [each[:3] for each in slices(holding)] == [("T3", "T4", 4), ("T2", "T4", 5), ("T1", "T4", 6)]
    assert left(holding) == {"T1": 4, "T2": 5, "T3": 6}


def test_a_later_sale_passes_over_a_lot_that_a_selection_used_up() -> None:
    sale = sell(4, "10", "130", selections=selecting(T1="10"))

    holding = held(rules("SPECIFIC"), [*THREE_PURCHASES, sale, sell(5, "11", "130")])

    assert left(holding) == {"T3": 9}
    assert [lot.trade for lot in holding.closed] == ["T1", "T2"]


def test_selections_are_nothing_to_another_method() -> None:
    holding = held(rules("FIFO"), [*THREE_PURCHASES, sell(4, "5", "130", selections=selecting(T3="5"))])

    assert left(holding) == {"T1": 5, "T2": 10, "T3": 10}


@pytest.mark.parametrize(
    ("quantity", "parts", "message"),
    [
        ("15", {"T1": "10.5"}, "10.5 units are selected of a lot that holds 10"),
        ("15", {"T9": "1"}, "1 units are selected of a lot that holds 0"),
        ("5", {"T1": "3", "T2": "3"}, "More is selected than the 5 units that are closed"),
    ],
)
def test_selecting_more_than_there_is_is_refused(quantity: str, parts: dict[str, str], message: str) -> None:
    sale = sell(4, quantity, "130", selections=selecting(**parts))

    with pytest.raises(LotsExceeded, match=message) as refusal:
        held(rules("SPECIFIC"), [*THREE_PURCHASES, sale])

    assert refusal.value.trade == "T4"


def test_selecting_what_an_earlier_sale_took_is_refused() -> None:
    sale = sell(5, "5", "130", selections=selecting(T1="5"))

    with pytest.raises(LotsExceeded, match="5 units are selected of a lot that holds 2"):
        held(rules("SPECIFIC"), [*THREE_PURCHASES, sell(4, "8", "130"), sale])


def test_selecting_lots_for_a_trade_that_closes_none_is_refused() -> None:
    purchase = buy(4, "5", "130", selections=selecting(T1="5"))

    with pytest.raises(LotsExceeded, match="More is selected than the 0 units that are closed") as refusal:
        held(rules("SPECIFIC"), [*THREE_PURCHASES, purchase])

    assert refusal.value.trade == "T4"


def test_selecting_more_than_the_position_for_a_trade_that_crosses_zero_is_refused() -> None:
    sale = sell(2, "15", "130", selections=selecting(T1="12"))

    with pytest.raises(LotsExceeded, match="More is selected than the 10 units that are closed"):
        held(rules("SPECIFIC"), [buy(1, "10", "100"), sale])


def test_lots_are_listed_in_the_order_of_their_coming() -> None:
    for method in ("FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"):
        assert [lot.trade for lot in held(rules(method), THREE_PURCHASES).lots] == ["T1", "T2", "T3"]


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="FEFO is no cost basis method"):
        lots_of("FEFO", 1)
