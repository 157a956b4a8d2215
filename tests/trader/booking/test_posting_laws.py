"""What holds for the legs of every event. Sums are fractions, which round nowhere."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.trader.booking.postings import MINOR_UNITS, Amounts, booked
from trader.booking.postings import CASH_EVENTS, Leg, Settlement, cash_legs, exchange_legs, trade_legs

CURRENCIES = st.sampled_from(sorted(MINOR_UNITS))
# Ordinary ones, those that lie between two cents, and the longest of all.
UNSIGNED = st.one_of(
    st.integers(0, 10**9).map(lambda digits: Decimal(f"{digits}e-3")),
    st.integers(0, 10**38 - 1).map(lambda digits: Decimal(f"{digits}e-18")),
)
AMOUNTS = st.builds(Decimal.copy_sign, UNSIGNED, st.sampled_from([Decimal(1), Decimal(-1)]))
RATES = st.integers(1, 10**16).map(lambda digits: Decimal(f"{digits}e-12"))


class Trade(NamedTuple):
    sign: int
    currency: str
    gross: Decimal
    fees: list[tuple[str, Decimal]]
    units_value: Decimal
    settlement: Settlement | None

    def legs(self) -> list[Leg]:
        return trade_legs(**self._asdict(), minor_units=MINOR_UNITS)

    def contrary(self) -> "Trade":
        fees = [(currency, amount.copy_negate()) for currency, amount in self.fees]
        return self._replace(sign=-self.sign, fees=fees, units_value=self.units_value.copy_negate())


TRADES = st.builds(
    Trade,
    sign=st.sampled_from([1, -1]),
    currency=CURRENCIES,
    gross=UNSIGNED,
    fees=st.lists(st.tuples(CURRENCIES, AMOUNTS), max_size=3),
    units_value=st.just(Decimal(0)) | AMOUNTS,
    settlement=st.none() | st.builds(Settlement, CURRENCIES, st.none() | UNSIGNED, RATES),
)
EVENTS = st.one_of(
    TRADES.map(Trade.legs),
    st.builds(cash_legs, st.sampled_from(sorted(CASH_EVENTS)), CURRENCIES, AMOUNTS, st.just(MINOR_UNITS)),
    st.builds(exchange_legs, st.tuples(CURRENCIES, UNSIGNED), st.tuples(CURRENCIES, UNSIGNED), st.just(MINOR_UNITS)),
)


def negative(legs: list[Leg]) -> Amounts:
    return {(kind, currency): amount.copy_negate() for kind, currency, amount in legs}


@given(EVENTS)
def test_legs_sum_to_zero_in_each_currency(legs: list[Leg]) -> None:
    sums = defaultdict[str, Fraction](Fraction)
    for (_, currency), amount in booked(legs).items():
        sums[currency] += Fraction(amount)

    assert not any(sums.values())


@given(EVENTS)
def test_each_leg_is_something_at_its_minor_unit(legs: list[Leg]) -> None:
    for leg in legs:
        assert leg.amount
        assert (Fraction(leg.amount) * 10 ** MINOR_UNITS[leg.currency]).denominator == 1


@given(TRADES)
def test_the_contrary_trade_posts_the_exact_negative(trade: Trade) -> None:
    assert booked(trade.contrary().legs()) == negative(trade.legs())


@given(st.sampled_from(sorted(CASH_EVENTS)), CURRENCIES, AMOUNTS)
def test_money_taken_back_posts_the_exact_negative(kind: str, currency: str, amount: Decimal) -> None:
    taken_back = cash_legs(kind, currency, amount.copy_negate(), MINOR_UNITS)

    assert booked(taken_back) == negative(cash_legs(kind, currency, amount, MINOR_UNITS))


@given(st.tuples(CURRENCIES, UNSIGNED), st.tuples(CURRENCIES, UNSIGNED))
def test_an_exchange_back_posts_the_exact_negative(bought: tuple[str, Decimal], sold: tuple[str, Decimal]) -> None:
    back = exchange_legs(sold, bought, MINOR_UNITS)

    assert booked(back) == negative(exchange_legs(bought, sold, MINOR_UNITS))
