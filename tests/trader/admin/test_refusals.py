"""What the database refuses only because of what somebody else did meanwhile."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client

from tests.factories import CurrencyFactory, UserFactory, VenueFactory
from tests.trader.admin.forms import Form, errors_of, last_message
from tests.trader.admin.rows import url
from tests.trader.conftest import Connect
from tests.trader.models.plain_sql import CHECK_REFERENCES, PlainBook
from trader.models import Account, Venue

SECONDS = 10.0
WAITS = "SELECT %s = ANY (pg_blocking_pids(%s))"


@pytest.fixture
def operator_client(committed: Connect, client: Client) -> Client:
    """A superuser's browser, in the database of the test's own."""
    operator = UserFactory.create(is_staff=True, is_superuser=True)
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return client


def post_behind(session: psycopg.Connection, client: Client, path: str, fields: dict[str, Any], **more: Any) -> Any:
    """Send a form that has to wait for what the session has written, which is committed then."""
    connection.ensure_connection()
    waiting = connection.connection.info.backend_pid

    def commit_once_waited_for() -> None:
        deadline = time.monotonic() + SECONDS
        while session.execute(WAITS, [session.info.backend_pid, waiting]).fetchone() != (True,):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        session.execute("COMMIT")

    with ThreadPoolExecutor(1) as thread:
        committing = thread.submit(commit_once_waited_for)
        response = client.post(path, fields, **more)
        committing.result()
    return response


def test_a_first_trade_that_came_between_freezes_the_account(operator_client: Client, committed: Connect) -> None:
    session = committed("owner")
    book = PlainBook(session)
    other = CurrencyFactory.create()
    page = url(Account, "change", book.account)
    entered = Form(operator_client.get(page).content.decode()).fields | {"base_currency": other.pk, "name": "Half"}
    session.execute("BEGIN")
    book.execution()

    response = post_behind(session, operator_client, page, entered)

    assert "rows of trader_execution were counted by it, so it stays as it is" in errors_of(response)
    account = Account.objects.get(pk=book.account)
    assert (account.base_currency_id, account.name) == (book.currency, "An account")
    assert operator_client.get(page).status_code == 200


@pytest.mark.parametrize("together", [False, True])
def test_a_first_use_that_came_between_keeps_a_row_from_being_deleted(
    operator_client: Client, committed: Connect, together: bool
) -> None:
    session = committed("owner")
    book = PlainBook(session)
    venue = VenueFactory.create(mic="QQQB")
    session.execute("BEGIN")
    book.another_instrument("BBB", venue_id=venue.pk)
    session.execute(CHECK_REFERENCES)
    page = url(Venue, "changelist") if together else url(Venue, "delete", venue.pk)
    chosen = {"action": "delete_selected", "_selected_action": [venue.pk], "post": "yes"}

    response = post_behind(session, operator_client, page, chosen, follow=True)

    assert 'is still referenced from table "trader_instrument"' in last_message(response)
    assert len(response.context["messages"]) == 1
    assert Venue.objects.filter(pk=venue.pk).exists()
