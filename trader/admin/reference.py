from django.contrib import admin
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from trader.admin.pages import BookForm, BookModelAdmin
from trader.models import Currency, Instrument, Venue


@admin.register(Currency)
class CurrencyAdmin(BookModelAdmin):
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
class InstrumentAdmin(BookModelAdmin):
    form = InstrumentForm
    list_display = ("symbol", "name", "venue", "currency", "security_type", "active")
    list_display_links = ("symbol", "name")
    list_filter = (
        "active",
        "security_type",
        ("venue", RelatedOnlyFieldListFilter),
        ("currency", RelatedOnlyFieldListFilter),
    )
    list_select_related = ("venue", "currency")
    search_fields = ("symbol", "name", "venue__mic")
    search_help_text = "Symbol, name or MIC"
    ordering = ("symbol", "pk")
    autocomplete_fields = ("venue", "currency")
    actions = ("activate", "deactivate")
    fieldsets = (
        (None, {"fields": ("symbol", "name", "security_type", "active")}),
        ("Listing", {"fields": ("venue", "currency")}),
        ("Quotation", {"fields": ("multiplier", "price_quotation_factor", "qty_increment", "price_increment")}),
    )

    @admin.action(permissions=["change"], description="Mark the selected instruments active")
    def activate(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        self.message_user(request, f"Marked active: {queryset.update(active=True)}.")

    @admin.action(permissions=["change"], description="Mark the selected instruments inactive")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        self.message_user(request, f"Marked inactive: {queryset.update(active=False)}.")
