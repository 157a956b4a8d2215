"""Currencies by their codes: what is not delivered and may be a coin is made when it is first named."""

import re

from trader.models import Currency

# ISO 4217 gives these no minor unit, so there is no smallest amount that could be booked.
WITHOUT_MINOR_UNIT = frozenset(
    {"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"}
)
# Quotation units, by the currency that is meant.
HUNDREDTHS = {"GBX": "GBP", "ILA": "ILS", "ZAC": "ZAR"}
COIN_PLACES = 8
CODE = re.compile(r"[A-Z][A-Z0-9]{2,9}")


class CurrencyUnusable(ValueError):
    """The book counts in currencies that have a smallest amount."""


def currency_named(code: str) -> Currency:
    """The currency, or a new coin of 8 places. Raises CurrencyUnusable for a code that is new and cannot be one."""
    known = Currency.objects.filter(code=code).first()
    if known:
        return known
    if code in WITHOUT_MINOR_UNIT:
        raise CurrencyUnusable(f"a currency with a minor unit: ISO 4217 gives {code} none")
    if code in HUNDREDTHS:
        raise CurrencyUnusable(
            f"{HUNDREDTHS[code]}: {code} is a hundredth of it, which a price quotation factor of 0.01 says"
        )
    if not CODE.fullmatch(code):
        raise CurrencyUnusable("a code of 3 to 10 capital letters and digits, a letter first")
    return Currency.objects.get_or_create(code=code, defaults={"minor_unit": COIN_PLACES})[0]
