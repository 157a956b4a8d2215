"""What each group is for can be done by its members, with the permissions that are delivered and no others."""

from decimal import Decimal

import pytest
from django.db import models

from tests.factories import UserFactory
from tests.trader.admin.forms import done
from tests.trader.admin.rows import new_deposit, url
from tests.trader.admin.site import member
from tests.trader.operations.books import Book
from trader.models import (
    Account,
    CorporateAction,
    Currency,
    Execution,
    FxRate,
    Instrument,
    InstrumentIdentifier,
    JournalEntry,
    Order,
    PriceBar,
    Venue,
)

pytestmark = pytest.mark.django_db

ADDED = [
    *(("trader", model) for model in (Order, Execution, JournalEntry, Instrument)),
    *(("trader", model) for model in (CorporateAction, FxRate, InstrumentIdentifier, PriceBar)),
    *(("operator", model) for model in (Account, Currency, Instrument, Venue, InstrumentIdentifier, FxRate, PriceBar)),
]


@pytest.mark.parametrize(("group", "model"), ADDED)
def test_a_member_finds_the_form_of_the_work(group: str, model: type[models.Model]) -> None:
    assert member(group).get(url(model, "add")).status_code == 200


def test_a_trader_orders_fills_corrects_and_busts() -> None:
    trader, book = member("trader"), Book()
    common = {"account": book.account.pk, "instrument": book.instrument.pk, "side": "BUY"}
    at = {"transact_time_0": "2026-02-01", "transact_time_1": "10:00"}
    commission = {"fees-0-type": "COMMISSION", "fees-0-amount": "1.5", "fees-0-currency": book.instrument.currency.pk}

    done(trader, url(Order, "add"), **common, cl_ord_id="O1", ord_type="MARKET", order_qty="10", time_in_force="DAY")
    order = Order.objects.get()
    done(trader, url(Order, "change", order.pk), to="0")
    filled = {"order": order.pk, "last_qty": "4", "last_px": "100", "exec_id": "X1"}
    done(trader, url(Execution, "add"), **common, **filled, **at, **commission)
    done(trader, url(Execution, "correct", Execution.objects.get().pk), last_qty="5", exec_id="X2")
    bust = url(Execution, "bust", Execution.objects.get(exec_id="X2").pk)
    assert trader.post(bust, {"exec_id": "X3"}).status_code == 302
    done(trader, url(Order, "replace", order.pk), cl_ord_id="O2", order_qty="8")

    assert Execution.objects.get(exec_id="X1").fees.get().amount == Decimal("1.5")
    assert book.position.quantity == 0
    assert Order.objects.get(cl_ord_id="O2").orig_order == order


def test_a_trader_reverses_an_entry() -> None:
    entry = new_deposit()

    assert member("trader").post(url(JournalEntry, "reverse", entry.pk)).status_code == 302

    assert JournalEntry.objects.filter(reverses=entry).exists()


def test_an_operator_opens_an_account_for_somebody() -> None:
    operator, owner = member("operator"), UserFactory.create()
    currency = Book().account.base_currency
    lookup = {"app_label": "trader", "model_name": "account", "field_name": "owner", "term": owner.email}

    assert str(owner.pk) in str(operator.get("/admin/autocomplete/", lookup).json())
    done(operator, url(Account, "add"), code="NEW", name="New", owner=owner.pk, base_currency=currency.pk)

    assert Account.objects.get(code="NEW").owner == owner
