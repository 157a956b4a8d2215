from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection
from factory.django import DjangoModelFactory

from tests.factories import (
    ExecutionFactory,
    ExecutionFeeFactory,
    JournalEntryFactory,
    LotSelectionFactory,
    OrderEventFactory,
    PostingFactory,
)
from tests.trader.models.plain_sql import PlainBook, orm_refused, refused

pytestmark = pytest.mark.django_db

FACTS: dict[str, Callable[[PlainBook], Any]] = {
    "trader_orderevent": lambda book: book.event(book.order()),
    "trader_execution": PlainBook.execution,
    "trader_executionfee": lambda book: book.fee(book.execution()),
    "trader_lotselection": lambda book: book.selection(book.execution(side="SELL"), book.execution(), "1"),
    "trader_journalentry": PlainBook.deposit,
    "trader_posting": lambda book: book.posting(book.entry(), "CASH", "100"),
}
COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"

every_fact = pytest.mark.parametrize("table", FACTS)
every_factory = pytest.mark.parametrize(
    "factory",
    [
        OrderEventFactory,
        ExecutionFactory,
        ExecutionFeeFactory,
        LotSelectionFactory,
        JournalEntryFactory,
        PostingFactory,
    ],
)


def delete_rule(table: str) -> str:
    """An entry has a rule for each: it may be written again, by its own trigger, but never deleted."""
    return "trader_journalentry_delete_rule" if table == "trader_journalentry" else f"{table}_fact_rule"


@every_fact
def test_no_column_of_a_fact_is_updated(book: PlainBook, table: str) -> None:
    FACTS[table](book)
    columns = [column for (column,) in book.execute(COLUMNS, table)]

    for column in columns:
        with refused(book.session, f"{table}_fact_rule"):
            book.execute(f"UPDATE {table} SET {column} = {column}")

    assert "id" in columns


@every_fact
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {table}",
        "WITH gone AS (DELETE FROM {table} RETURNING id) SELECT id FROM gone",
        "MERGE INTO {table} USING (VALUES (1)) AS given ON true WHEN MATCHED THEN DELETE",
        "MERGE INTO {table} USING (VALUES (1)) AS given ON true WHEN MATCHED THEN UPDATE SET id = {table}.id",
        "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT (id) DO UPDATE SET id = excluded.id",
        "CREATE TEMPORARY VIEW facts AS SELECT * FROM {table}; DELETE FROM facts",
    ],
)
def test_no_statement_changes_a_fact(book: PlainBook, table: str, statement: str) -> None:
    FACTS[table](book)

    with refused(book.session, delete_rule(table) if "DELETE" in statement else f"{table}_fact_rule"):
        book.execute(statement.format(table=table))


@every_fact
def test_the_owner_does_not_truncate_facts(table: str) -> None:
    with orm_refused(f"{table}_truncate_rule"), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table} CASCADE")


@every_factory
def test_the_orm_does_not_update_a_fact(factory: type[DjangoModelFactory[Any]]) -> None:
    fact = factory.create()

    with orm_refused(f"{fact._meta.db_table}_fact_rule"):
        fact.save()


@every_factory
def test_the_orm_does_not_delete_a_fact(factory: type[DjangoModelFactory[Any]]) -> None:
    fact = factory.create()

    # Of an execution Django refuses it before the database: it is the trade that it belongs to.
    with pytest.raises(IntegrityError, match=r"what is recorded there stays as it is|referenced through protected"):
        fact.delete()


@pytest.mark.parametrize(
    ("write", "column", "rule"),
    [
        (PlainBook.order, "transact_time", "trader_order_dates_check"),
        (lambda book, **dates: book.order(time_in_force="GTD", **dates), "expire_time", "trader_order_dates_check"),
        (lambda book, **dates: book.event(book.order(), **dates), "at", "trader_orderevent_at_check"),
        (PlainBook.execution, "transact_time", "trader_execution_dates_check"),
        (PlainBook.execution, "trade_date", "trader_execution_dates_check"),
        (PlainBook.execution, "settl_date", "trader_execution_dates_check"),
        (PlainBook.execution, "recorded_at", "trader_execution_dates_check"),
        (PlainBook.entry, "value_date", "trader_journalentry_dates_check"),
        (PlainBook.entry, "recorded_at", "trader_journalentry_dates_check"),
    ],
)
def test_no_fact_is_of_a_day_that_python_has_not(
    book: PlainBook, write: Callable[..., Any], column: str, rule: str
) -> None:
    table = rule.rsplit("_", 2)[0]
    for day in ("infinity", "-infinity", "9999-12-31 00:00+00", "1799-12-31 00:00+00", "4713-01-01 BC"):
        with refused(book.session, rule):
            write(book, **{column: day})

    for day in ("1800-01-01 00:00+00", "9999-12-30 00:00+00"):
        fact = write(book, **{column: day})
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            book.execute(f"SET LOCAL TIME ZONE '{zone}'")
            assert book.value(f"SELECT {column} FROM {table} WHERE id = %s", fact).year in {1799, 1800, 9999}
