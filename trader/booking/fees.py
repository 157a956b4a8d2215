"""What a fill counts with: its fees taken into quantity and money as their kind and the account's policy say."""

from decimal import Decimal
from typing import NamedTuple

from trader.booking.numbers import CONTEXT, ZERO, exact, plain, quantized

BUY, SELL = 1, -1


class Counted(NamedTuple):
    """A trade with its fees in units of the instrument worked in; all of it in the trade's currency, at 18 places.

    `units_value` is what those units are worth, and a part of `fees`.
    """

    quantity: Decimal
    gross: Decimal
    fees: Decimal
    units_value: Decimal


class UnitsExceedPurchase(ValueError):
    """A fee in units of the instrument leaves something of what was traded."""


def gross_amount(quantity: Decimal, price: Decimal, unit: Decimal) -> Decimal:
    """Quantity x price x unit, exact; `unit` is multiplier x price quotation factor."""
    return CONTEXT.multiply(CONTEXT.multiply(quantity, price), unit)


def counted(sign: int, quantity: Decimal, gross: Decimal, fees: Decimal, units: Decimal) -> Counted:
    """Work a fee of `units` of the instrument into a trade of `quantity` for `gross`; raises UnitsExceedPurchase.

    The units are worth V = gross x units / quantity. A buy brings in that much less for that much less money, a sale
    takes out that much more for that much more; V joins the fees.
    """
    gross = quantized(gross)
    if not units:
        return Counted(quantity, gross, fees, ZERO)
    with exact():
        if sign * units >= quantity:
            raise UnitsExceedPurchase(
                f"A fee of {plain(units)} units leaves nothing of the {plain(quantity)} that were traded."
            )
        value = quantized(gross * units / quantity)
        return Counted(quantity - sign * units, gross - sign * value, fees + value, value)


def money(policy: str, sign: int, gross: Decimal, fees: Decimal) -> Decimal:
    """What a fill counts with in lots and P&L under EXPENSED, IN_COST or BUY_IN_COST, long or short alike."""
    if policy == "EXPENSED" or (policy == "BUY_IN_COST" and sign == SELL):
        return gross
    return CONTEXT.add(gross, fees) if sign == BUY else CONTEXT.subtract(gross, fees)
