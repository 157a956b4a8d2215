"""Every page of the admin, and an export, on a book of 200,000 executions."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from psycopg.pq import TransactionStatus
from pytest_django import DjangoDbBlocker

from tests.factories import UserFactory
from tests.project import CHECKOUT, Project, database_environment
from tests.trader.admin.addresses import figure_pages, list_pages, row_pages
from tests.trader.admin.rows import url
from tests.trader.admin.test_pages import MOST_QUERIES, queries_of
from tests.trader.conftest import cloned_database
from tests.trader.large_book import write_large_book
from tests.trader.memory import MOST_KILOBYTES, measured
from trader.admin.paging import MOST_PASSED
from trader.models import Execution, Posting

pytestmark = pytest.mark.endurance

EXECUTIONS = 200_000
BIG = {
    "trader_execution",
    "trader_executionfee",
    "trader_importrow",
    "trader_journalentry",
    "trader_posting",
    "trader_taxlot",
    "trader_lotmatch",
    "trader_pricebar_2015",
    f"trader_pricebar_{timezone.now().year}",
}
# In a process of its own; says how many lines there were.
EXPORT = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
from django.contrib import admin
from django.test import RequestFactory
from trader.models import Execution, User
request = RequestFactory().get("/")
request.user = User.objects.filter(is_superuser=True)[0]
response = admin.site._registry[Execution].export_view(request)
print(sum(piece.count(b"\\r\\n") for piece in response.streaming_content))
"""
MODELS = [model for model in admin.site._registry if model._meta.app_label == "trader"]


@pytest.fixture(scope="module")
def large_book(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), cloned_database():
        write_large_book(EXECUTIONS)
        yield


@pytest.fixture
def client(large_book: None) -> Client:
    client = Client()
    operator = UserFactory.create(is_staff=True, is_superuser=True)
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return client


def read_through(statement: str) -> set[str]:
    """The big tables that PostgreSQL would read from end to end for it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}")
        (plans,) = cursor.fetchone()
    found = json.loads(plans) if isinstance(plans, str) else plans
    return {node["Relation Name"] for node in _nodes(found[0]["Plan"]) if "Seq Scan" in node["Node Type"]} & BIG


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


@pytest.mark.parametrize("model", MODELS)
def test_no_page_reads_a_big_table_through(client: Client, model: type[models.Model]) -> None:
    read = []

    for name, path in {**list_pages(client, model), **row_pages(model)}.items():
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200, name
        assert len(queries) <= MOST_QUERIES, name
        asked = [query["sql"] for query in queries if query["sql"].lstrip().startswith(("SELECT", "WITH"))]
        read += [(name, tables, sql) for sql in asked if (tables := read_through(sql))]

    assert not read


def test_figures_of_large_accounts_take_few_queries(client: Client) -> None:
    for name, path in figure_pages().items():
        assert queries_of(client, path) <= MOST_QUERIES, name


def test_a_list_says_about_how_long_it_is_and_shows_both_of_its_ends(client: Client) -> None:
    path = url(Execution, "changelist")
    keys = Execution.objects.order_by("-pk").values_list("pk", flat=True)

    first = client.get(path)
    pages = first.context["cl"].paginator.num_pages
    last = client.get(path, {"p": pages})

    assert f"about {EXECUTIONS:,} executions" in " ".join(first.content.decode().split())
    assert [row.pk for row in first.context["cl"].result_list] == list(keys[:50])
    assert [row.pk for row in last.context["cl"].result_list] == list(keys.reverse()[:50])[::-1]


def test_a_page_deep_in_a_list_is_replaced_by_the_nearest_that_can_be_had(client: Client) -> None:
    asked = client.get(url(Posting, "changelist"), {"p": MOST_PASSED // 50 + 1_000})

    shown = asked.context["cl"]
    assert shown.page_num == MOST_PASSED // 50
    assert "is out of reach" in str(*asked.context["messages"])
    assert len(shown.result_list) == 50


def test_an_export_of_all_executions_stays_small(client: Client) -> None:
    project = Project(CHECKOUT, database_environment(str(connection.settings_dict["NAME"])))

    exit_code, lines, kilobytes = measured(EXPORT, folder=project.path, environment=project.environment)

    assert (exit_code, int(lines)) == (0, EXECUTIONS + 1)
    assert kilobytes < MOST_KILOBYTES


def test_an_export_holds_no_transaction_between_two_pieces(client: Client) -> None:
    response: Any = client.get(url(Execution, "export"))
    pieces = iter(response.streaming_content)
    for _ in range(3):
        next(pieces)

    assert connection.connection.info.transaction_status == TransactionStatus.IDLE

    response.close()
