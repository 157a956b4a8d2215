from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client

from tests.trader.admin.rows import ADDED, NEW_ROW, new_deposit, new_trade, staff, url
from tests.trader.operations.books import Book
from trader.models import Execution, JournalEntry, Order

pytestmark = pytest.mark.django_db

STEPS = [
    (Order, "replace", lambda: Book().order()),
    (Execution, "correct", new_trade),
    (Execution, "bust", new_trade),
    (JournalEntry, "reverse", new_deposit),
]

every_step = pytest.mark.parametrize(("model", "step", "new_row"), STEPS)


@pytest.fixture
def viewer_client(db: None) -> Client:
    """A browser of somebody who may look at all."""
    return staff(*Permission.objects.filter(codename__startswith="view_").values_list("codename", flat=True))


def written() -> list[list[Any]]:
    return [list(model._default_manager.order_by("pk").values()) for model in NEW_ROW]


@every_step
def test_a_viewer_takes_no_step(
    viewer_client: Client, model: type[models.Model], step: str, new_row: Callable[[], models.Model]
) -> None:
    row = new_row()
    before = written()

    tools = viewer_client.get(url(model, "change", row.pk)).context["tools"]
    assert {tool.label for tool in tools} <= {"All events", "All executions"}
    for send in (viewer_client.get, viewer_client.post):
        assert send(url(model, step, row.pk)).status_code == 403

    assert written() == before


def test_a_viewer_does_not_move_an_order(viewer_client: Client) -> None:
    order = Book().order()

    assert viewer_client.post(url(Order, "change", order.pk), {"to": "0"}).status_code == 403

    assert Order.objects.get(pk=order.pk).lifecycle == "A"


def test_an_order_is_replaced_by_who_may_add_and_change_one() -> None:
    order = Book().order()

    statuses = [
        staff(*permissions).get(url(Order, "replace", order.pk)).status_code
        for permissions in (["add_order"], ["change_order"], ["add_order", "change_order"])
    ]

    assert statuses == [403, 403, 200]


@pytest.mark.parametrize("model", ADDED)
def test_nobody_changes_or_deletes_a_fact(operator_client: Client, model: type[models.Model]) -> None:
    row = Book().order() if model is Order else NEW_ROW[model]()
    before = written()

    assert operator_client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    operator_client.post(url(model, "change", row.pk), {"cl_ord_id": "ANOTHER", "last_qty": "1", "kind": "FEE"})

    assert written() == before
