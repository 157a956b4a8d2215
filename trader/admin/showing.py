"""How the pages show numbers and times: as they are entered, whatever a column could hold."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.postgres.fields import DateRangeField
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.backends.postgresql.psycopg_any import DateRange
from django.db.models.fields.generated import GeneratedField
from django.urls import reverse
from django.utils import timezone

from trader.booking.numbers import plain

Column = str | Callable[[Any], Any]

NOTHING = "-"


def plainly(model: type[models.Model], columns: Iterable[Any]) -> list[Any]:
    """The columns and fields of a page; those of numbers, dates and times as functions that show them plainly."""
    return [_plain_column(model, column) if isinstance(column, str) else column for column in columns]


def list_of(model: type[models.Model], **values: Any) -> str:
    """The list of the rows that have these values."""
    page = reverse(f"admin:{name_of(model, 'changelist')}")
    return f"{page}?{urlencode(values)}"


def page_of(model: type[models.Model], key: Any, name: str = "change") -> str:
    """A page of one row."""
    return reverse(f"admin:{name_of(model, name)}", args=[quote(key)])


def name_of(model: type[models.Model], page: str) -> str:
    """Of a URL of the model's."""
    return f"{model._meta.app_label}_{model._meta.model_name}_{page}"


# The same function for the same column: the admin compares them.
@cache
def _plain_column(model: type[models.Model], name: str) -> Column:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return name
    shown = field.output_field if isinstance(field, GeneratedField) else field
    if not isinstance(shown, models.DecimalField | models.DateField | DateRangeField):
        return name

    @admin.display(description=shown.verbose_name, ordering=name)
    def column(row: models.Model) -> str:
        return _text(getattr(row, name))

    column.__name__ = name
    return column


def _text(value: Any) -> str:
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return str(timezone.localtime(value).replace(tzinfo=None))
        case date():
            return str(value)
        case DateRange():
            return f"{value.lower or ''} to {value.upper or ''}".strip()
    return NOTHING
