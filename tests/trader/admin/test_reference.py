"""Reference data and accounts, as far as something was counted by them."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import InstrumentFactory
from tests.trader.admin.forms import done, refused
from tests.trader.admin.rows import NEW_ROW, new_currency, new_trade, url
from tests.trader.operations.books import Book, figures
from trader.models import Account, Currency, Instrument, InstrumentIdentifier

pytestmark = pytest.mark.django_db

ISIN, ISIN_WITH_A_TYPO = "CH0038863350", "CH0038863351"

frozen_once_used = pytest.mark.parametrize(
    ("model", "changes"),
    [
        (Currency, {"minor_unit": 3}),
        (Instrument, {"multiplier": 100, "price_quotation_factor": Decimal("0.01"), "currency": None}),
        (Account, {"base_currency": None, "cost_basis_method": "LIFO", "fee_policy": "IN_COST"}),
    ],
)


def used(model: type[models.Model]) -> models.Model:
    trade = new_trade()
    rows = {Currency: trade.instrument.currency, Instrument: trade.instrument, Account: trade.account}
    return rows[model]


def change(client: Client, row: models.Model, changes: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Enter these values, another currency for None; returns what they are in the row then, and what was entered."""
    other = new_currency()
    done(client, url(type(row), "change", row.pk), **{name: value or other.pk for name, value in changes.items()})
    row.refresh_from_db()
    return figures(row, *changes), tuple(value or other for value in changes.values())


@frozen_once_used
def test_what_nothing_was_counted_by_is_changed(
    operator_client: Client, model: type[models.Model], changes: dict[str, Any]
) -> None:
    stored, entered = change(operator_client, NEW_ROW[model](), changes)

    assert stored == entered


@frozen_once_used
def test_what_something_was_counted_by_is_shown_and_not_changed(
    operator_client: Client, model: type[models.Model], changes: dict[str, Any]
) -> None:
    row = used(model)
    before = figures(row, *changes)

    stored, _ = change(operator_client, row, changes)

    assert stored == before
    page = operator_client.get(url(model, "change", row.pk))
    assert changes.keys().isdisjoint(page.context["adminform"].form.fields)


def test_an_instrument_in_use_is_renamed(operator_client: Client) -> None:
    instrument = Book().buy("1").instrument

    done(operator_client, url(Instrument, "change", instrument.pk), symbol="NEW")

    instrument.refresh_from_db()
    assert instrument.symbol == "NEW"


def test_a_position_follows_its_instruments_increment(operator_client: Client) -> None:
    book = Book(instrument=InstrumentFactory.create(qty_increment=1))
    book.buy("10")
    book.sell("9.6")
    whole = book.position.quantity

    done(operator_client, url(Instrument, "change", book.instrument.pk), qty_increment="0.1")

    assert [whole, book.position.quantity] == [0, Decimal("0.4")]


@pytest.mark.parametrize("model", [Currency, Instrument, Account])
def test_what_is_in_use_is_not_deleted(operator_client: Client, model: type[models.Model]) -> None:
    row = used(model)

    page = operator_client.post(url(model, "delete", row.pk), {"post": "yes"})

    assert f"Cannot delete {model._meta.verbose_name}" in page.content.decode()
    assert "Executions" in page.context["protected"] or model is Currency
    assert model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("together", [False, True])
def test_what_stands_in_the_way_of_deleting_is_not_read_row_by_row(operator_client: Client, together: bool) -> None:
    account = used(Account)
    chosen = {"action": "delete_selected", "_selected_action": [account.pk]}
    page = url(Account, "changelist") if together else url(Account, "delete", account.pk)

    with CaptureQueriesContext(connection) as queries:
        shown = operator_client.post(page, chosen)

    assert "Executions" in shown.context["protected"]
    asked = [query["sql"] for query in queries if 'FROM "trader_execution"' in query["sql"]]
    assert asked
    assert all(sql.endswith("LIMIT 1") for sql in asked)


def test_an_identifier_is_valid_for_days(operator_client: Client) -> None:
    instrument = InstrumentFactory.create()
    entered = {"instrument": instrument.pk, "source": "ISIN", "value": ISIN}

    done(operator_client, url(InstrumentIdentifier, "add"), **entered, valid_0="2020-01-01", valid_1="2021-01-01")
    done(operator_client, url(InstrumentIdentifier, "add"), **entered, valid_0="2021-01-01")

    first, second = InstrumentIdentifier.objects.order_by("pk")
    assert [str(day) for day in (first.valid.lower, first.valid.upper)] == ["2020-01-01", "2021-01-01"]
    assert second.valid.upper is None
    assert "2020-01-01 to 2021-01-01" in operator_client.get(url(InstrumentIdentifier, "changelist")).content.decode()


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"value": ISIN_WITH_A_TYPO}, "The source gives no such value: the form or the check digit is wrong."),
        ({"valid_0": "2020-06-01"}, "On some of those days the name has an owner already."),
        ({"valid_0": "2022-01-01", "valid_1": "2022-01-01"}, "The days have a first one before their end."),
        ({"valid_0": "2023-01-01"}, "The start of the range must not exceed the end of the range."),
        ({"mic": "xs"}, "A MIC has four capital letters and digits."),
    ],
)
def test_an_identifier_that_breaks_a_rule_is_refused(
    operator_client: Client, entered: dict[str, str], message: str
) -> None:
    taken = {"source": "ISIN", "value": ISIN, "valid_0": "2020-01-01", "valid_1": "2021-01-01"}
    done(operator_client, url(InstrumentIdentifier, "add"), **taken, instrument=InstrumentFactory.create().pk)
    other = taken | {"instrument": InstrumentFactory.create().pk, "valid_0": "2022-01-01", "valid_1": "2022-12-31"}

    assert refused(operator_client, url(InstrumentIdentifier, "add"), **other | entered) == message

    assert InstrumentIdentifier.objects.count() == 1


def test_an_instrument_takes_an_identifier_on_its_own_page(operator_client: Client) -> None:
    instrument = InstrumentFactory.create()
    page = url(Instrument, "change", instrument.pk)
    entered = {
        "identifiers-TOTAL_FORMS": "2",
        "identifiers-0-source": "ISIN",
        "identifiers-0-value": ISIN,
        "identifiers-0-valid_0": "2020-01-01",
    }
    same_days = {name.replace("-0-", "-1-"): value for name, value in entered.items()}

    twice = refused(operator_client, page, **entered | same_days, name="Half")
    done(operator_client, page, **entered | {"identifiers-TOTAL_FORMS": "1"})

    assert twice == "On some of those days the name has an owner already."
    assert str(instrument.identifiers.get()) == f"ISIN {ISIN}"
    instrument.refresh_from_db()
    assert instrument.name != "Half"
