from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from trader.models import Currency, Instrument, Venue


@admin.register(Currency)
class CurrencyAdmin(admin.ModelAdmin):
    list_display = ("code", "minor_unit")
    list_filter = ("minor_unit",)
    search_fields = ("code",)
    ordering = ("code",)


@admin.register(Venue)
class VenueAdmin(admin.ModelAdmin):
    list_display = ("mic", "name", "time_zone", "calendar")
    list_filter = ("time_zone",)
    search_fields = ("mic", "name")
    ordering = ("mic",)


@admin.register(Instrument)
class InstrumentAdmin(admin.ModelAdmin):
    list_display = ("symbol", "name", "venue", "currency", "security_type", "active")
    list_display_links = ("symbol", "name")
    list_filter = ("active", "security_type", "venue", "currency")
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
        self.message_user(request, f"{queryset.update(active=True)} instruments are active.")

    @admin.action(permissions=["change"], description="Mark the selected instruments inactive")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        self.message_user(request, f"{queryset.update(active=False)} instruments are inactive.")
