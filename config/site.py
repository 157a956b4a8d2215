"""The admin's site: what every page of it shares."""

from typing import Any

from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from config.second_factor.site import SecondFactorSite


class NamedChoices(AutocompleteJsonView):
    """What a field offers while its user types: XNAS, Nasdaq where others would offer XNAS."""

    def serialize_result(self, obj: Model, to_field_name: str) -> dict[str, str]:
        choice = super().serialize_result(obj, to_field_name)
        name = getattr(obj, "name", "")
        return choice | {"text": f"{choice['text']}, {name}"} if name else choice


class TradingBookSite(SecondFactorSite):
    site_header = "my-trader"
    site_title = "my-trader"
    index_title = "Overview"
    index_template = "admin/trader/index.html"
    # There is no other site to view.
    site_url = None

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The trading book first, the rest by name."""
        return sorted(super().get_app_list(request, app_label), key=lambda app: app["app_label"] != "trader")

    def get_urls(self) -> list[Any]:
        """Without the way to a row's page on another site: no row has one, and a key that is none would be an error."""
        return [each for each in super().get_urls() if getattr(each, "name", "") != "view_on_site"]

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        return NamedChoices.as_view(admin_site=self)(request)  # type: ignore[return-value]
