"""Every page of the admin, asked for as a browser would."""

import re

import pytest
from django.contrib import admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from tests.factories import ExecutionFactory, InstrumentFactory
from tests.trader.admin.rows import ADDED, NEW_ROW, SEARCHED, VIEWED, new_trade, small_book, staff, url
from tests.trader.conftest import Add
from trader.admin.pages import MOST_INLINE_ROWS, BookModelAdmin
from trader.models import ImportBatch, ImportRow, Instrument, LoadedFixture, Position, TaxLot, User

pytestmark = pytest.mark.django_db

PASSWORD = "a long password"
MOST_QUERIES = 20
# What a page says of a row, and numbers and times in other forms than a person enters.
SHOWN = re.compile(r'<(?:td|th) class="field-.*?</t[dh]>|<div class="readonly">.*?</div>', re.DOTALL)
OTHERWISE = re.compile(r"(?<![\w.])\d+\.\d*0\b|\dE[-+]\d|[ap]\.m\.|noon|midnight")
NOT_ADDED = {*VIEWED, LoadedFixture} - {ImportBatch}
NOT_DELETED = {*VIEWED, *ADDED}

every_model = pytest.mark.parametrize("model", NEW_ROW)


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_every_model_of_the_book_is_tried_here() -> None:
    registered = {model for model in admin.site._registry if model._meta.app_label == "trader"}

    assert registered == NEW_ROW.keys()


@pytest.mark.parametrize("model", admin.site._registry)
def test_every_list_answers_and_searches(operator_client: Client, model: type[models.Model]) -> None:
    assert operator_client.get(url(model, "changelist")).status_code == 200
    assert operator_client.get(url(model, "changelist"), {"q": "anything"}).status_code == 200


@every_model
def test_a_row_is_added_where_it_may_be(operator_client: Client, model: type[models.Model]) -> None:
    assert operator_client.get(url(model, "add")).status_code == (403 if model in NOT_ADDED else 200)


@every_model
def test_a_search_finds_one_row_among_others(operator_client: Client, model: type[models.Model]) -> None:
    rows = [NEW_ROW[model]() for _ in range(3)]

    found = operator_client.get(url(model, "changelist"), {"q": SEARCHED[model](rows[1])}).context["cl"]

    assert [row for row in rows if row in found.result_list] == [rows[1]]


@every_model
def test_every_choice_of_every_filter_answers(operator_client: Client, model: type[models.Model]) -> None:
    NEW_ROW[model]()
    NEW_ROW[model]()
    path = url(model, "changelist")
    changelist = operator_client.get(path).context["cl"]

    choices = [choice["query_string"] for spec in changelist.filter_specs for choice in spec.choices(changelist)]

    for query_string in choices:
        response = operator_client.get(path + query_string)
        assert response.status_code == 200
        assert response.request["QUERY_STRING"] == query_string.removeprefix("?")


@every_model
def test_a_list_costs_as_many_queries_for_many_rows_as_for_one(
    operator_client: Client, model: type[models.Model]
) -> None:
    path = url(model, "changelist")
    empty = queries_of(operator_client, path)
    NEW_ROW[model]()
    one = queries_of(operator_client, path)
    for _ in range(6):
        NEW_ROW[model]()

    many = queries_of(operator_client, path)

    assert empty <= one == many
    assert many <= MOST_QUERIES


@every_model
def test_a_row_has_its_pages(operator_client: Client, model: type[models.Model]) -> None:
    row = NEW_ROW[model]()

    assert queries_of(operator_client, url(model, "change", row.pk)) <= MOST_QUERIES
    assert operator_client.get(url(model, "history", row.pk)).status_code == 200
    deleting = operator_client.get(url(model, "delete", row.pk))
    assert deleting.status_code == (403 if model in NOT_DELETED else 200)


@every_model
def test_every_page_of_a_book_in_use_answers_and_shows_plain_numbers(
    operator_client: Client, model: type[models.Model]
) -> None:
    small_book()
    rows = list(model._default_manager.all())
    pages = ["change", "history"] if model in NOT_DELETED else ["change", "history", "delete"]
    shows_plainly = isinstance(admin.site._registry[model], BookModelAdmin)

    for path in [url(model, "changelist"), *(url(model, page, row.pk) for row in rows for page in pages)]:
        with CaptureQueriesContext(connection) as queries:
            response = operator_client.get(path)
        assert response.status_code == 200
        assert len(queries) <= MOST_QUERIES
        shown = SHOWN.findall(response.content.decode()) if shows_plainly else []
        assert not [text for text in shown if OTHERWISE.search(text)]

    assert rows or model in {ImportBatch, ImportRow, LoadedFixture}


def test_a_position_of_many_lots_shows_the_oldest_of_them(operator_client: Client) -> None:
    position = Position.objects.get(account=new_trade().account)
    trades = ExecutionFactory.create_batch(
        MOST_INLINE_ROWS + 5, account=position.account, instrument=position.instrument
    )
    quantities = dict.fromkeys(("quantity", "unclosed", "remaining", "unit_cost"), 1)
    TaxLot.objects.bulk_create(
        TaxLot(position=position, trade=trade, acquired_at=trade.transact_time, **quantities) for trade in trades
    )
    path = url(Position, "change", position.pk)

    page = operator_client.get(path)

    lots = page.context["inline_admin_formsets"][0].formset
    opened = position.lots.order_by("acquired_at", "trade")
    assert [form.instance for form in lots.initial_forms] == list(opened[:MOST_INLINE_ROWS])
    assert queries_of(operator_client, path) <= MOST_QUERIES
    assert operator_client.get(page.context["tools"][0].url).context["cl"].result_count == opened.count()


@pytest.mark.parametrize("model", [model for model in NEW_ROW if model not in NOT_DELETED])
def test_a_row_can_be_deleted(operator_client: Client, model: type[models.Model]) -> None:
    row = NEW_ROW[model]()

    assert operator_client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 302
    assert not model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize(("action", "active"), [("activate", True), ("deactivate", False)])
def test_an_action_marks_the_selected_instruments_alone(operator_client: Client, action: str, active: bool) -> None:
    selected, other = (InstrumentFactory.create(active=not active) for _ in range(2))

    response = operator_client.post(
        url(Instrument, "changelist"), {"action": action, "_selected_action": [selected.pk]}, follow=True
    )

    assert "1" in str(*response.context["messages"])
    assert set(Instrument.objects.values_list("pk", "active")) == {(selected.pk, active), (other.pk, not active)}


def test_what_was_delivered_can_be_looked_at_and_deleted_only(operator_client: Client) -> None:
    row = NEW_ROW[LoadedFixture]()
    page = url(LoadedFixture, "change", row.pk)

    assert "_save" not in operator_client.get(page).content.decode()
    assert operator_client.post(page, {"model": "trader.venue"}).status_code == 403
    assert operator_client.get(url(LoadedFixture, "add")).status_code == 403
    assert operator_client.post(url(LoadedFixture, "delete", row.pk), {"post": "yes"}).status_code == 302
    assert not LoadedFixture.objects.exists()


def test_staff_without_permissions_sees_nothing() -> None:
    client = staff()

    assert client.get(reverse("admin:index")).context["app_list"] == []
    assert {client.get(url(model, "changelist")).status_code for model in admin.site._registry} == {403}


def test_a_viewer_sees_instruments_and_changes_none() -> None:
    client = staff("view_instrument")
    instrument = InstrumentFactory.create()

    page = client.get(url(Instrument, "change", instrument.pk))
    client.post(url(Instrument, "changelist"), {"action": "deactivate", "_selected_action": [instrument.pk]})
    change = client.post(url(Instrument, "change", instrument.pk), {"symbol": "CHANGED"})

    assert page.status_code == 200
    assert "_save" not in page.content.decode()
    assert change.status_code == 403
    instrument.refresh_from_db()
    assert instrument.active


def test_a_person_logs_in_with_the_address_that_an_operator_entered(
    settings: Settings, add: Add, client: Client
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    fields = {"email": "Ada@Example.com", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    assert add(User, fields) == ""
    assert add(User, fields | {"email": "ADA@example.com"}) == "A user with this e-mail address exists already."
    User.objects.filter(email="ada@example.com").update(is_staff=True)
    client.logout()
    log_in = {"username": "ada@Example.com", "password": PASSWORD, "next": "/admin/"}
    response = client.post(reverse("admin:login"), log_in, follow=True)

    assert response.redirect_chain == [("/admin/", 302)]
    assert response.status_code == 200
    assert response.context["user"].email == "ada@example.com"
