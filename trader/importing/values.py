"""What is written in one cell, read exactly: numbers, times, names. What is not understood is never guessed."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from trader.booking.numbers import CONTEXT, ZERO

LONGEST_NUMBER = 100
# Of ASCII digits alone: Decimal() takes those of every script, and underscores, NaN and Infinity too.
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
WHOLE = re.compile(r"[0-9]{1,9}")
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?P<time>[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
FIRST_YEAR, LAST_YEAR = 1900, 2200
MIC = re.compile(r"[A-Z0-9]{4}")
ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
CURRENCY = re.compile(r"[A-Z][A-Z0-9]{2,9}")
# Where commas may be decimal ones: what can be meant in one way alone. Groups are of three digits.
GROUPED = re.compile(r"([+-]?[0-9]{1,3})(?:(,[0-9]{3})+(?:\.[0-9]+)?|(\.[0-9]{3})+(?:,[0-9]+)?)")
ONE_MARK = re.compile(r"[+-]?[0-9]*[.,][0-9]*")
EITHER_WAY = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")


class Unreadable(ValueError):
    """A cell holds what its column takes. The message says what that is."""


class Moment(NamedTuple):
    """A time as it was written: without an offset, it is a local one of a zone that its row does not name."""

    at: datetime
    is_date: bool
    # The trade date, where that is told besides.
    day: date | None = None

    def placed(self, zone: ZoneInfo) -> tuple[datetime, date]:
        """The instant, in UTC, and its date in the zone. Raises Unreadable for a time that its clocks skip."""
        if self.at.tzinfo:
            return self.at.astimezone(UTC), self.day or self.at.astimezone(zone).date()
        instant = self.at.replace(tzinfo=zone).astimezone(UTC)
        if not self.is_date and instant.astimezone(zone).replace(tzinfo=None) != self.at:
            raise Unreadable(f"a time that the clocks of {zone} show")
        return instant, self.day or self.at.date()

    def __str__(self) -> str:
        return (self.at.astimezone(UTC) if self.at.tzinfo else self.at).isoformat()


class Ratio(NamedTuple):
    numerator: int
    denominator: int

    def __str__(self) -> str:
        return f"{self.numerator}:{self.denominator}"


class Selection(NamedTuple):
    """So many units of the lot that a trade opened, which is named by its external ID."""

    external_id: str
    quantity: Decimal

    def __str__(self) -> str:
        return f"{self.external_id}:{self.quantity}"


class Selections(tuple[Selection, ...]):
    """Of different lots."""

    __slots__ = ()

    def __str__(self) -> str:
        return ";".join(map(str, self))


def number(text: str, *, places: int, digits: int) -> Decimal:
    """Of at most so many decimal places, and so many digits before the point; without trailing zeros."""
    if len(text) > LONGEST_NUMBER or not NUMBER.fullmatch(text):
        raise Unreadable("a number such as -1234.56, without thousands separators")
    value = Decimal(text).normalize(CONTEXT)
    if not value:
        return ZERO
    if value.adjusted() >= digits:
        raise Unreadable(f"a number under 1e{digits}")
    if -int(value.as_tuple().exponent) > places:
        raise Unreadable(f"at most {places} decimal places")
    return value


def delocalized(text: str) -> str:
    """The number with a decimal point and without thousands separators, whichever of the two its commas are."""
    if EITHER_WAY.fullmatch(text):
        plain = re.sub(r"[.,]", "", text)
        raise Unreadable(f"{plain}, or {text.replace(',', '.')}0: which of the two is meant cannot be told")
    if ONE_MARK.fullmatch(text):
        return text.replace(",", ".")
    if GROUPED.fullmatch(text):
        mark = max(",.", key=text.rfind)
        groups = "," if mark == "." else "."
        if text.count(mark) > 1:
            return text.replace(mark, "")
        return text.replace(groups, "").replace(mark, ".")
    return text


def quantity(text: str) -> Decimal:
    return positive(number(text, places=18, digits=18))


def price(text: str) -> Decimal:
    """Of any number of places: whether they are too many, the gross amount tells."""
    return not_negative(number(text, places=LONGEST_NUMBER, digits=16))


def amount(text: str) -> Decimal:
    return number(text, places=18, digits=20)


def gross_amount(text: str) -> Decimal:
    return not_negative(amount(text))


def nonzero_amount(text: str) -> Decimal:
    value = amount(text)
    if not value:
        raise Unreadable("an amount other than 0")
    return value


def positive_amount(text: str) -> Decimal:
    return positive(amount(text))


def fee(text: str) -> Decimal:
    return number(text, places=18, digits=18)


def rate(text: str) -> Decimal:
    return positive(number(text, places=12, digits=12))


def positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise Unreadable("a number over 0")
    return value


def not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise Unreadable("a number without a sign: the side gives it its own")
    return value


def ratio(text: str) -> Ratio:
    parts = text.split(":")
    if len(parts) != 2 or not all(WHOLE.fullmatch(part) and int(part) for part in parts):
        raise Unreadable("new units for old ones, such as 4:1")
    return Ratio(int(parts[0]), int(parts[1]))


def moment(text: str) -> Moment:
    found = TIME.fullmatch(text)
    if not found:
        raise Unreadable("a date or time such as 2025-01-31, 2025-01-31T09:30:00 or 2025-01-31T09:30:00+01:00")
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unreadable("a date and time that exist") from error
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise Unreadable(f"a year from {FIRST_YEAR} to {LAST_YEAR}")
    return Moment(at, found["time"] is None)


def mic(text: str) -> str:
    return _matching(MIC, text, "a MIC (ISO 10383) such as XSWX")


def isin(text: str) -> str:
    return _matching(ISIN, text, "an ISIN such as CH0038863350")


def currency(text: str) -> str:
    return _matching(CURRENCY, text, "a code of capital letters and digits, such as CHF or BTC")


def symbol(text: str) -> str:
    return _name(text, 64)


def external_id(text: str) -> str:
    return _name(text, 128)


def title(text: str) -> str:
    """A name for people to read, of which as much is kept as the book has room for."""
    return "".join(filter(str.isprintable, text))[:200]


def selections(text: str) -> Selections:
    """Of `external_id:quantity;...`; an ID may itself contain a colon."""
    parts = [part.strip().rpartition(":") for part in text.split(";") if part.strip()]
    if not parts or not all(name for name, _, _ in parts):
        raise Unreadable("lots such as T1:10;T2:5")
    chosen = Selections(Selection(external_id(name.strip()), quantity(count.strip())) for name, _, count in parts)
    if len({selection.external_id for selection in chosen}) < len(chosen):
        raise Unreadable("each lot once")
    return chosen


def _matching(pattern: re.Pattern[str], text: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise Unreadable(expected)
    return text


def _name(text: str, longest: int) -> str:
    if len(text) > longest or not text.isprintable():
        raise Unreadable(f"at most {longest} printable characters")
    if text.startswith("="):
        raise Unreadable("what the formula stands for, not the formula")
    return text
