from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.db import models
from factory.django import DjangoModelFactory

from tests.factories import ExecutionFactory, JournalEntryFactory, PostingFactory
from tests.trader.conftest import Connect
from tests.trader.models.plain_sql import PlainBook, orm_refused, refused
from tests.trader.models.racing import SECONDS, begin, refused_rule

ANOTHER_CURRENCY = "(SELECT id FROM trader_currency WHERE code = 'QQB')"
ANOTHER_ACCOUNT = "(SELECT id FROM trader_account WHERE code = 'OTHER')"


@dataclass(frozen=True)
class Frozen:
    """A row, what uses it first, and the change that is refused from then on, where {id} is the row's."""

    row: Callable[[PlainBook], int]
    use: Callable[[PlainBook], Any]
    rule: str
    change: str

    def on(self, book: PlainBook) -> str:
        return self.change.format(id=self.row(book))


def frozen(
    table: str, row: Callable[[PlainBook], int], use: Callable[[PlainBook], Any], rules: tuple[str, str], *columns: str
) -> list[Frozen]:
    update, delete = (f"{table}_{rule}" for rule in rules)
    return [
        *(
            Frozen(row, use, update, f"UPDATE {table} SET {column} WHERE id = {{id}}")
            for column in (*columns, "id = 1000000")
        ),
        Frozen(row, use, delete, f"DELETE FROM {table} WHERE id = {{id}}"),
    ]


OF_ACCOUNT = (f"base_currency_id = {ANOTHER_CURRENCY}", "cost_basis_method = 'LIFO'", "fee_policy = 'IN_COST'")
FROZEN = [
    *frozen(
        "trader_currency",
        lambda book: book.currency,
        PlainBook.deposit,
        ("minor_unit_posting_rule", "delete_posting_rule"),
        "minor_unit = 3",
    ),
    *frozen(
        "trader_instrument",
        lambda book: book.instrument,
        PlainBook.execution,
        ("currency_multiplier_factor_execution_rule", "delete_execution_rule"),
        f"currency_id = {ANOTHER_CURRENCY}",
        "multiplier = 100",
        "price_quotation_factor = 0.01",
    ),
    *frozen(
        "trader_account",
        lambda book: book.account,
        PlainBook.execution,
        ("base_currency_method_fees_execution_rule", "delete_execution_rule"),
        *OF_ACCOUNT,
    ),
    *frozen(
        "trader_account",
        lambda book: book.account,
        PlainBook.deposit,
        ("base_currency_method_fees_entry_rule", "delete_entry_rule"),
        *OF_ACCOUNT,
    ),
    *frozen(
        "trader_ledgeraccount",
        lambda book: book.ledger_account("CASH"),
        PlainBook.deposit,
        ("account_kind_currency_posting_rule", "delete_posting_rule"),
        f"account_id = {ANOTHER_ACCOUNT}",
        "kind = 'INCOME'",
        f"currency_id = {ANOTHER_CURRENCY}",
    ),
]

every_frozen_column = pytest.mark.parametrize("case", FROZEN, ids=lambda case: f"{case.rule}: {case.change}")
every_rule = pytest.mark.parametrize(
    "case", {case.rule: case for case in reversed(FROZEN)}.values(), ids=lambda case: str(case.rule)
)


def book_of(session: psycopg.Connection) -> PlainBook:
    """A book with another currency and account, and nothing that is used."""
    book = PlainBook(session)
    book.another_currency()
    book.another_account("OTHER")
    book.ledger_account("CASH")
    return book


@pytest.mark.django_db
@every_frozen_column
def test_what_a_fact_was_counted_by_stays(session: psycopg.Connection, case: Frozen) -> None:
    book = book_of(session)
    change = case.on(book)
    with session.transaction(force_rollback=True):
        assert book.execute(change).rowcount == 1

    case.use(book)

    with refused(session, case.rule):
        book.execute(change)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trader_instrument SET symbol = 'NEW', name = 'New', qty_increment = 0.5, active = false",
        "UPDATE trader_account SET code = 'NEW', name = 'New', allow_short = true, broker = 'A broker'",
        "UPDATE trader_account SET cost_basis_method = cost_basis_method, fee_policy = fee_policy",
        "UPDATE trader_currency SET minor_unit = minor_unit",
    ],
)
def test_the_rest_of_a_used_row_changes(book: PlainBook, change: str) -> None:
    book.execution()
    book.deposit()

    assert book.execute(change).rowcount == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("factory", "reference", "changes", "rule"),
    [
        (PostingFactory, "currency", {"minor_unit": 3}, "trader_currency_minor_unit_posting_rule"),
        (
            ExecutionFactory,
            "instrument",
            {"multiplier": 10},
            "trader_instrument_currency_multiplier_factor_execution_rule",
        ),
        (
            ExecutionFactory,
            "account",
            {"cost_basis_method": "HIFO"},
            "trader_account_base_currency_method_fees_execution_rule",
        ),
        (
            JournalEntryFactory,
            "account",
            {"fee_policy": "IN_COST"},
            "trader_account_base_currency_method_fees_entry_rule",
        ),
        (
            PostingFactory,
            "ledger_account",
            {"kind": "EQUITY"},
            "trader_ledgeraccount_account_kind_currency_posting_rule",
        ),
    ],
)
def test_the_orm_cannot_change_what_a_fact_was_counted_by(
    factory: type[DjangoModelFactory[Any]], reference: str, changes: dict[str, Any], rule: str
) -> None:
    used: models.Model = getattr(factory.create(), reference)
    for name, value in changes.items():
        setattr(used, name, value)

    with orm_refused(rule):
        used.save()


@every_rule
def test_a_change_waits_for_a_first_use_that_is_not_committed(committed: Connect, case: Frozen) -> None:
    first, second = committed("application"), committed("application")
    with first.transaction():
        book = book_of(first)
        change = case.on(book)

    with first.transaction():
        case.use(book)
        changing = begin(lambda: second.execute(change.encode()), second, behind=first)

    assert refused_rule(changing) == case.rule


def test_a_change_goes_through_when_the_first_use_is_rolled_back(committed: Connect) -> None:
    first, second = committed("application"), committed("application")
    with first.transaction():
        book = book_of(first)

    with first.transaction(force_rollback=True):
        book.deposit()
        changing = begin(lambda: second.execute("UPDATE trader_currency SET minor_unit = 3"), second, behind=first)

    assert changing.result(timeout=SECONDS).rowcount > 0


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("UPDATE trader_currency SET minor_unit = 0 WHERE code = 'QQA'", "trader_posting_entry_rule"),
        (f"UPDATE trader_ledgeraccount SET currency_id = {ANOTHER_CURRENCY}", "trader_posting_entry_rule"),
    ],
)
def test_a_first_use_waits_for_a_change_and_is_counted_by_it(committed: Connect, change: str, rule: str) -> None:
    first, second = committed("application"), committed("application")
    with first.transaction():
        book = book_of(first)
    book.session = second

    def post() -> None:
        with second.transaction():
            book.posting(book.entry(), "CASH", "0.5")

    with first.transaction():
        first.execute(change.encode())
        posting = begin(post, second, behind=first)

    assert refused_rule(posting) == rule
