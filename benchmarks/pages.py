"""Every list of the admin, in all ways that it can be asked for, pages of its rows and those of figures, at 1,000,000
executions.

Needs a server: uv run python manage.py db start, then

    uv run python -m benchmarks.pages [EXECUTIONS] [--all]

Each page is asked for by a superuser and by somebody who may look at all; --all prints each of them. The peer, in the
same run: the same lists by Django's own ModelAdmin, with the same columns, filters and searches, and as many rows a
page.
"""

import logging
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection, models
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext, setup_test_environment

from benchmarks.book import own_database
from benchmarks.measure import compared, interleaved, machine, seconds_of
from tests.trader.admin.addresses import figure_pages, list_pages, row_pages
from tests.trader.admin.rows import url
from tests.trader.large_book import write_large_book
from trader.models import Execution, JournalEntry, User

ROUNDS = 5
PEER_ROUNDS = 3
MEGABYTE = 1024
BACKEND = "django.contrib.auth.backends.ModelBackend"
PROMISED_SECONDS, PROMISED_QUERIES = 0.3, 20
STATIC = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
STOCK: dict[type[models.Model], dict[str, Any]] = {
    Execution: {
        "list_filter": ("account", "side", "exec_type"),
        "search_fields": ("exec_id__exact", "instrument__symbol__exact", "order__cl_ord_id__exact"),
    },
    JournalEntry: {
        "list_filter": ("account", "kind"),
        "search_fields": ("account__code__exact", "instrument__symbol__exact", "execution__exec_id__exact"),
    },
}


class Page(NamedTuple):
    name: str
    queries: int
    seconds: float


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    prepare()
    print(machine())
    with own_database("pages_benchmark"):
        began = time.perf_counter()
        write_large_book(*sizes or [1_000_000])
        print(f"{Execution.objects.count():,} executions, written in {time.perf_counter() - began:.0f} s")
        superuser, viewer = browsers()
        for who, client in {"superuser": superuser, "viewer": viewer}.items():
            tell(who, [measured(client, *page) for page in pages(client)], in_full="--all" in sys.argv)
        for model in STOCK:
            beside_stock(superuser, model)
        export(viewer)


def prepare() -> None:
    """Settings as in a test: pages keep their context, static files need no manifest, requests leave no log."""
    setup_test_environment(debug=False)
    settings.STORAGES = settings.STORAGES | STATIC
    logging.disable(logging.CRITICAL)


def browsers() -> list[Client]:
    viewer = User.objects.create_user("viewer@example.com", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    clients = []
    for user in (User.objects.create_superuser("superuser@example.com"), viewer):
        clients.append(Client())
        clients[-1].force_login(user, backend=BACKEND)
    return clients


def pages(client: Client) -> Iterator[tuple[str, str]]:
    yield from figure_pages().items()
    for model in admin.site._registry:
        if model._meta.app_label == "trader":
            yield from list_pages(client, model).items()
            yield from row_pages(model).items()


def measured(client: Client, name: str, path: str) -> Page:
    with CaptureQueriesContext(connection) as queries:
        if client.get(path).status_code != 200:
            sys.exit(f"{path} does not answer.")
    return Page(name, len(queries), statistics.median(seconds_of(lambda: client.get(path)) for _ in range(ROUNDS)))


def tell(who: str, found: list[Page], *, in_full: bool) -> None:
    by_time = sorted(found, key=lambda page: page.seconds, reverse=True)
    over = [page for page in found if page.seconds > PROMISED_SECONDS or page.queries > PROMISED_QUERIES]
    print(
        f"{who}: {len(found)} pages, medians of {ROUNDS}: middle one {by_time[len(found) // 2].seconds * 1000:.0f} ms; "
        f"at most {max(page.queries for page in found)} queries; over what is promised: {len(over)}"
    )
    for page in by_time if in_full else by_time[:10]:
        print(f"  {page.seconds * 1000:6.0f} ms {page.queries:3} queries  {page.name}")


def beside_stock(client: Client, model: type[models.Model]) -> None:
    path = url(model, "changelist")
    last = client.get(path).context["cl"].paginator.num_pages
    for query in ("", f"?p={last}", "?q=T7777", "?q=nothing"):
        ours: Callable[[], object] = partial(client.get, path + query)
        seconds = interleaved({"ours": ours, "stock": stock(model, query)}, rounds=PEER_ROUNDS)
        print(f"{model.__name__} {query or 'first page'}: {compared(seconds, 'ours', 'stock')}")


def stock(model: type[models.Model], query: str) -> Callable[[], object]:
    ours: Any = admin.site._registry[model]
    named = [each if isinstance(each, str) else each.__name__ for each in ours.list_display]
    same = {"list_display": named, "list_select_related": ours.related, "list_per_page": ours.list_per_page}
    page = type("Stock", (admin.ModelAdmin,), STOCK[model] | same | {"ordering": ("-pk",)})(model, admin.site)

    def asked() -> object:
        request = RequestFactory().get(f"/{query}")
        request.user = User.objects.get(email="superuser@example.com")
        return page.changelist_view(request).render()

    return asked


def export(client: Client) -> None:
    began = time.perf_counter()
    response: Any = client.get(url(Execution, "export"))
    size = sum(len(piece) for piece in response.streaming_content)
    seconds = time.perf_counter() - began
    rows = Execution.objects.count()
    print(
        f"export: {rows:,} executions, {size / 1e6:.0f} MB in {seconds:.0f} s, {rows / seconds:,.0f} rows/s; "
        f"this process, after all of the above, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MEGABYTE} MB"
    )


if __name__ == "__main__":
    main()
