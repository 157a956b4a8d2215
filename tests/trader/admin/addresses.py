"""Every kind of page that a model of the book has in the admin, by what is asked for."""

from typing import Any

from django.db import models
from django.test import Client
from django.urls import reverse

from tests.trader.admin.rows import url
from trader.models import Account

# What the large book has, and what it has not.
SEARCHED = ("T7777", "SYM7", "BOOK1", "BOOK49", "BOOK50", "ORDER5000", "nothing", "SYM7 BOOK1")


def list_pages(client: Client, model: type[models.Model]) -> dict[str, str]:
    path = url(model, "changelist")
    shown = client.get(path).context["cl"]
    pages = shown.paginator.num_pages
    asked = {"first": "", "last": f"?p={pages}", "middle": f"?p={pages // 2 or 1}"}
    asked |= {f"search {text}": f"?q={text.replace(' ', '+')}" for text in SEARCHED if shown.search_fields}
    for spec in shown.filter_specs:
        asked |= {f"{spec.title} {each['display']}": each["query_string"] for each in _some(spec.choices(shown))}
    if shown.sortable_by is None or len(shown.sortable_by):
        asked |= {f"sorted by {column}": f"?o=-{column}" for column in range(1, len(shown.list_display))}
    return {f"{shown.opts.verbose_name_plural}, {what}": path + query for what, query in asked.items()}


def _some(choices: Any) -> list[Any]:
    """The first, the last and the searched ones; what stands before them all is no choice."""
    offered = list(choices)[1:]
    return [each for each in offered if each in (*offered[:2], *offered[-2:]) or each["display"] in SEARCHED]


def row_pages(model: type[models.Model]) -> dict[str, str]:
    rows = model._default_manager.order_by("pk")
    ends = {"oldest": rows.first(), "newest": rows.last()}
    return {f"{model._meta.verbose_name}, {end}": url(model, "change", row.pk) for end, row in ends.items() if row}


def figure_pages() -> dict[str, str]:
    """Of all accounts, and of the one with a twentieth of all executions."""
    account = Account.objects.get(code="BOOK1").pk
    return {
        "overview": reverse("admin:index"),
        "account BOOK1": url(Account, "change", account),
        "performance of BOOK1": url(Account, "performance", account),
    }
