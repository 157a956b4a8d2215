"""What people and files have called things is text on every page, whatever it looks like."""

from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import models
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings

from tests.factories import (
    DAY,
    AccountFactory,
    CurrencyFactory,
    FxRateFactory,
    ImportBatchFactory,
    ImportRowFactory,
    InstrumentFactory,
    InstrumentIdentifierFactory,
    OrderEventFactory,
    PriceBarFactory,
    UserFactory,
    VenueFactory,
)
from tests.trader.admin.rows import NOW, url
from tests.trader.admin.site import ATTEMPT, pages_of, values_of
from tests.trader.operations.books import Book, fee
from trader.models import Instrument, LoadedFixture, Order, User
from trader.operations.executions import bust
from trader.operations.ledger import record_cash
from trader.operations.orders import place_order

pytestmark = pytest.mark.django_db

HOSTILE = "</textarea><script id=evil>alert(1)</script>\"'><img id=evil src=x onerror=alert(1)>"
# Out of an attribute and out of a script, in as little as the shortest columns hold.
SHORT = "\"'></script><i id=evil>"
MAIL = "\"'><i/id=evil>@example.com"


class Injected(HTMLParser):
    """The elements that came out of a text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if ("id", "evil") in attrs or "onerror" in dict(attrs):
            self.found.append(tag)


def assert_harmless(response: Any) -> None:
    if response.get("Content-Type", "").startswith(("application/json", "text/csv")):
        assert response["X-Content-Type-Options"] == "nosniff"
    else:
        assert Injected(response.content.decode()).found == [], response.request["PATH_INFO"]


@pytest.fixture
def hostile_book(operator: User) -> Instrument:
    """As much of it as the database lets anybody call so. The instrument that all of it is about."""
    User.objects.filter(pk=operator.pk).update(full_name=HOSTILE, email=MAIL)
    owner = UserFactory.create(full_name=HOSTILE, email=f"x{MAIL}")
    venue = VenueFactory.create(mic="EVIL", name=HOSTILE, calendar=SHORT)
    account = AccountFactory.create(code=SHORT, name=HOSTILE, broker=HOSTILE, owner=owner)
    instrument: Instrument = InstrumentFactory.create(venue=venue, symbol=SHORT, name=HOSTILE)
    book = Book(account, instrument)
    order = place_order(
        account=account,
        instrument=instrument,
        cl_ord_id=SHORT,
        side="BUY",
        ord_type=Order.OrdType.MARKET,
        order_qty=Decimal(100),
        actor=HOSTILE,
        now=NOW,
    )
    OrderEventFactory.create(order=order, actor=HOSTILE, payload={"text": HOSTILE})
    bought = book.buy("10", exec_id=HOSTILE, fees=[fee("1")], order=order)
    bust(
        book.sell("5", exec_id=f"S{HOSTILE}", lots=[(bought, Decimal(5))]), exec_id=f"H{SHORT}", actor=HOSTILE, now=NOW
    )
    book.sell("5", exec_id=f"T{HOSTILE}", lots=[(bought, Decimal(5))])
    record_cash(
        account=account,
        kind="DIVIDEND",
        currency=CurrencyFactory.create(),
        amount=Decimal(1),
        value_date=DAY,
        actor=HOSTILE,
        instrument=instrument,
        now=NOW,
    )
    batch = ImportBatchFactory.create(account=account, source=SHORT, file_name=HOSTILE, actor=HOSTILE)
    ImportRowFactory.create(batch=batch, raw=HOSTILE, external_id=HOSTILE)
    InstrumentIdentifierFactory.create(instrument=instrument, value=SHORT)
    FxRateFactory.create(source=SHORT)
    PriceBarFactory.create(instrument=instrument, source=SHORT)
    Group.objects.create(name=HOSTILE)
    LoadedFixture.objects.create(model=HOSTILE, natural_key=[HOSTILE], loaded_at=NOW)
    TOTPDevice.objects.create(user=owner, name=SHORT)
    failed = ATTEMPT | {"user_agent": HOSTILE, "path_info": HOSTILE, "username": HOSTILE}
    AccessAttempt.objects.create(**failed, failures_since_start=1)
    AccessLog.objects.create(**failed)
    return instrument


@pytest.mark.parametrize("text", [HOSTILE, SHORT, MAIL])
def test_what_would_be_markup_is_noticed(text: str) -> None:
    assert Injected(f"<p>{text}</p>").found


@pytest.mark.parametrize("model", admin.site._registry)
def test_no_page_takes_a_name_for_markup(
    operator_client: Client, hostile_book: Instrument, model: type[models.Model]
) -> None:
    for row in model._default_manager.all()[:3]:
        LogEntry.objects.log_actions(User.objects.all()[0].pk, [row], 2, HOSTILE, single_object=True)
        for page in pages_of(model):
            assert_harmless(operator_client.get(page.path(values_of(row)), follow=True))
    for searched in ({"q": SHORT}, {"q": HOSTILE}, {"o": "1"}, {HOSTILE: "1"}):
        assert_harmless(operator_client.get(url(model, "changelist"), searched, follow=True))
    chosen = {
        "action": "delete_selected",
        "_selected_action": [*model._default_manager.values_list("pk", flat=True)[:5]],
    }
    assert_harmless(operator_client.post(url(model, "changelist"), chosen, follow=True))


def test_no_refusal_message_or_overview_takes_a_name_for_markup(
    operator_client: Client, hostile_book: Instrument
) -> None:
    pages = [
        operator_client.post(url(Instrument, "delete", hostile_book.pk), {"post": "yes"}, follow=True),
        operator_client.post(url(Instrument, "change", hostile_book.pk), {"symbol": HOSTILE, "name": HOSTILE}),
        operator_client.post(url(User, "add"), {"email": HOSTILE}),
        operator_client.get("/admin/"),
        operator_client.get("/admin/second_factor/"),
        operator_client.get("/admin/nothing-is-here/" + SHORT),
    ]

    assert hostile_book.symbol == SHORT
    for page in pages:
        assert_harmless(page)


@pytest.mark.parametrize(
    ("model", "field"), [("account", "owner"), ("order", "account"), ("order", "instrument"), ("instrument", "venue")]
)
def test_what_a_field_offers_is_data_and_no_page(
    operator_client: Client, hostile_book: Instrument, model: str, field: str
) -> None:
    lookup = {"app_label": "trader", "model_name": model, "field_name": field, "term": ""}

    found = operator_client.get("/admin/autocomplete/", lookup)

    assert found["Content-Type"] == "application/json"
    assert "id=evil" in str(found.json())
    assert_harmless(found)


def test_the_log_in_takes_no_name_for_markup(client: Client, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for _ in range(5):
        page = client.post(f"/admin/login/?next={SHORT}", {"username": HOSTILE, "password": SHORT, "next": SHORT})
        assert_harmless(page)
    assert page.status_code == 429
