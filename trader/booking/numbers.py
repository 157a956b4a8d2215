"""How the book counts: precision, rounding, and decimals as text."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext

# Wide enough for a product of quantity, price, multiplier and factor to be exact.
CONTEXT = Context(prec=100, rounding=ROUND_HALF_EVEN)
PLACE = Decimal("1e-18")
PLACES = [Decimal(1).scaleb(-places) for places in range(19)]
ZERO = Decimal(0)
ONE = Decimal(1)


def exact() -> AbstractContextManager[Context]:
    """The context in which all of `trader.booking` computes; within it operators are exact to 100 digits."""
    return localcontext(CONTEXT)


def quantized(amount: Decimal) -> Decimal:
    """At 18 decimal places, half to even."""
    return amount.quantize(PLACE, ROUND_HALF_EVEN, CONTEXT)


def quantized_all(amounts: list[Decimal | None]) -> list[Decimal | None]:
    """Each at 18 places; as they are, which is quicker, where none of them has more."""
    # A sum has as many places as that of its parts that has the most.
    *_, exponent = sum(filter(None, amounts), ZERO).as_tuple()
    if isinstance(exponent, int) and exponent >= -18:
        return amounts
    return [each and each.quantize(PLACE) for each in amounts]


def rounded(amount: Decimal, minor_unit: int) -> Decimal:
    """At so many decimal places, half up (away from zero): what a currency's smallest amount allows."""
    return amount.quantize(PLACES[minor_unit], ROUND_HALF_UP, CONTEXT)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """The part of the amount that belongs to `part` of `whole`: all of it, not a rounding less, when that is all."""
    return amount if part == whole else (amount * part / whole).quantize(PLACE)


def total(*amounts: Decimal | None) -> Decimal | None:
    """The sum; None as soon as one of them is not known."""
    result = ZERO
    for amount in amounts:
        if amount is None:
            return None
        result += amount
    return result


def in_base(amount: Decimal, rate: Decimal | None) -> Decimal | None:
    """The amount at a rate, at 18 places; None where there is no rate, unless nothing is nothing at any."""
    if rate is None:
        return None if amount else ZERO
    return amount if rate == ONE else (amount * rate).quantize(PLACE)


def all_in_base(amounts: Iterable[Decimal | None], rates: Iterable[Decimal | None]) -> list[Decimal | None]:
    """The same of amounts of many days, each at its day's rate; None stays None."""
    converted = [
        amount and (None if rate is None else amount * rate) for amount, rate in zip(amounts, rates, strict=True)
    ]
    return quantized_all(converted)


def plain(number: Decimal) -> str:
    """1 for 1.000000000000, 0.00000001 for 1E-8; exact, whatever the precision of the context."""
    digits = f"{number:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits in ("-0", "") else digits
