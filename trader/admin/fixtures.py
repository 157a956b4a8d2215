from django.contrib import admin
from django.http import HttpRequest

from trader.models import LoadedFixture


@admin.register(LoadedFixture)
class LoadedFixtureAdmin(admin.ModelAdmin):
    """What was delivered, to look at; deleting a row lets the next start deliver it again, where it is missing."""

    list_display = ("model", "natural_key", "loaded_at")
    list_filter = ("model", "loaded_at")
    search_fields = ("natural_key",)
    search_help_text = "A part of the natural key"
    ordering = ("model", "natural_key")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LoadedFixture | None = None) -> bool:
        return False
