from typing import Any

from django.contrib import admin
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from trader.admin.charts import DRAWING, price_chart
from trader.admin.identifiers import InstrumentIdentifierInline
from trader.admin.pages import BookForm, BookModelAdmin, FrozenOnceUsed, Tool
from trader.admin.showing import list_of
from trader.models import (
    Currency,
    Execution,
    Instrument,
    LedgerAccount,
    Order,
    Position,
    PriceBar,
    Venue,
)
from trader.models.dates import DATES
from trader.operations.positions import project_instrument
from trader.reporting.prices import daily_bars

# About two years.
MOST_SESSIONS = 520
BELONGING = {"Orders": Order, "Executions": Execution, "Positions": Position, "Price bars": PriceBar}


class CurrencyForm(BookForm):
    class Meta:
        help_texts = {
            "minor_unit": (
                "Decimal places of the smallest amount that is booked: 2 for CHF, 0 for JPY. "
                "From the first posting on it stays as it is."
            ),
        }


@admin.register(Currency)
class CurrencyAdmin(FrozenOnceUsed):
    form = CurrencyForm
    frozen = ("minor_unit",)
    # A ledger account is made for its first posting.
    used_by = ((LedgerAccount, "currency"),)
    list_display = ("code", "minor_unit")
    list_filter = ("minor_unit",)
    search_fields = ("code",)
    search_help_text = "Code"
    ordering = ("code",)


@admin.register(Venue)
class VenueAdmin(BookModelAdmin):
    list_display = ("mic", "name", "time_zone", "calendar")
    list_display_links = ("mic", "name")
    search_fields = ("mic", "name", "time_zone")
    search_help_text = "MIC, name or time zone"
    ordering = ("mic",)


class InstrumentForm(BookForm):
    class Meta:
        help_texts = {
            "symbol": "As the venue spells it.",
            "qty_increment": "The smallest quantity that can be traded: 1 where only whole shares are.",
        }


@admin.register(Instrument)
class InstrumentAdmin(FrozenOnceUsed):
    form = InstrumentForm
    frozen = ("currency", "multiplier", "price_quotation_factor")
    used_by = ((Execution, "instrument"),)
    list_display = ("symbol", "name", "venue", "currency", "security_type", "active")
    list_display_links = ("symbol", "name")
    list_filter = (
        "active",
        "security_type",
        ("venue", RelatedOnlyFieldListFilter),
        ("currency", RelatedOnlyFieldListFilter),
    )
    related = ("venue", "currency")
    search_fields = ("symbol", "name", "venue__mic")
    search_help_text = "Symbol, name or MIC"
    ordering = ("symbol", "pk")
    autocomplete_fields = ("venue", "currency")
    actions = ("activate", "deactivate")
    inlines = (InstrumentIdentifierInline,)
    fieldsets = (
        (None, {"fields": ("symbol", "name", "security_type", "active")}),
        ("Listing", {"fields": ("venue", "currency")}),
        (
            "Quotation",
            {
                "fields": ("multiplier", "price_quotation_factor", "qty_increment", "price_increment"),
                "description": "From the first trade on, currency, multiplier and factor stay as they are.",
            },
        ),
    )

    def beside(self, request: HttpRequest, obj: Instrument) -> dict[str, Any]:
        if not request.user.has_perm("trader.view_pricebar"):
            return {}
        bars = daily_bars(obj, as_of=obj.venue.date_of(timezone.now()), most=MOST_SESSIONS)
        return {"chart": price_chart(bars, obj.quoted_in), "figures_media": DRAWING} if bars else {}

    def tools(self, request: HttpRequest, obj: Instrument) -> list[Tool]:
        return [Tool(name, list_of(model, instrument=obj.pk)) for name, model in BELONGING.items()]

    def save_model(self, request: HttpRequest, obj: Instrument, form: ModelForm, change: Any) -> None:
        super().save_model(request, obj, form, change)
        # Which rest of a position is none depends on it.
        if change and "qty_increment" in form.changed_data:
            project_instrument(obj, since=DATES[0])

    @admin.action(permissions=["change"], description="Mark the selected instruments active")
    def activate(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        self.message_user(request, f"Marked active: {queryset.update(active=True)}.")

    @admin.action(permissions=["change"], description="Mark the selected instruments inactive")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        self.message_user(request, f"Marked inactive: {queryset.update(active=False)}.")
