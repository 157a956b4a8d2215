from django.contrib import admin

from trader.models import Account


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):
    list_display = ("code", "name", "owner", "base_currency", "cost_basis_method", "fee_policy", "broker")
    list_display_links = ("code", "name")
    list_filter = ("base_currency", "cost_basis_method", "fee_policy", "allow_short")
    list_select_related = ("owner", "base_currency")
    search_fields = ("code", "name", "broker", "owner__email")
    search_help_text = "Code, name, broker or the owner's e-mail address"
    ordering = ("code",)
    autocomplete_fields = ("owner", "base_currency")
    fieldsets = (
        (None, {"fields": ("code", "name", "owner", "broker")}),
        ("Counting", {"fields": ("base_currency", "time_zone", "cost_basis_method", "fee_policy", "allow_short")}),
    )
