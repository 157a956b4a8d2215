from datetime import UTC, datetime

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from psycopg.errors import UniqueViolation

from tests.trader.models.plain_sql import insert
from trader.models import LoadedFixture

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SAP = {"model": "trader.instrument", "natural_key": ["SAP", "XETR", "EUR"], "loaded_at": NOW}


def test_sql_cannot_record_a_delivery_twice(session: psycopg.Connection) -> None:
    insert(session, "trader_loadedfixture", SAP)

    with pytest.raises(UniqueViolation) as refusal:
        insert(session, "trader_loadedfixture", SAP)

    assert refusal.value.diag.constraint_name == "trader_loadedfixture_model_natural_key_unique"


def test_the_orm_cannot_record_a_delivery_twice() -> None:
    LoadedFixture.objects.create(**SAP)

    with pytest.raises(ValidationError, match="already exists"):
        LoadedFixture(**SAP).full_clean()
    with pytest.raises(IntegrityError, match="trader_loadedfixture_model_natural_key_unique"):
        LoadedFixture.objects.create(**SAP)


@pytest.mark.parametrize("other", [{"model": "trader.account"}, {"natural_key": ["SAP", "XETR", "USD"]}])
def test_another_model_or_key_is_another_delivery(session: psycopg.Connection, other: dict[str, object]) -> None:
    insert(session, "trader_loadedfixture", SAP)

    insert(session, "trader_loadedfixture", SAP | other)


def test_a_delivery_is_named_by_model_and_key() -> None:
    assert str(LoadedFixture(**SAP)) == "trader.instrument SAP, XETR, EUR"
