"""What is known in the account's base currency, and what is not."""

from decimal import Decimal

import pytest

from tests.trader.booking.trades import buy, held, numbers, rules, sell

METHODS = ["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"]
RATED = Decimal("0.9")


def test_each_trade_counts_at_its_own_rate() -> None:
    fills = [buy(1, "10", "100", rate=Decimal("0.9")), sell(2, "4", "110", rate=Decimal("0.8"))]

    holding = held(rules(), fills)

    assert numbers(holding.realized_pnl, holding.realized_pnl_base) == (40, 4 * 88 - 4 * 90)
    assert numbers(holding.cost.amount, holding.cost_base) == (600, 540)


def test_fees_count_at_the_rate_of_their_trade() -> None:
    fills = [
        buy(1, "10", "100", fee="5", rate=Decimal("0.9")),
        buy(2, "10", "100", rate=Decimal("0.8"), other_fees=Decimal(3), other_fees_base=Decimal("2.5")),
    ]

    assert numbers(*held(rules("FIFO", "EXPENSED"), fills).charges) == (8, 8, 7, 7)
    assert numbers(*held(rules("FIFO", "IN_COST"), fills).charges) == (8, 3, 7, Decimal("2.5"))


@pytest.mark.parametrize("method", METHODS)
def test_without_a_rate_the_cost_is_not_known(method: str) -> None:
    holding = held(rules(method), [buy(1, "10", "100", rate=RATED), buy(2, "10", "100", rate=None)])

    assert holding.cost_base is None
    assert numbers(holding.cost.amount, holding.realized_pnl_base) == (2000, 0)


def test_without_a_rate_of_the_lot_its_result_is_not_known() -> None:
    holding = held(rules(), [buy(1, "10", "100", rate=None), sell(2, "10", "110", rate=RATED)])

    assert holding.realized_pnl == 100
    assert holding.realized_pnl_base is None


def test_without_a_rate_of_the_sale_its_result_is_not_known() -> None:
    holding = held(rules(), [buy(1, "10", "100", rate=RATED), sell(2, "4", "110", rate=None)])

    (match,) = holding.matches
    assert holding.realized_pnl_base is None
    assert numbers(match.proceeds.base, match.cost.base) == (None, 360)
    assert holding.cost_base == 540


def test_the_cost_is_known_again_once_the_lots_without_a_rate_are_closed() -> None:
    fills = [buy(1, "10", "100", rate=None), buy(2, "10", "200", rate=RATED), sell(3, "9", "1", rate=RATED)]
    holding = held(rules(), fills)
    before = holding.cost_base

    holding.record(sell(4, "2", "1", rate=RATED))

    assert before is None
    assert holding.cost_base == 9 * 180


def test_the_cost_is_not_known_while_one_lot_without_a_rate_is_open() -> None:
    fills = [buy(1, "10", "100", rate=None), buy(2, "10", "100", rate=None), sell(3, "10", "1", rate=RATED)]

    assert held(rules(), fills).cost_base is None


def test_results_of_lots_with_a_rate_are_known_beside_one_without() -> None:
    fills = [buy(1, "10", "100", rate=None), buy(2, "10", "200", rate=RATED), sell(3, "5", "220", rate=RATED)]

    holding = held(rules("LIFO"), fills)

    assert holding.cost_base is None
    assert holding.realized_pnl_base == 90


def test_a_pool_with_a_purchase_without_a_rate_is_not_known_until_it_is_flat() -> None:
    fills = [buy(1, "10", "100", rate=None), buy(2, "10", "200", rate=RATED), sell(3, "19", "1", rate=RATED)]
    holding = held(rules("AVERAGE"), fills)
    before = holding.cost_base

    holding.record(sell(4, "1", "1", rate=RATED))
    holding.record(buy(5, "1", "100", rate=RATED))

    assert before is None
    assert holding.cost_base == 90
    assert holding.realized_pnl_base is None


def test_what_a_crossing_opens_without_a_rate_is_not_known() -> None:
    holding = held(rules(), [buy(1, "10", "100", rate=RATED), sell(2, "15", "110", rate=None)])

    assert (holding.sign, holding.cost_base) == (-1, None)


def test_a_missing_rate_of_a_third_currency_hides_the_fees_alone() -> None:
    fill = buy(1, "10", "100", rate=RATED, other_fees=None, other_fees_base=None)

    holding = held(rules(), [fill])

    assert holding.charges == (None, None, None, None)
    assert numbers(holding.cost.amount, holding.cost_base) == (1000, 900)


def test_a_fee_in_base_currency_is_known_there_without_a_rate() -> None:
    fill = buy(1, "10", "100", rate=None, other_fees=None, other_fees_base=Decimal(5))

    holding = held(rules(), [fill])

    assert numbers(*holding.charges) == (None, None, 5, 5)


def test_a_fee_too_small_for_the_trade_s_currency_counts_in_base_currency() -> None:
    fill = buy(1, "10", "100", rate=RATED, other_fees=Decimal(0), other_fees_base=Decimal("1e-18"))

    holding = held(rules(), [fill])

    assert numbers(*holding.charges) == (0, 0, Decimal("1e-18"), Decimal("1e-18"))


def test_fees_in_cost_leave_nothing_expensed_without_a_rate() -> None:
    holding = held(rules(policy="IN_COST"), [buy(1, "10", "100", fee="5", rate=None)])

    assert numbers(*holding.charges) == (5, 0, None, 0)


def test_what_was_had_for_nothing_needs_no_rate() -> None:
    holding = held(rules(), [buy(1, "10", "0", rate=None), sell(2, "5", "100", rate=RATED)])

    assert numbers(holding.cost_base, holding.realized_pnl_base) == (0, 450)


def test_trades_without_fees_have_known_fees_without_a_rate() -> None:
    holding = held(rules(), [buy(1, "10", "100", rate=None)])

    assert numbers(*holding.charges) == (0, 0, 0, 0)
