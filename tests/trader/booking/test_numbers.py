from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.booking.numbers import (
    all_in_base,
    exact,
    in_base,
    plain,
    quantized,
    quantized_all,
    rounded,
    share,
    total,
)


def test_eighteen_places_are_kept_half_to_even() -> None:
    assert quantized(Decimal("0.0000000000000000005")) == 0
    assert quantized(Decimal("0.0000000000000000015")) == Decimal("2e-18")
    assert quantized(Decimal("-0.0000000000000000025")) == Decimal("-2e-18")


def test_the_widest_number_keeps_all_its_digits() -> None:
    widest = Decimal("99999999999999999999.999999999999999999")

    assert quantized(widest) == widest


@pytest.mark.parametrize(
    ("amount", "minor_unit", "expected"),
    [
        ("0.005", 2, "0.01"),
        ("-0.005", 2, "-0.01"),
        ("0.0049999", 2, "0.00"),
        ("149.5", 0, "150"),
        ("-150.5", 0, "-151"),
        ("1.0005", 3, "1.001"),
        ("12345678901234567890.123456789012345678", 18, "12345678901234567890.123456789012345678"),
    ],
)
def test_the_minor_unit_is_rounded_half_up_away_from_zero(amount: str, minor_unit: int, expected: str) -> None:
    assert str(rounded(Decimal(amount), minor_unit)) == expected


def test_all_of_an_amount_is_its_share_without_rounding() -> None:
    third = Decimal(1) / 3

    with exact():
        assert share(third, Decimal(7), Decimal(7)) == third
        assert share(Decimal(10), Decimal(1), Decimal(3)) == Decimal("3.333333333333333333")


def test_a_share_is_rounded_half_to_even() -> None:
    with exact():
        assert share(Decimal("5e-18"), Decimal(1), Decimal(2)) == Decimal("2e-18")
        assert share(Decimal("7e-18"), Decimal(1), Decimal(2)) == Decimal("4e-18")


def test_products_of_the_widest_numbers_are_exact() -> None:
    quantity, price = Decimal("999999999999999999.999999999999999999"), Decimal("9999999999999999.999999999999")

    with exact():
        product = quantity * price

    assert Fraction(product) == Fraction(quantity) * Fraction(price)


def test_a_sum_is_not_known_when_a_part_is_not() -> None:
    assert total(Decimal(1), Decimal("2.5")) == Decimal("3.5")
    assert total(Decimal(1), None, Decimal(2)) is None


def test_without_a_rate_an_amount_is_not_known_in_base_currency() -> None:
    assert in_base(Decimal(1), None) is None


def test_nothing_is_nothing_at_any_rate() -> None:
    assert in_base(Decimal(0), None) == 0


def test_an_amount_in_base_currency_has_eighteen_places() -> None:
    with exact():
        assert in_base(Decimal("0.000000000000000003"), Decimal("0.5")) == Decimal("2e-18")


@given(amounts=st.lists(st.none() | st.decimals(-1000, 1000, places=30) | st.decimals(-1000, 1000, places=6)))
def test_many_amounts_are_rounded_as_one_is(amounts: list[Decimal | None]) -> None:
    with exact():
        assert quantized_all(amounts) == [None if each is None else quantized(each) for each in amounts]


@given(
    pairs=st.lists(
        st.tuples(
            st.none() | st.decimals(-1000, 1000, places=18),
            st.none() | st.decimals(Decimal("0.000001"), 1000, places=12) | st.just(Decimal(1)),
        )
    )
)
def test_many_amounts_are_converted_as_one_is(pairs: list[tuple[Decimal | None, Decimal | None]]) -> None:
    amounts, rates = [amount for amount, _ in pairs], [rate for _, rate in pairs]

    with exact():
        expected = [None if amount is None else in_base(amount, rate) for amount, rate in pairs]
        assert all_in_base(amounts, rates) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1.000000000000", "1"),
        ("1E-8", "0.00000001"),
        ("1E+17", "100000000000000000"),
        ("1200", "1200"),
        ("-0.00", "0"),
        ("-0.0000126000", "-0.0000126"),
        ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
    ],
)
def test_a_number_is_written_without_exponent_or_trailing_zeros(number: str, expected: str) -> None:
    assert plain(Decimal(number)) == expected
