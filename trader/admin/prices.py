from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from trader.admin.pages import BookForm, BookModelAdmin
from trader.models import CorporateAction, FxRate, PriceBar
from trader.operations.rate_entry import refigure
from trader.operations.splits import record_split, withdraw

SPLIT = CorporateAction.Type.SPLIT
INSTRUMENT = ("instrument__venue", "instrument__currency")


class CorporateActionForm(BookForm):
    def clean(self) -> dict[str, Any] | None:
        given = super().clean()
        if given and given.get("type") == SPLIT and given.get("pay_date"):
            self.add_error("pay_date", "A split pays nothing.")
        return given


@admin.register(CorporateAction)
class CorporateActionAdmin(BookModelAdmin):
    """A split acts on positions while it is there: it is added and deleted, never changed."""

    form = CorporateActionForm
    list_display = (
        "ex_date",
        "type",
        "instrument",
        "numerator",
        "denominator",
        "cash_per_unit",
        "currency",
        "pay_date",
    )
    list_filter = ("type",)
    related = (*INSTRUMENT, "currency")
    search_fields = ("instrument__symbol", "instrument__name")
    search_help_text = "The instrument's symbol or name"
    ordering = ("-ex_date", "-pk")
    autocomplete_fields = ("instrument", "currency")
    fieldsets = (
        (None, {"fields": ("instrument", "type", "ex_date")}),
        (
            "Split",
            {
                "fields": ("numerator", "denominator"),
                "description": "It acts on every account at once, and is not changed: delete it and add another one.",
            },
        ),
        (
            "Cash dividend",
            {
                "fields": ("cash_per_unit", "currency", "pay_date"),
                "description": "As announced. Its money is recorded as a journal entry.",
            },
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: CorporateAction | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.type != SPLIT)

    def get_readonly_fields(self, request: HttpRequest, obj: CorporateAction | None = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), *(["type"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: CorporateAction, form: ModelForm, change: Any) -> None:
        if obj.type != SPLIT:
            super().save_model(request, obj, form, change)
            return
        names = ("instrument", "ex_date", "numerator", "denominator")
        obj.pk = record_split(**{name: form.cleaned_data[name] for name in names}).pk

    def delete_model(self, request: HttpRequest, obj: CorporateAction) -> None:
        withdraw(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CorporateAction]) -> None:
        for action in queryset:
            withdraw(action)


@admin.register(FxRate)
class FxRateAdmin(BookModelAdmin):
    """Figures in base currency follow it."""

    list_display = ("at", "base", "quote", "rate", "source")
    related = ("base", "quote")
    search_fields = ("base__code", "quote__code", "source")
    search_help_text = "The code of either currency, or the source"
    ordering = ("-pk",)
    autocomplete_fields = ("base", "quote")
    fields = ("base", "quote", "source", "at", "rate")

    def save_model(self, request: HttpRequest, obj: FxRate, form: ModelForm, change: Any) -> None:
        former = [FxRate.objects.get(pk=obj.pk)] if change else []
        super().save_model(request, obj, form, change)
        refigure([*former, obj])

    def delete_model(self, request: HttpRequest, obj: FxRate) -> None:
        super().delete_model(request, obj)
        refigure([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FxRate]) -> None:
        rates = list(queryset)
        super().delete_queryset(request, queryset)
        refigure(rates)


@admin.register(PriceBar)
class PriceBarAdmin(BookModelAdmin):
    list_display = ("ts", "instrument", "timeframe", "source", "open", "high", "low", "close", "volume")
    related = INSTRUMENT
    search_fields = ("instrument__symbol",)
    search_help_text = "The instrument's symbol"
    ordering = ("-pk",)
    sortable_by = ()
    autocomplete_fields = ("instrument",)
