"""Values for a field that nobody has given one: plausible, within its limits, and unlike from row to row."""

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models

FIRST_DAY = date(2024, 1, 1)
FIRST_MOMENT = datetime(2024, 1, 1, 9, 30, tzinfo=UTC)
LONGEST_TEXT = 200
# The largest values of the integer types, by the names of Django's fields.
LARGEST = {
    "SmallIntegerField": 2**15 - 1,
    "PositiveSmallIntegerField": 2**15 - 1,
    "SmallAutoField": 2**15 - 1,
    "IntegerField": 2**31 - 1,
    "PositiveIntegerField": 2**31 - 1,
    "AutoField": 2**31 - 1,
    "BigIntegerField": 2**63 - 1,
    "PositiveBigIntegerField": 2**63 - 1,
    "BigAutoField": 2**63 - 1,
}

Making = Callable[[Any, int], Any]


def value_of(field: Any, number: int) -> Any:
    """Another one for another number, which is 1 or more; None where nothing is known of such a field.

    Of a foreign key it is a value of the key that it refers to.
    """
    if choices := choices_of(field):
        return choices[number % len(choices)]
    target = target_of(field)
    names = [*(each.__name__ for each in type(target).__mro__), target.get_internal_type()]
    making = next((MAKING[name] for name in names if name in MAKING), None)
    if making:
        return making(target, number)
    return field.get_default() if field.has_default() else None


def widest(field: Any) -> Any:
    """The value that needs most of the column's type: the longest text, the largest number."""
    target = target_of(field)
    kind = target.get_internal_type()
    if kind in LARGEST:
        return LARGEST[kind]
    if kind == "DecimalField" and target.max_digits:
        places = target.decimal_places
        return Decimal(f"{'9' * (target.max_digits - places) or '0'}.{'9' * places}")
    if choices := choices_of(field):
        return max(choices, key=lambda choice: len(str(choice)))
    if kind in TEXTS and not field.choices:
        return "x" * (target.max_length or LONGEST_TEXT)
    return value_of(field, 1)


def target_of(field: Any) -> Any:
    """The field itself, or the one at the end of a foreign key."""
    while field.remote_field and hasattr(field, "target_field") and field.target_field is not field:
        field = field.target_field
    return field


def choices_of(field: Any) -> list[Any]:
    """The values that a field may have by its choices, without those that stand for nothing."""
    return [choice for choice in _flat(field.choices or ()) if choice not in (None, "")]


def _flat(choices: Any) -> Iterator[Any]:
    for value, label in choices:
        if isinstance(label, list | tuple):
            yield from _flat(label)
        else:
            yield value


def _text(field: Any, number: int) -> str:
    return _fitting(field, f"{field.name} {number}")


def _fitting(field: Any, text: str) -> str:
    """The end of it, which tells one from another."""
    return text[-field.max_length :] if field.max_length else text


def _slug(field: Any, number: int) -> str:
    return _fitting(field, f"{field.name.replace('_', '-')}-{number}")


def _email(field: Any, number: int) -> str:
    return _fitting(field, f"someone{number}@example.org")


def _url(field: Any, number: int) -> str:
    address = f"https://example.org/{number}"
    return address if not field.max_length or field.max_length >= len(address) else _text(field, number)


def _decimal(field: Any, number: int) -> Decimal:
    digits, places = field.max_digits or 20, field.decimal_places or 0
    return (Decimal(number) * Decimal("1.25") % Decimal(10) ** (digits - places)).quantize(Decimal(10) ** -places)


def _moment(_: Any, number: int) -> datetime:
    moment = FIRST_MOMENT + timedelta(days=number, minutes=number)
    return moment if settings.USE_TZ else moment.replace(tzinfo=None)


def _json(field: Any, number: int) -> Any:
    return field.get_default() if field.has_default() else {field.name: number}


def _array(field: Any, number: int) -> list[Any]:
    base = field.base_field
    base.name = base.name or field.name
    return [value_of(base, number + place) for place in range(field.size or 2)]


def _uuid(field: Any, number: int) -> uuid.UUID:
    return uuid.UUID(int=random.Random(f"{field} {number}").getrandbits(128), version=4)  # noqa: S311  # no secret


def _range(making: Making) -> Making:
    number_field = models.DecimalField()

    def make(field: Any, number: int) -> Any:
        return field.range_type(making(number_field, 2 * number), making(number_field, 2 * number + 1))

    return make


def _day(_: Any, number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


# By what Django's fields call themselves; a subclass of one goes by its name.
MAKING: dict[str, Making] = {
    "BinaryField": lambda _, number: f"bytes {number}".encode(),
    "BooleanField": lambda _, number: number % 2 == 0,
    "CharField": _text,
    "DateField": _day,
    "DateTimeField": _moment,
    "DecimalField": _decimal,
    "DurationField": lambda _, number: timedelta(minutes=number),
    "EmailField": _email,
    "FileField": lambda field, number: _fitting(field, f"made-up/{number}.txt"),
    "FilePathField": lambda field, number: _fitting(field, f"/made-up/{number}.txt"),
    "FloatField": lambda _, number: number + 0.5,
    "GenericIPAddressField": lambda _, number: f"192.0.2.{number % 256}",
    "HStoreField": lambda field, number: {field.name: str(number)},
    "IPAddressField": lambda _, number: f"192.0.2.{number % 256}",
    "ImageField": lambda field, number: _fitting(field, f"made-up/{number}.png"),
    "JSONField": _json,
    "ArrayField": _array,
    "SlugField": _slug,
    "TextField": _text,
    "TimeField": lambda _, number: time(number % 24, number % 60),
    "URLField": _url,
    "UUIDField": _uuid,
    **dict.fromkeys(LARGEST, lambda _, number: number),
    "IntegerRangeField": _range(lambda _, number: number),
    "BigIntegerRangeField": _range(lambda _, number: number),
    "DecimalRangeField": _range(_decimal),
    "DateRangeField": _range(_day),
    "DateTimeRangeField": _range(_moment),
}
TEXTS = {"CharField", "EmailField", "FileField", "FilePathField", "ImageField", "SlugField", "TextField", "URLField"}
