from itertools import product
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError
from django.db.models import ProtectedError
from psycopg.errors import CheckViolation, ForeignKeyViolation, UniqueViolation

from tests.factories import AccountFactory, CurrencyFactory
from tests.trader.conftest import Add
from tests.trader.models.plain_sql import ACCOUNT, CHECK_REFERENCES, insert, referring
from trader.models import Account

pytestmark = pytest.mark.django_db

broken = pytest.mark.parametrize(
    ("field", "value"),
    [("cost_basis_method", "FEFO"), ("cost_basis_method", "fifo"), ("cost_basis_method", ""), ("fee_policy", "FREE")],
)


def form_fields() -> dict[str, Any]:
    """A valid account as the admin's form sends it."""
    sent = {name: value for name, value in ACCOUNT.items() if value}
    return sent | {"base_currency": CurrencyFactory.create().pk}


@broken
def test_sql_cannot_choose_an_unknown_rule(session: psycopg.Connection, field: str, value: str) -> None:
    row = referring(session, "trader_account", ACCOUNT)

    with pytest.raises(CheckViolation) as refusal:
        insert(session, "trader_account", row | {field: value})

    assert refusal.value.diag.constraint_name == f"trader_account_{field}_check"


@broken
def test_the_orm_cannot_choose_an_unknown_rule(field: str, value: str) -> None:
    with pytest.raises(IntegrityError, match=f"trader_account_{field}_check"):
        AccountFactory.create(**{field: value})


@broken
def test_the_form_refuses_an_unknown_rule(add: Add, field: str, value: str) -> None:
    errors = add(Account, form_fields() | {field: value})

    assert errors in {f"Select a valid choice. {value} is not one of the available choices.", "This field is required."}


def test_every_known_rule_is_accepted(session: psycopg.Connection) -> None:
    row = referring(session, "trader_account", ACCOUNT)

    for method, policy in product(Account.CostBasisMethod.values, Account.FeePolicy.values):
        code = f"{method}-{policy}"
        insert(session, "trader_account", row | {"code": code, "cost_basis_method": method, "fee_policy": policy})


def test_sql_cannot_insert_a_second(session: psycopg.Connection) -> None:
    row = referring(session, "trader_account", ACCOUNT)
    insert(session, "trader_account", row)

    with pytest.raises(UniqueViolation) as refusal:
        insert(session, "trader_account", row)

    assert refusal.value.diag.constraint_name == "trader_account_code_unique"


def test_the_orm_cannot_insert_a_second() -> None:
    AccountFactory.create(code="MINE")

    with pytest.raises(IntegrityError, match="trader_account_code_unique"):
        AccountFactory.create(code="MINE")


def test_the_form_refuses_a_second(add: Add) -> None:
    fields = form_fields()

    assert add(Account, fields) == ""
    assert add(Account, fields) == "Account with this Code already exists."


def test_the_form_refuses_an_unknown_time_zone(add: Add) -> None:
    errors = add(Account, form_fields() | {"time_zone": "Europe/Nowhere"})

    assert errors == "Europe/Nowhere is no IANA time zone, such as Europe/Zurich."


def test_an_account_needs_no_owner_and_counts_by_the_common_rules() -> None:
    account = Account.objects.create(code="MINE", name="Mine", base_currency=CurrencyFactory.create())

    assert account.owner is None
    assert (account.cost_basis_method, account.fee_policy, account.allow_short) == ("FIFO", "EXPENSED", False)


def test_sql_cannot_delete_the_base_currency(session: psycopg.Connection) -> None:
    row = referring(session, "trader_account", ACCOUNT)
    insert(session, "trader_account", row)
    session.execute(CHECK_REFERENCES)

    with pytest.raises(ForeignKeyViolation):
        session.execute("DELETE FROM trader_currency WHERE id = %(base_currency_id)s", row)


@pytest.mark.parametrize("reference", ["owner", "base_currency"])
def test_the_orm_does_not_delete_what_an_account_refers_to(reference: str) -> None:
    account = AccountFactory.create()

    with pytest.raises(ProtectedError):
        getattr(account, reference).delete()
