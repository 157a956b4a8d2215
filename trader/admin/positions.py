from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from trader.admin.pages import BookForm, Tool, ViewedAdmin, ViewedInline
from trader.admin.showing import list_of
from trader.models import LotMatch, Position, TaxLot

BELONGING = {"lots": TaxLot, "matches": LotMatch}
POSITION = ("position__account", "position__instrument__venue", "position__instrument__currency")
SEARCHED = ("position__account__code__exact", "position__instrument__symbol__exact")


class OpenLotInline(ViewedInline):
    model = TaxLot
    fields = ("acquired_at", "trade", "quantity", "remaining", "unit_cost", "cost")
    related = ("trade",)
    ordering = ("acquired_at", "trade")
    verbose_name_plural = "oldest open lots"

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaxLot]:
        return super().get_queryset(request).filter(remaining__gt=0)


class LotMatchInline(ViewedInline):
    model = LotMatch
    fields = ("closing_trade", "opening_trade", "quantity", "proceeds", "cost", "realized_pnl")
    related = ("closing_trade", "opening_trade")
    verbose_name_plural = "latest lot matches"


class PositionForm(BookForm):
    class Meta:
        labels = {
            "rated_cost_base": "Cost of the lots with a rate",
            "unrated_lots": "Open lots without a rate",
            "realized_pnl_base": "Realized P&L",
            "fees_base": "Fees",
            "fees_expensed_base": "Fees expensed",
        }


@admin.register(Position)
class PositionAdmin(ViewedAdmin):
    form = PositionForm
    list_display = ("__str__", "account", "instrument", "quantity", "cost", "realized_pnl", "as_of_execution")
    list_filter = ("account",)
    related = ("account", "instrument__venue", "instrument__currency", "as_of_execution")
    search_fields = ("account__code", "instrument__symbol", "instrument__name")
    search_help_text = "The account's code, the instrument's symbol or name"
    inlines = (OpenLotInline, LotMatchInline)
    fieldsets = (
        (None, {"fields": ("account", "instrument", "quantity", "cost", "gross", "realized_pnl", "as_of_execution")}),
        ("Fees", {"fields": ("fees", "fees_expensed")}),
        (
            "In the account's base currency",
            {
                "fields": (
                    "rated_cost_base",
                    "unrated_lots",
                    "realized_pnl_base",
                    "fees_base",
                    "fees_expensed_base",
                )
            },
        ),
    )

    def tools(self, request: HttpRequest, obj: Position) -> list[Tool]:
        return [Tool(f"All {name}", list_of(model, position=obj.pk)) for name, model in BELONGING.items()]


@admin.register(TaxLot)
class TaxLotAdmin(ViewedAdmin):
    fields = (
        "position",
        "trade",
        "acquired_at",
        "quantity",
        "unclosed",
        "remaining",
        "unit_cost",
        "cost",
        "gross",
        "cost_base",
    )
    list_display = ("acquired_at", "position", "trade", "quantity", "remaining", "unit_cost", "cost")
    related = (*POSITION, "trade")
    search_fields = SEARCHED
    search_help_text = "The account's whole code, or the instrument's symbol"


@admin.register(LotMatch)
class LotMatchAdmin(ViewedAdmin):
    fields = (
        "position",
        "closing_trade",
        "opening_trade",
        "quantity",
        "opened_quantity",
        "proceeds",
        "cost",
        "realized_pnl",
        "gross_proceeds",
        "gross_cost",
        "proceeds_base",
        "cost_base",
        "realized_pnl_base",
    )
    list_display = ("position", "closing_trade", "opening_trade", "quantity", "proceeds", "cost", "realized_pnl")
    list_display_links = ("closing_trade",)
    related = (*POSITION, "closing_trade", "opening_trade")
    search_fields = SEARCHED
    search_help_text = "The account's whole code, or the instrument's symbol"
