from datetime import date
from decimal import Decimal

import pytest

from tests.trader.booking.trades import split
from trader.booking.figures import avg_px, market_value, price_on

FIRST, SECOND, THIRD = date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)


@pytest.mark.parametrize(
    ("gross", "quantity", "unit", "expected"),
    [
        ("1000", "10", "1", "100"),
        ("1000", "-10", "1", "100"),
        ("250.5", "100", "0.01", "250.5"),
        ("600037.5", "-3", "50", "4000.25"),
        ("10", "3", "1", "3.333333333333333333"),
        ("1260000000000", "1e17", "1", "0.0000126"),
    ],
)
def test_the_average_price_is_in_quotation_units(gross: str, quantity: str, unit: str, expected: str) -> None:
    assert avg_px(Decimal(gross), Decimal(quantity), Decimal(unit)) == Decimal(expected)


def test_the_average_price_is_nothing_when_flat() -> None:
    assert avg_px(Decimal(0), Decimal(0), Decimal(1)) == 0


@pytest.mark.parametrize(
    ("quantity", "price", "unit", "expected"),
    [
        ("100", "250.5", "0.01", "250.5"),
        ("-3", "4000.25", "50", "-600037.5"),
        ("1e17", "0.0000126", "1", "1260000000000"),
        ("1e-18", "1.5", "1", "0.000000000000000002"),
        ("123456789012345678.123456789012345678", "1", "1", "123456789012345678.123456789012345678"),
    ],
)
def test_market_value_has_eighteen_places(quantity: str, price: str, unit: str, expected: str) -> None:
    assert market_value(Decimal(quantity), Decimal(price), Decimal(unit)) == Decimal(expected)


def test_an_unadjusted_price_is_carried_through_the_splits_since() -> None:
    splits = [split(2, 4, 1), split(3, 1, 2)]

    assert price_on(Decimal(100), FIRST, FIRST, splits, adjusted=False) == 100
    assert price_on(Decimal(100), FIRST, SECOND, splits, adjusted=False) == 25
    assert price_on(Decimal(100), FIRST, THIRD, splits, adjusted=False) == 50


def test_a_price_of_the_ex_date_is_one_after_the_split() -> None:
    assert price_on(Decimal(25), SECOND, THIRD, [split(2, 4, 1)], adjusted=False) == 25


def test_an_adjusted_price_is_carried_back_through_the_splits_to_come() -> None:
    splits = [split(2, 4, 1), split(3, 1, 2)]

    assert price_on(Decimal(50), FIRST, FIRST, splits, adjusted=True) == 100
    assert price_on(Decimal(50), FIRST, SECOND, splits, adjusted=True) == 25
    assert price_on(Decimal(50), FIRST, THIRD, splits, adjusted=True) == 50
