from decimal import Decimal

import pytest

from tests.trader.booking.trades import buy, held, numbers, rules, sell, slices
from trader.booking.fees import BUY, SELL, Counted, UnitsExceedPurchase, counted, gross_amount, money
from trader.booking.figures import market_value
from trader.booking.holding import Fill

POLICIES = ["EXPENSED", "IN_COST", "BUY_IN_COST"]


@pytest.mark.parametrize(
    ("policy", "bought", "sold"), [("EXPENSED", 1000, 1000), ("IN_COST", 1005, 995), ("BUY_IN_COST", 1005, 1000)]
)
def test_a_fill_counts_with_its_fees_as_the_policy_says(policy: str, bought: int, sold: int) -> None:
    gross, fees = Decimal(1000), Decimal(5)

    assert money(policy, BUY, gross, fees) == bought
    assert money(policy, SELL, gross, fees) == sold


def test_a_fill_counts_with_all_digits_of_its_fees() -> None:
    gross, fees = Decimal("12345678901234567890.123456789012345678"), Decimal("0.000000000000000001")

    assert money("IN_COST", BUY, gross, fees) == Decimal("12345678901234567890.123456789012345679")
    assert money("IN_COST", SELL, gross, fees) == Decimal("12345678901234567890.123456789012345677")


@pytest.mark.parametrize(
    ("quantity", "price", "unit", "expected"),
    [
        ("100", "250.5", "0.01", "250.5"),
        ("3", "4000.25", "50", "600037.5"),
        ("1e17", "0.0000126", "1", "1260000000000"),
        ("1e-18", "0.0000126", "1", "0.0000000000000000000000126"),
        ("123456789012345678.123456789012345678", "1e-12", "1", "123456.789012345678123456789012345678"),
    ],
)
def test_the_gross_amount_is_exact(quantity: str, price: str, unit: str, expected: str) -> None:
    assert gross_amount(Decimal(quantity), Decimal(price), Decimal(unit)) == Decimal(expected)


def test_the_gross_amount_counts_at_eighteen_places() -> None:
    count = counted(BUY, Decimal("1e-18"), Decimal("0.0000126e-18"), Decimal(0), Decimal(0))

    assert count.gross == 0


def test_a_purchase_brings_in_less_by_a_fee_in_its_units() -> None:
    count = counted(BUY, Decimal(1), Decimal(2000), Decimal("0.5"), Decimal("0.001"))

    assert count == Counted(Decimal("0.999"), Decimal(1998), Decimal("2.5"), Decimal(2))


def test_a_sale_takes_out_more_by_a_fee_in_its_units() -> None:
    count = counted(SELL, Decimal(1), Decimal(2000), Decimal("0.5"), Decimal("0.001"))

    assert count == Counted(Decimal("1.001"), Decimal(2002), Decimal("2.5"), Decimal(2))


def test_units_that_come_back_are_a_negative_fee() -> None:
    count = counted(BUY, Decimal(1), Decimal(2000), Decimal(0), Decimal("-0.001"))

    assert count == Counted(Decimal("1.001"), Decimal(2002), Decimal(-2), Decimal(-2))


def test_a_fee_in_units_is_exact_with_the_longest_numbers() -> None:
    gross = Decimal("12345678901234.123456789012345678")

    count = counted(BUY, Decimal(1000), gross, Decimal(0), Decimal("0.000000000000000001"))

    assert count.quantity == Decimal("999.999999999999999999")
    assert count.gross == Decimal("12345678901234.123456776666666777")
    assert count.fees == count.units_value == Decimal("0.000000012345678901")


def test_a_fee_in_units_may_leave_the_smallest_quantity_of_the_largest() -> None:
    quantity, units = Decimal("123456789012345678.999999999999999999"), Decimal("123456789012345678.999999999999999998")

    count = counted(BUY, quantity, Decimal(0), Decimal(0), units)

    assert count.quantity == Decimal("1e-18")


@pytest.mark.parametrize(("sign", "units"), [(BUY, "1"), (BUY, "1.5"), (SELL, "-1")])
def test_a_fee_in_units_that_leaves_nothing_is_refused(sign: int, units: str) -> None:
    with pytest.raises(UnitsExceedPurchase, match=r"leaves nothing of the 1 that were traded"):
        counted(sign, Decimal(1), Decimal(2000), Decimal(0), Decimal(units))


@pytest.mark.parametrize(
    ("policy", "cost", "proceeds", "open_cost", "expensed"),
    [("EXPENSED", 400, 440, 600, 7), ("IN_COST", 402, 438, 603, 0), ("BUY_IN_COST", 402, 440, 603, 2)],
)
def test_a_long_position_under_each_policy(
    policy: str, cost: int, proceeds: int, open_cost: int, expensed: int
) -> None:
    holding = held(rules(policy=policy), [buy(1, "10", "100", fee="5"), sell(2, "4", "110", fee="2")])

    assert slices(holding) == [("T1", "T2", 4, proceeds, cost)]
    assert holding.realized_pnl == proceeds - cost
    assert numbers(holding.sign, holding.quantity, holding.cost.amount, holding.cost.gross) == (1, 6, open_cost, 600)
    assert numbers(holding.charges.all, holding.charges.expensed) == (7, expensed)


@pytest.mark.parametrize(
    ("policy", "proceeds", "cost", "open_cost", "expensed"),
    [("EXPENSED", 400, 360, 600, 7), ("IN_COST", 398, 362, 597, 0), ("BUY_IN_COST", 400, 362, 600, 5)],
)
def test_a_short_position_under_each_policy(
    policy: str, proceeds: int, cost: int, open_cost: int, expensed: int
) -> None:
    holding = held(rules(policy=policy), [sell(1, "10", "100", fee="5"), buy(2, "4", "90", fee="2")])

    assert slices(holding) == [("T1", "T2", 4, proceeds, cost)]
    assert holding.realized_pnl == proceeds - cost
    assert numbers(holding.sign, holding.quantity, holding.cost.amount, holding.cost.gross) == (-1, 6, open_cost, 600)
    assert numbers(holding.charges.all, holding.charges.expensed) == (7, expensed)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "fills",
    [
        [buy(1, "10", "100", fee="5"), sell(2, "4", "110", fee="2")],
        [sell(1, "10", "110", fee="5"), buy(2, "4", "100", fee="2")],
    ],
    ids=["long", "short"],
)
def test_the_net_result_is_the_same_under_each_policy(policy: str, fills: list[Fill]) -> None:
    holding = held(rules(policy=policy), fills)
    value = market_value(holding.sign * holding.quantity, Decimal(105), Decimal(1))

    unrealized = value - holding.sign * holding.cost.amount
    expensed = holding.charges.expensed or Decimal(0)

    assert holding.realized_pnl + unrealized - expensed == 63


@pytest.mark.parametrize(("policy", "cost", "expensed"), [("EXPENSED", 1000, -1), ("IN_COST", 999, 0)])
def test_a_rebate_is_a_negative_fee(policy: str, cost: int, expensed: int) -> None:
    holding = held(rules(policy=policy), [buy(1, "10", "100", fee="-1")])

    assert holding.cost.amount == cost
    assert numbers(holding.charges.all, holding.charges.expensed) == (-1, expensed)


@pytest.mark.parametrize(("policy", "cost", "expensed"), [("EXPENSED", 1998, 2), ("IN_COST", 2000, 0)])
def test_a_purchase_with_a_fee_in_its_units(policy: str, cost: int, expensed: int) -> None:
    holding = held(rules(policy=policy), [buy(1, "1", "2000", units="0.001")])

    assert numbers(holding.quantity, holding.cost.amount, holding.cost.gross) == (Decimal("0.999"), cost, 1998)
    assert numbers(holding.charges.all, holding.charges.expensed) == (2, expensed)


@pytest.mark.parametrize(("policy", "proceeds", "expensed"), [("EXPENSED", 2002, 2), ("IN_COST", 2000, 0)])
def test_a_sale_with_a_fee_in_its_units(policy: str, proceeds: int, expensed: int) -> None:
    holding = held(rules(policy=policy), [buy(1, "1.001", "1000"), sell(2, "1", "2000", units="0.001")])

    assert slices(holding) == [("T1", "T2", Decimal("1.001"), proceeds, 1001)]
    assert numbers(holding.quantity, holding.charges.expensed) == (0, expensed)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_fee_in_another_currency_is_expensed_under_each_policy(policy: str) -> None:
    fill = buy(1, "10", "100", other_fees=Decimal("0.9"), other_fees_base=Decimal("0.8"))

    holding = held(rules(policy=policy), [fill])

    assert holding.cost.amount == 1000
    assert holding.charges == (Decimal("0.9"), Decimal("0.9"), Decimal("0.8"), Decimal("0.8"))
