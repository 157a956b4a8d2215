"""Who gets at which page of the admin, tried on every URL that it has."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client

from tests.trader.admin.rows import url
from tests.trader.admin.site import (
    PAGES,
    ROWS,
    SITE_VALUES,
    browser_of,
    forms_of,
    may,
    member,
    nothing_written,
    pages_of,
    values_of,
)
from trader.models import User
from trader.operations.groups import BOOK, GROUPS, SUPERUSERS_ALONE

pytestmark = pytest.mark.django_db

LOG_IN = "/admin/login/"
# What a person does with his own log-in, not with the book.
OWN_PAGES = ("login", "logout", "password_change", "second_factor", "second_factor_set_up", "second_factor_code")

every_model = pytest.mark.parametrize("model", admin.site._registry)
every_group = pytest.mark.parametrize("group", GROUPS)


def test_every_page_of_a_model_is_found_and_no_row_is_lacking() -> None:
    names = {page.name for page in PAGES}

    assert {"trader_order_replace", "trader_execution_bust", "trader_journalentry_reverse", "autocomplete"} <= names
    assert admin.site._registry.keys() == ROWS.keys()


@pytest.mark.parametrize("model", [*ROWS])
def test_somebody_has_decided_who_may_do_what_with_every_model(model: type[models.Model]) -> None:
    label = model._meta.label_lower
    app, name = label.split(".")
    given = {permission for permissions in GROUPS.values() for permission in permissions}

    assert (f"{app}.view_{name}" in given) != (label in SUPERUSERS_ALONE)


def test_every_permission_that_is_given_exists(db: None) -> None:
    existing = {f"{app}.{name}" for app, name in Permission.objects.values_list("content_type__app_label", "codename")}

    assert frozenset.union(*GROUPS.values()) <= existing


@every_group
@every_model
def test_a_group_writes_nothing_that_its_permissions_do_not_say(model: type[models.Model], group: str) -> None:
    client = member(group)
    row = ROWS[model]()

    for page in pages_of(model):
        if may(group, page.writing_permissions):
            continue
        path = page.path(values_of(row))
        with nothing_written():
            seen, *sent = client.get(path), *(client.post(path, form) for form in forms_of(page, row))
        assert seen.status_code in {200, 302, 403}, path
        assert {each.status_code for each in sent} == {403} or not page.needs_permission, path
    assert model._default_manager.filter(pk=row.pk).exists()


@every_group
@every_model
def test_a_group_sees_what_its_permissions_say_and_no_more(model: type[models.Model], group: str) -> None:
    client = member(group)
    row = ROWS[model]()
    page = pages_of(model)[0]
    seen = 200 if may(group, page.permissions(["view"])) else 403

    for path in (url(model, "changelist"), url(model, "change", row.pk), url(model, "history", row.pk)):
        assert client.get(path).status_code == seen, path
    found = client.get("/admin/").context["app_list"]
    assert (model in {each["model"] for app in found for each in app["models"]}) == (seen == 200)


def test_a_viewer_writes_nothing_by_a_page_that_is_no_models_own() -> None:
    client = member("viewer")

    for page in pages_of(None):
        if page.name not in OWN_PAGES:
            with nothing_written():
                client.get(page.path(SITE_VALUES))
                client.post(page.path(SITE_VALUES), {"post": "yes"})


@pytest.mark.parametrize("model", ["user", "loadedfixture"])
def test_a_viewer_looks_nobody_up(model: str) -> None:
    lookup = {"app_label": "trader", "model_name": "account", "field_name": "owner", "term": ""}

    assert member("viewer").get("/admin/autocomplete/", lookup).status_code == 403
    assert f"trader.view_{model}" not in GROUPS["viewer"] | GROUPS["trader"]
    assert model not in BOOK


@pytest.mark.parametrize("model", [None, *admin.site._registry])
def test_a_stranger_is_sent_to_the_log_in_by_every_page(client: Client, model: type[models.Model] | None) -> None:
    values = values_of(ROWS[model]()) if model else SITE_VALUES

    for page in pages_of(model):
        path = page.path(values)
        if page.name in {"login", "logout"}:
            continue
        for send in (client.get, client.post):
            response = send(path)
            assert response.status_code == 302, path
            assert response["Location"].startswith(LOG_IN), path


@pytest.mark.parametrize("model", [None, *admin.site._registry])
def test_no_page_takes_a_form_from_elsewhere(operator: User, model: type[models.Model] | None) -> None:
    client = browser_of(operator, enforce_csrf_checks=True)
    values = values_of(ROWS[model]()) if model else SITE_VALUES

    for page in pages_of(model):
        with nothing_written():
            response = client.post(page.path(values), {"post": "yes"})
        assert response.status_code == 403, page
