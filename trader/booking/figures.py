"""Figures that are computed from a holding and a price, and never stored."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from trader.booking.holding import Split
from trader.booking.numbers import ZERO, exact, quantized, quantized_all


def avg_px(gross: Decimal, quantity: Decimal, unit: Decimal) -> Decimal:
    """The fee-free average of what is open, in quotation units; `unit` is multiplier x factor. 0 when flat."""
    with exact():
        return quantized(gross / (abs(quantity) * unit)) if quantity else ZERO


def market_value(quantity: Decimal, price: Decimal, unit: Decimal) -> Decimal:
    """Negative when short; at 18 places."""
    with exact():
        return quantized(quantity * price * unit)


def market_values(
    quantities: Sequence[Decimal], prices: Sequence[Decimal | None], unit: Decimal
) -> list[Decimal | None]:
    """The same of many days; None where there is something, and no price."""
    with exact():
        unit = unit.normalize()
        values = [
            ZERO if not quantity else None if price is None else quantity * price * unit
            for quantity, price in zip(quantities, prices, strict=True)
        ]
        return quantized_all(values)


def price_on(price: Decimal, quoted: date, on: date, splits: Iterable[Split], *, adjusted: bool) -> Decimal:
    """A price as if quoted on another day: an unadjusted one is carried through the splits since, one that its source
    restates after each split is carried back through those that come after `on`."""
    with exact():
        for split in splits:
            if not adjusted and quoted < split.ex_date <= on:
                price = price * split.denominator / split.numerator
            elif adjusted and split.ex_date > on:
                price = price * split.numerator / split.denominator
        return price
