"""What the pages of the book's models have in common."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import get_fields_from_path, unquote
from django.contrib.admin.widgets import (
    AdminDateWidget,
    AdminSplitDateTime,
    AdminTextInputWidget,
    RelatedFieldWidgetWrapper,
)
from django.contrib.postgres.fields import DateRangeField
from django.contrib.postgres.forms import RangeWidget
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from trader.admin.export import ExportedAdmin
from trader.admin.filtering import FewRelated
from trader.admin.paging import LongList, LongListPaginator
from trader.admin.refusals import RefusableForm, RefusalsShown
from trader.admin.searching import matching
from trader.admin.showing import Column, name_of, page_of, plainly
from trader.booking.numbers import plain
from trader.models.dates import OUT_OF_BOUNDS, TIMES

# Of what belongs to a row its page shows so many; all of them are on the list of their kind.
MOST_INLINE_ROWS = 25


class DecimalFormField(forms.DecimalField):
    """Shows a number without the zeros that fill up its column, and never with an exponent; the value is the same.

    A text input, because a browser's number input counts in floats.
    """

    widget = AdminTextInputWidget(attrs={"inputmode": "decimal"})

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) else value


class DateTimeFormField(forms.SplitDateTimeField):
    """A time that has a day in every time zone."""

    widget = AdminSplitDateTime
    default_validators = [
        MinValueValidator(TIMES[0], message=OUT_OF_BOUNDS),
        MaxValueValidator(TIMES[1], message=OUT_OF_BOUNDS),
    ]


class DateRangeWidget(RangeWidget):
    """Two dates: the first day, and the day after the last."""

    def __init__(self) -> None:
        super().__init__(AdminDateWidget)
        self.widgets = [AdminDateWidget({"placeholder": name, "aria-label": name}) for name in ("From", "Until")]


class BookForm(RefusableForm):
    """Of one row of the book."""


class BookFields(BaseModelAdmin):
    """Decimals and times are shown plainly; a form can look up what it refers to and add it, but not change or delete
    it."""

    form: type[Any] = BookForm
    formfield_overrides = {
        models.DecimalField: {"form_class": DecimalFormField},
        models.DateTimeField: {"form_class": DateTimeFormField},
        DateRangeField: {"widget": DateRangeWidget},
    }
    # What the text and the columns of a row read of other rows.
    related: Sequence[str] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.select_related(*self.related) if self.related else rows

    def formfield_for_dbfield(
        self, db_field: "models.Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget.can_change_related = field.widget.can_delete_related = False
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return plainly(self.model, super().get_readonly_fields(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        readonly = self.get_readonly_fields(request, obj)
        entered = self.takes_input(request, obj)

        def shown(fields: Sequence[Column]) -> list[Column]:
            both = zip(fields, plainly(self.model, fields), strict=True)
            return [plain if plain in readonly or not entered else field for field, plain in both]

        return [
            (title, {**options, "fields": shown(options["fields"])})
            for title, options in self.fieldsets_of(request, obj)
        ]

    def fieldsets_of(self, request: HttpRequest, obj: Any) -> Sequence[Any]:
        """The page's fieldsets, by the names of their fields."""
        return super().get_fieldsets(request, obj)

    def takes_input(self, request: HttpRequest, obj: Any) -> bool:
        raise NotImplementedError


class Tool(NamedTuple):
    """What can be done with a row, beside its history."""

    label: str
    url: str


class BookModelAdmin(BookFields, ExportedAdmin, RefusalsShown):
    """The page for a new row has `add_form` and `add_fieldsets`, where they are others, and `add_inlines` alone."""

    # What costs most of a page is the writing of its rows.
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    paginator = LongListPaginator
    # Of a column that a search looks at, in which rows it does so.
    searched_in: Mapping[str, models.Q] = {}
    add_form: type[BookForm] | None = None
    add_fieldsets: Sequence[Any] = ()
    add_inlines: tuple[Any, ...] = ()

    def fieldsets_of(self, request: HttpRequest, obj: Any) -> Sequence[Any]:
        return self.add_fieldsets if self.add_fieldsets and obj is None else super().fieldsets_of(request, obj)

    def takes_input(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **kwargs: Any) -> type[forms.ModelForm]:
        given = {"form": self.add_form} if obj is None and self.add_form else {}
        return super().get_form(request, obj, *args, **given | kwargs)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else self.add_inlines

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LongList]:
        return LongList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        places = self.get_search_fields(request)
        return queryset.filter(matching(self.model, places, search_term, self.searched_in)), False

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [
            (each, FewRelated) if isinstance(each, str) and _refers(self.model, each) else each
            for each in super().get_list_filter(request)
        ]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return plainly(self.model, super().get_list_display(request))

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> list[Any]:
        return plainly(self.model, super().get_list_display_links(request, list_display) or ())

    def tools(self, request: HttpRequest, obj: Any) -> list[Tool]:
        return []

    def beside(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the page of a row shows beside its form, for the model's own template."""
        return {}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context["original"]
        context["tools"] = self.tools(request, row) if row else []
        context |= self.beside(request, row) if row else {}
        return super().render_change_form(request, context, *args, **kwargs)


class PagedAdmin(BookModelAdmin):
    """A row has further pages under its own."""

    def page_of(self, obj: models.Model, name: str) -> str:
        return page_of(self.model, obj.pk, name)

    def page(self, name: str, view: Any) -> URLPattern:
        view = self.admin_site.admin_view(view)
        page: URLPattern = path(f"<path:object_id>/{name}/", view, name=name_of(self.model, name))
        return page

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row, or the answer where there is none."""
        row = self.get_object(request, unquote(object_id))
        return row or self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]


class FrozenOnceUsed(BookModelAdmin):
    """What rows of other tables were counted by is shown and no longer asked for; the database refuses to change it."""

    frozen: Sequence[str]
    used_by: Sequence[tuple[type[models.Model], str]]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        readonly = super().get_readonly_fields(request, obj)
        return [*readonly, *plainly(self.model, self.frozen)] if obj and self._is_used(request, obj) else readonly

    def _is_used(self, request: HttpRequest, row: models.Model) -> bool:
        """Asked once a request."""
        used = getattr(request, "row_is_used", None)
        if used is None:
            used = any(model._default_manager.filter(**{column: row}).exists() for model, column in self.used_by)
            request.row_is_used = used  # type: ignore[attr-defined]
        return bool(used)


class RecordedAdmin(BookModelAdmin):
    """Of rows that are never changed or deleted; newest first, in the order of their keys."""

    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    sortable_by = ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ViewedAdmin(RecordedAdmin):
    """Of rows that come from elsewhere."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class BookInline(BookFields, admin.TabularInline):
    extra = 0

    def takes_input(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_add_permission(request, obj) or self.has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if self.takes_input(request, obj):
            return super().get_readonly_fields(request, obj)
        return plainly(self.model, self.get_fields(request, obj))


class FirstRows(BaseInlineFormSet):
    def get_queryset(self) -> QuerySet[Any]:
        if not hasattr(self, "_first"):
            self._first = super().get_queryset()[:MOST_INLINE_ROWS]
        return self._first


class RecordedInline(BookInline):
    """Of rows that are never changed or deleted; newest first, as far as they are not too many."""

    formset = FirstRows
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ViewedInline(RecordedInline):
    """Of rows that come from elsewhere."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _refers(model: type[models.Model], column: str) -> bool:
    return bool(get_fields_from_path(model, column)[-1].is_relation)


def actor_of(request: HttpRequest) -> str:
    """Under which name a fact is recorded that this person enters."""
    return str(request.user)
