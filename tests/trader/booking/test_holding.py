from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.trader.booking.trades import buy, held, left, numbers, rules, sell, slices
from trader.booking.figures import avg_px
from trader.booking.holding import Oversold


def test_a_trade_that_crosses_zero_closes_and_opens() -> None:
    holding = held(rules(policy="IN_COST"), [buy(1, "10", "100"), sell(2, "15", "110", fee="3")])

    assert slices(holding) == [("T1", "T2", 10, 1098, 1000)]
    assert numbers(holding.sign, holding.quantity, holding.cost.amount) == (-1, 5, 549)
    assert avg_px(holding.cost.gross, holding.quantity, Decimal(1)) == 110
    assert left(holding) == {"T2": 5}


def test_a_trade_crosses_zero_from_below_too() -> None:
    holding = held(rules(policy="IN_COST"), [sell(1, "10", "100"), buy(2, "15", "90", fee="3")])

    assert slices(holding) == [("T1", "T2", 10, 1000, 902)]
    assert numbers(holding.sign, holding.quantity, holding.cost.amount) == (1, 5, 451)


def test_the_rest_of_a_crossing_takes_what_rounding_left() -> None:
    holding = held(rules(), [buy(1, "1", "3"), sell(2, "2", "1.5e-18")])

    assert slices(holding)[0].proceeds == Decimal("2e-18")
    assert holding.cost.amount == Decimal("1e-18")


def test_a_lot_knows_when_it_was_opened_and_what_it_cost_a_unit() -> None:
    (lot,) = held(rules(policy="IN_COST"), [buy(1, "3", "100", fee="1")]).lots

    assert (lot.trade, lot.acquired_at) == ("T1", datetime(2024, 1, 1, 12, tzinfo=UTC))
    assert lot.quantity == 3
    assert lot.unit_cost == Decimal("100.333333333333333333")


def test_a_match_knows_when_it_was_opened_and_closed() -> None:
    (match,) = held(rules(), [buy(1, "1", "100"), sell(2, "1", "100")]).matches

    assert (match.acquired_at.day, match.closed_at.day) == (1, 2)


def test_recording_returns_the_lot_that_was_opened() -> None:
    holding = held(rules(), [])

    opened = holding.record(buy(1, "10", "100"))
    closed = holding.record(sell(2, "4", "100"))
    crossed = holding.record(sell(3, "10", "100"))

    assert opened is not None
    assert opened.quantity == 10
    assert closed is None
    assert crossed is not None
    assert crossed.quantity == 4


def test_a_flat_holding_starts_anew() -> None:
    holding = held(rules("AVERAGE"), [buy(1, "10", "100"), sell(2, "10", "90"), sell(3, "2", "80")])

    assert numbers(holding.sign, holding.quantity, holding.cost.amount) == (-1, 2, 160)
    assert holding.realized_pnl == -100


@pytest.mark.parametrize("sold", ["0.999999996", "1.000000004"])
def test_a_reducing_trade_that_leaves_dust_closes_all(sold: str) -> None:
    holding = held(rules(short=False), [buy(1, "1", "100"), sell(2, sold, "110")])

    assert slices(holding) == [("T1", "T2", 1, Decimal(sold) * 110, 100)]
    assert numbers(holding.sign, holding.quantity, holding.cost.amount) == (0, 0, 0)
    assert [lot.trade for lot in holding.closed] == ["T1"]


@pytest.mark.parametrize("bought", ["0.999999996", "1.000000004"])
def test_a_short_position_leaves_no_dust_either(bought: str) -> None:
    holding = held(rules(), [sell(1, "1", "110"), buy(2, bought, "100")])

    assert slices(holding) == [("T1", "T2", 1, 110, Decimal(bought) * 100)]
    assert holding.sign == 0


@pytest.mark.parametrize(("sold", "sign"), [("0.999999995", 1), ("1.000000005", -1)])
def test_half_an_increment_is_no_dust(sold: str, sign: int) -> None:
    holding = held(rules(), [buy(1, "1", "100"), sell(2, sold, "110")])

    assert (holding.sign, holding.quantity) == (sign, Decimal("0.000000005"))


def test_dust_goes_with_the_last_of_many_lots() -> None:
    holding = held(rules(), [buy(1, "1", "100"), buy(2, "1", "120"), sell(3, "1.999999999", "110")])

    assert [each[:3] for each in slices(holding)] == [("T1", "T3", 1), ("T2", "T3", 1)]
    assert holding.realized_pnl == Decimal("1.999999999") * 110 - 220


def test_a_purchase_of_dust_is_held() -> None:
    holding = held(rules(), [buy(1, "0.000000001", "100"), buy(2, "0.000000001", "100")])

    assert holding.quantity == Decimal("0.000000002")


def test_overselling_is_refused_without_short_sales() -> None:
    with pytest.raises(Oversold, match=r"A sale of 15 is 5 more than the account holds\.") as refusal:
        held(rules(short=False), [buy(1, "10", "100"), sell(2, "15", "110")])

    assert refusal.value.trade == "T2"
    assert refusal.value.missing == 5


def test_a_sale_of_nothing_held_is_refused_without_short_sales() -> None:
    with pytest.raises(Oversold) as refusal:
        held(rules(short=False), [sell(1, "15", "110")])

    assert refusal.value.missing == 15


def test_the_smallest_and_the_largest_quantity_are_held_together() -> None:
    fills = [buy(1, "1e17", "0.0000126"), buy(2, "1e-18", "0.0000126"), sell(3, "1e17", "0.0000127")]

    holding = held(rules(increment="1e-18"), fills)

    assert holding.quantity == Decimal("1e-18")
    assert holding.realized_pnl == 10_000_000_000


def test_the_smallest_quantity_is_sold_again() -> None:
    holding = held(rules(increment="1e-18"), [buy(1, "1e-18", "1000000"), sell(2, "1e-18", "3000000")])

    assert numbers(holding.quantity, holding.realized_pnl) == (0, Decimal("2e-12"))


def test_a_price_of_many_places_is_exact() -> None:
    holding = held(rules(), [buy(1, "1000000000", "0.0000126"), sell(2, "999999999", "0.000012600001")])

    assert holding.realized_pnl == Decimal("999999999") * Decimal("0.000000000001")
    assert holding.cost.amount == Decimal("0.0000126")


def test_pence_count_in_pounds() -> None:
    holding = held(rules(), [buy(1, "100", "250.5", unit="0.01"), sell(2, "40", "300", unit="0.01")])

    assert holding.realized_pnl == Decimal("19.8")
    assert avg_px(holding.cost.gross, holding.quantity, Decimal("0.01")) == Decimal("250.5")


def test_a_contract_counts_with_its_multiplier() -> None:
    holding = held(rules(), [sell(1, "3", "4000.25", unit="50"), buy(2, "2", "3990.5", unit="50")])

    assert holding.realized_pnl == 975
    assert avg_px(holding.cost.gross, holding.quantity, Decimal(50)) == Decimal("4000.25")


def test_a_negative_price_is_a_price() -> None:
    holding = held(rules(), [buy(1, "1", "-37.63", unit="1000"), sell(2, "1", "10.01", unit="1000")])

    assert holding.realized_pnl == 47_640
