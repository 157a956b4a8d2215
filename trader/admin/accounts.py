from typing import Any

from django.contrib import admin
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone

from trader.admin.charts import DRAWING
from trader.admin.glance import account_glance
from trader.admin.pages import BookForm, FrozenOnceUsed, PagedAdmin, Tool
from trader.admin.periods import performance_glance
from trader.admin.showing import list_of
from trader.models import Account, Execution, JournalEntry, Order

BELONGING = {"Orders": Order, "Executions": Execution, "Journal entries": JournalEntry}


class AccountForm(BookForm):
    class Meta:
        help_texts = {
            "code": "Short and unique: commands and reports name the account by it.",
            "owner": "Empty where it belongs to nobody in particular.",
            "base_currency": "Reports are totalled in it.",
            "time_zone": "An IANA name such as Europe/Zurich; its days begin and end there.",
            "cost_basis_method": "Which of the open lots a closing trade consumes.",
            "fee_policy": "Whether a trade's fees enter its lots' cost and proceeds, or stand beside them.",
            "allow_short": "Otherwise a sale of more than the account holds is refused.",
        }


@admin.register(Account)
class AccountAdmin(PagedAdmin, FrozenOnceUsed):
    form = AccountForm
    frozen = ("base_currency", "cost_basis_method", "fee_policy")
    used_by = ((Execution, "account"), (JournalEntry, "account"))
    list_display = ("code", "name", "broker", "owner", "base_currency")
    list_display_links = ("code", "name")
    list_filter = (
        ("base_currency", RelatedOnlyFieldListFilter),
        ("owner", RelatedOnlyFieldListFilter),
        "cost_basis_method",
        "fee_policy",
        "allow_short",
    )
    related = ("owner", "base_currency")
    search_fields = ("code", "name", "broker", "owner__email")
    search_help_text = "Code, name, broker or the owner's e-mail address"
    ordering = ("code",)
    autocomplete_fields = ("owner", "base_currency")
    fieldsets = (
        (None, {"fields": ("code", "name", "owner", "broker")}),
        (
            "Accounting rules",
            {
                "fields": ("base_currency", "time_zone", "cost_basis_method", "fee_policy", "allow_short"),
                "description": "From the first trade or entry on, base currency, method and policy stay as they are.",
            },
        ),
    )

    def beside(self, request: HttpRequest, obj: Account) -> dict[str, Any]:
        return account_glance(obj, timezone.now()) if _may_see_figures(request) else {}

    def tools(self, request: HttpRequest, obj: Account) -> list[Tool]:
        further = [Tool("Performance", self.page_of(obj, "performance"))] if _may_see_figures(request) else []
        return [*further, *(Tool(name, list_of(model, account=obj.pk)) for name, model in BELONGING.items())]

    def get_urls(self) -> list[URLPattern]:
        return [self.page("performance", self.performance_view), *super().get_urls()]

    def performance_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not (self.has_view_permission(request) and _may_see_figures(request)):
            raise PermissionDenied
        account = self.found(request, object_id)
        if isinstance(account, HttpResponse):
            return account
        context = {
            **self.admin_site.each_context(request),
            "title": "Performance",
            "subtitle": str(account),
            "account": account,
            "opts": self.opts,
            "media": self.media + DRAWING,
            **performance_glance(account, request.GET, timezone.now()),
        }
        return TemplateResponse(request, "admin/trader/account/performance.html", context)


def _may_see_figures(request: HttpRequest) -> bool:
    return request.user.has_perm("trader.view_position")
