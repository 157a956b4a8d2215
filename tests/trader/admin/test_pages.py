"""Every page of the admin, asked for as a browser would."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from tests.factories import AccountFactory, CurrencyFactory, InstrumentFactory, UserFactory, VenueFactory
from tests.trader.conftest import Add
from trader.models import Account, Currency, Instrument, LoadedFixture, User, Venue

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
PASSWORD = "a long password"
MOST_QUERIES = 20

numbers = count()


def new_currency() -> Currency:
    return CurrencyFactory.create(code=f"Q{next(numbers):05}")


def new_venue() -> Venue:
    return VenueFactory.create(mic=f"{next(numbers):04}")


# Each row with references of its own, so that a query a row shows.
NEW_ROW: dict[type[models.Model], Callable[[], models.Model]] = {
    User: UserFactory.create,
    Currency: new_currency,
    Venue: new_venue,
    Instrument: lambda: InstrumentFactory.create(venue=new_venue(), currency=new_currency()),
    Account: lambda: AccountFactory.create(base_currency=new_currency()),
    LoadedFixture: lambda: LoadedFixture.objects.create(
        model="trader.currency", natural_key=[f"Q{next(numbers):05}"], loaded_at=NOW
    ),
}
FIRST_SEARCHED = {
    User: "email",
    Currency: "code",
    Venue: "mic",
    Instrument: "symbol",
    Account: "code",
    LoadedFixture: "natural_key",
}

every_model = pytest.mark.parametrize("model", NEW_ROW)
every_writable_model = pytest.mark.parametrize("model", [model for model in NEW_ROW if model is not LoadedFixture])


def url(model: type[models.Model], page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def staff(*permissions: str) -> Client:
    """A browser in which a member of the staff with these permissions is logged in."""
    user = UserFactory.create(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_every_model_of_the_book_is_tried_here() -> None:
    registered = {model for model in admin.site._registry if model._meta.app_label == "trader"}

    assert registered == NEW_ROW.keys()


@pytest.mark.parametrize("model", admin.site._registry)
def test_every_list_answers_and_searches(operator_client: Client, model: type[models.Model]) -> None:
    assert operator_client.get(url(model, "changelist")).status_code == 200
    assert operator_client.get(url(model, "changelist"), {"q": "anything"}).status_code == 200


@every_model
def test_a_search_finds_one_row_among_others(operator_client: Client, model: type[models.Model]) -> None:
    rows = [NEW_ROW[model]() for _ in range(3)]
    wanted = getattr(rows[1], FIRST_SEARCHED[model])

    found = operator_client.get(url(model, "changelist"), {"q": "".join(wanted)}).context["cl"]

    assert list(found.result_list) == [rows[1]]


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
    for _ in range(2):
        NEW_ROW[model]()
    few = queries_of(operator_client, path)
    for _ in range(20):
        NEW_ROW[model]()

    many = queries_of(operator_client, path)

    assert many == few
    assert many <= MOST_QUERIES


@every_model
def test_a_row_has_its_page(operator_client: Client, model: type[models.Model]) -> None:
    path = url(model, "change", NEW_ROW[model]().pk)

    assert queries_of(operator_client, path) <= MOST_QUERIES


@every_writable_model
def test_a_row_can_be_added_and_deleted(operator_client: Client, model: type[models.Model]) -> None:
    row = NEW_ROW[model]()

    assert operator_client.get(url(model, "add")).status_code == 200
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
