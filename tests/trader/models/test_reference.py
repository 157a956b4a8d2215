from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, models
from django.db.models import ProtectedError
from psycopg.errors import CheckViolation, ForeignKeyViolation, UniqueViolation

from tests.factories import CurrencyFactory, InstrumentFactory, VenueFactory
from tests.trader.conftest import Add
from tests.trader.models.plain_sql import (
    CHECK_REFERENCES,
    CURRENCY,
    INSTRUMENT,
    VENUE,
    insert,
    referring,
)
from trader.models import Currency, Instrument, Venue

pytestmark = pytest.mark.django_db

ROWS: dict[type[models.Model], dict[str, Any]] = {Currency: CURRENCY, Venue: VENUE, Instrument: INSTRUMENT}
CODE = "A code has 3 to 10 capital letters and digits, a letter first."
MINOR_UNIT = "A minor unit is 0 to 18 decimal places."
MIC = "A MIC has four capital letters and digits."

broken = pytest.mark.parametrize(
    ("model", "field", "value", "message"),
    [
        (Currency, "code", "chf", CODE),
        (Currency, "code", "CH", CODE),
        (Currency, "code", "1INCH", CODE),
        (Currency, "code", "C-F", CODE),
        (Currency, "minor_unit", -1, MINOR_UNIT),
        (Currency, "minor_unit", 19, MINOR_UNIT),
        (Venue, "mic", "xswx", MIC),
        (Venue, "mic", "XSW", MIC),
        (Venue, "mic", "XS.X", MIC),
        (Instrument, "multiplier", "0", "A multiplier is positive."),
        (Instrument, "multiplier", "-1", "A multiplier is positive."),
        (Instrument, "price_quotation_factor", "0", "A price quotation factor is positive."),
        (Instrument, "price_quotation_factor", "-0.01", "A price quotation factor is positive."),
        (Instrument, "qty_increment", "0", "A quantity increment is positive."),
        (Instrument, "qty_increment", "-1", "A quantity increment is positive."),
        (Instrument, "price_increment", "0", "A price increment is positive."),
        (Instrument, "price_increment", "-0.05", "A price increment is positive."),
    ],
)
twice = pytest.mark.parametrize(
    ("model", "constraint"),
    [
        (Currency, "trader_currency_code_unique"),
        (Venue, "trader_venue_mic_unique"),
        (Instrument, "trader_instrument_venue_symbol_currency_unique"),
    ],
)


def orm_fields(model: type[models.Model]) -> dict[str, Any]:
    """What a valid row of the model is made of."""
    references = {"venue": VenueFactory.create(), "currency": CurrencyFactory.create()}
    return ROWS[model] | (references if model is Instrument else {})


def form_fields(model: type[models.Model]) -> dict[str, Any]:
    """The same as the admin's form sends it."""
    fields = {name: getattr(value, "pk", value) for name, value in orm_fields(model).items()}
    return {name: value for name, value in fields.items() if value is not None}


@broken
def test_sql_cannot_break(
    session: psycopg.Connection, model: type[models.Model], field: str, value: Any, message: str
) -> None:
    table = model._meta.db_table
    row = referring(session, table, ROWS[model])

    with pytest.raises(CheckViolation) as refusal:
        insert(session, table, row | {field: value})

    assert refusal.value.diag.constraint_name == f"{table}_{field}_check"


@pytest.mark.parametrize("column", ["multiplier", "price_quotation_factor", "qty_increment", "price_increment"])
def test_sql_cannot_store_what_is_not_a_number(session: psycopg.Connection, column: str) -> None:
    row = referring(session, "trader_instrument", ROWS[Instrument])

    with pytest.raises(CheckViolation, match=f"trader_instrument_{column}_check"):
        insert(session, "trader_instrument", row | {column: "NaN"})


@broken
def test_the_orm_cannot_break(model: type[models.Model], field: str, value: Any, message: str) -> None:
    fields = orm_fields(model) | {field: value}

    with pytest.raises(IntegrityError, match=f"{model._meta.db_table}_{field}_check"):
        model._default_manager.create(**fields)


@broken
def test_the_form_says_what_is_broken(
    add: Add, model: type[models.Model], field: str, value: Any, message: str
) -> None:
    errors = add(model, form_fields(model) | {field: value})

    assert errors == message


@twice
def test_sql_cannot_insert_a_second(session: psycopg.Connection, model: type[models.Model], constraint: str) -> None:
    row = referring(session, model._meta.db_table, ROWS[model])
    insert(session, model._meta.db_table, row)

    with pytest.raises(UniqueViolation) as refusal:
        insert(session, model._meta.db_table, row)

    assert refusal.value.diag.constraint_name == constraint


@twice
def test_the_orm_cannot_insert_a_second(model: type[models.Model], constraint: str) -> None:
    fields = orm_fields(model)
    model._default_manager.create(**fields)

    with pytest.raises(IntegrityError, match=constraint):
        model._default_manager.create(**fields)


@twice
def test_the_form_refuses_a_second(add: Add, model: type[models.Model], constraint: str) -> None:
    fields = form_fields(model)

    assert add(model, fields) == ""
    assert "already exists" in add(model, fields)


@pytest.mark.parametrize("code", ["CHF", "BTC", "USDT", "A1B2C3D4E5"])
def test_currencies_and_coins_are_told_by_their_codes(session: psycopg.Connection, code: str) -> None:
    insert(session, "trader_currency", {"code": code, "minor_unit": 18})


def test_a_symbol_may_be_listed_in_another_currency_and_on_another_venue() -> None:
    first = InstrumentFactory.create(symbol="ABC")

    InstrumentFactory.create(symbol="ABC", currency=CurrencyFactory.create(code="USD"))
    InstrumentFactory.create(symbol="ABC", venue=VenueFactory.create(mic="XNAS"))

    assert str(first) == "ABC.XSWX:CHF"
    assert Instrument.objects.filter(symbol="ABC").count() == 3


@pytest.mark.parametrize(
    "delete",
    ["DELETE FROM trader_venue WHERE id = %(venue_id)s", "DELETE FROM trader_currency WHERE id = %(currency_id)s"],
)
def test_sql_cannot_delete_what_an_instrument_refers_to(session: psycopg.Connection, delete: str) -> None:
    row = referring(session, "trader_instrument", INSTRUMENT)
    insert(session, "trader_instrument", row)
    session.execute(CHECK_REFERENCES)

    with pytest.raises(ForeignKeyViolation):
        session.execute(delete, row)


@pytest.mark.parametrize("reference", ["venue", "currency"])
def test_the_orm_does_not_delete_what_an_instrument_refers_to(reference: str) -> None:
    instrument = InstrumentFactory.create()

    with pytest.raises(ProtectedError):
        getattr(instrument, reference).delete()


def test_the_form_of_a_venue_refuses_an_unknown_time_zone(add: Add) -> None:
    errors = add(Venue, form_fields(Venue) | {"time_zone": "Europe/Nowhere"})

    assert errors == "Europe/Nowhere is no IANA time zone, such as Europe/Zurich."
