"""Legs as tests write them down."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from trader.booking.postings import Leg, Settlement, trade_legs

Amounts = dict[tuple[str, str], Decimal]

MINOR_UNITS = {"USD": 2, "CHF": 2, "EUR": 2, "JPY": 0, "KWD": 3, "ETH": 18}


def booked(legs: Iterable[Leg]) -> Amounts:
    """The amounts by account; each has one leg at most."""
    legs = list(legs)
    amounts = {(kind, currency): amount for kind, currency, amount in legs}
    assert len(amounts) == len(legs)
    return amounts


def traded(
    sign: int,
    gross: str,
    *,
    currency: str = "USD",
    fees: Sequence[tuple[str, str]] = (),
    units_value: str = "0",
    settlement: Settlement | None = None,
) -> Amounts:
    legs = trade_legs(
        sign=sign,
        currency=currency,
        gross=Decimal(gross),
        fees=[(paid_in, Decimal(amount)) for paid_in, amount in fees],
        units_value=Decimal(units_value),
        settlement=settlement,
        minor_units=MINOR_UNITS,
    )
    return booked(legs)
