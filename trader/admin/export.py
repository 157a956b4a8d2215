"""A list as CSV: all rows of its filters and its search, in the columns that it shows, after the key."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import lookup_field
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models
from django.db.backends.postgresql.psycopg_any import DateRange
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from django.utils.text import slugify

from trader.admin.showing import list_of, name_of
from trader.booking.numbers import plain

# No transaction lasts from one to the next, so that no snapshot and no lock does, however slowly the file is taken.
ROWS_OF_A_PIECE = 2_000
# Without it Excel takes UTF-8 for the code page of its machine.
BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet takes a text that begins so for a formula, in East Asia also by its wide forms, and runs it.
FORMULA = re.compile(r"\s*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 -- those are the wide forms
NOT_COLUMNS = ("action_checkbox",)

Cell = Callable[[Any], Any]


class ExportedAdmin(admin.ModelAdmin):
    """Whoever may look at the list may take it along."""

    related: Sequence[str] = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        return [path("export/", view, name=name_of(self.model, "export")), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"export_url": reverse(f"admin:{name_of(self.model, 'export')}"), **(extra_context or {})}
        return super().changelist_view(request, context)

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        try:
            shown = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(list_of(self.model, **{ERROR_FLAG: 1}))
        columns = columns_of(self, [each for each in shown.list_display if each not in NOT_COLUMNS])
        name = f"{slugify(str(self.opts.verbose_name_plural))}-{timezone.localdate()}.csv"
        return StreamingHttpResponse(
            # Of a piece's rows many refer to the same one: it is read once, not joined to each.
            lines(shown.queryset.select_related(None).prefetch_related(*self.related), columns),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def columns_of(model_admin: admin.ModelAdmin, shown: Sequence[Any]) -> dict[str, Cell]:
    """The key and the columns of a list, by their names: what is stored, where the list has words for it."""
    opts = model_admin.opts
    columns: dict[str, Cell] = {opts.pk.name: lambda row: row.pk}
    for each in shown:
        name = each if isinstance(each, str) else each.__name__
        columns.setdefault(str(opts.model_name) if name == "__str__" else name, _cell_of(model_admin, each, name))
    return columns


def _cell_of(model_admin: admin.ModelAdmin, column: Any, name: str) -> Cell:
    try:
        model_admin.opts.get_field(name)
    except FieldDoesNotExist:
        return lambda row: lookup_field(column, row, model_admin)[2]
    return lambda row: getattr(row, name)


def lines(rows: QuerySet[Any], columns: dict[str, Cell]) -> Iterator[str]:
    """A header, and the rows in the order of their keys, piece by piece."""
    yield BYTE_ORDER_MARK + _text([list(columns)])
    for piece in _pieces(rows.order_by("pk")):
        yield _text([[as_text(cell(row)) for cell in columns.values()] for row in piece])


def _pieces(rows: QuerySet[Any]) -> Iterator[list[models.Model]]:
    """What is written meanwhile is in a later piece, or in none."""
    piece = list(rows[:ROWS_OF_A_PIECE])
    while piece:
        yield piece
        piece = list(rows.filter(pk__gt=piece[-1].pk)[:ROWS_OF_A_PIECE])


def _text(table: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(table)
    return buffer.getvalue()


def as_text(value: Any) -> str:
    """Numbers plainly and in full, times with their offset; an apostrophe keeps other text from being a formula."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Decimal():
            return plain(value)
        case int():
            return str(value)
        case datetime():
            return timezone.localtime(value).isoformat()
        case date():
            return value.isoformat()
        case DateRange():
            return f"{value.lower or '..'}/{value.upper or '..'}"
    text = strip_tags(value) if isinstance(value, SafeString) else str(value)
    return f"'{text}" if FORMULA.match(text) else text
