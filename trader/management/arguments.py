"""What the book's commands take: names of accounts and instruments, prices, rates, days. A wrong one exits 2."""

import getpass
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.management.base import CommandError
from django.utils import timezone

from trader.importing import values
from trader.models import Account, Instrument, PriceBar
from trader.operations.instruments import InstrumentAmbiguous, InstrumentUnknown, find_instrument

Value = TypeVar("Value")

TIMEFRAME = re.compile(r"[1-9][0-9]*[a-z]+")


def account(code: str) -> Account:
    """Raises CommandError."""
    found = Account.objects.select_related("base_currency").filter(code=code).first()
    if found is None:
        known = ", ".join(Account.objects.order_by("code").values_list("code", flat=True)[:10]) or "none yet"
        raise CommandError(f"There is no account {code}. Accounts: {known}. `account create` makes one.", returncode=2)
    return found


def instrument(name: str) -> Instrument:
    """Raises CommandError."""
    try:
        return find_instrument(name)
    except (InstrumentUnknown, InstrumentAmbiguous) as error:
        raise CommandError(str(error), returncode=2) from error


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no date such as 2026-01-31") from error


def today(account: Account) -> date:
    """Where the account is."""
    return account.date_of(timezone.now())


def mark(text: str) -> tuple[str, Decimal]:
    """SYMBOL.MIC=PRICE; the symbol may have signs of its own."""
    name, sign, number = text.rpartition("=")
    if not sign:
        raise ArgumentTypeError(f"{text!r} is not of the form SYMBOL.MIC=PRICE, such as NESN.XSWX=88.5")
    return name, _read(values.price, number, text)


def rate(text: str) -> tuple[tuple[str, str], Decimal]:
    """BASE/QUOTE=RATE."""
    base, slash, rest = text.partition("/")
    quote, sign, number = rest.partition("=")
    if not (slash and sign):
        raise ArgumentTypeError(f"{text!r} is not of the form BASE/QUOTE=RATE, such as USD/CHF=0.91")
    currencies = (_read(values.currency, base, text), _read(values.currency, quote, text))
    return currencies, _read(values.rate, number, text)


def year(text: str) -> int:
    if not (text.isdecimal() and values.FIRST_YEAR <= int(text) <= values.LAST_YEAR):
        raise ArgumentTypeError(f"{text!r} is no year from {values.FIRST_YEAR} to {values.LAST_YEAR}")
    return int(text)


def timeframe(text: str) -> str:
    longest = PriceBar._meta.get_field("timeframe").max_length or 0
    if not TIMEFRAME.fullmatch(text) or len(text) > longest:
        raise ArgumentTypeError(f"{text!r} is no timeframe such as 1d, 1h or 5m, of at most {longest} characters")
    return text


def price_source(text: str) -> str:
    longest = PriceBar._meta.get_field("source").max_length or 0
    if not text.strip() or not text.isprintable() or len(text) > longest:
        raise ArgumentTypeError(f"{text!r} is no name of 1 to {longest} printable characters")
    return text


def positive(text: str) -> Decimal:
    return _read(values.quantity, text, text)


def actor() -> str:
    """Who runs the command: the name of the system's user, which a container need not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _read(reader: Callable[[str], Value], text: str, whole: str) -> Value:
    try:
        return reader(text)
    except values.Unreadable as error:
        raise ArgumentTypeError(f"in {whole!r}, {text!r} is not {error}") from error


def explained(error: Exception) -> str:
    """What is wrong with which field."""
    if isinstance(error, ValidationError) and hasattr(error, "error_dict"):
        parts = [(field, " ".join(messages)) for field, messages in error.message_dict.items()]
        return "\n".join(said if field == NON_FIELD_ERRORS else f"{field}: {said}" for field, said in parts)
    return str(error)
