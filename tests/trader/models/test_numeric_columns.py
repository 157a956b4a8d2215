from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import connection, models
from psycopg.errors import NumericValueOutOfRange

from tests.trader.models.plain_sql import PlainBook

pytestmark = pytest.mark.django_db

IN_THE_DATABASE = r"""
    SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relname LIKE 'trader\_%' AND relkind IN ('r', 'p')
        AND NOT relispartition AND atttypid = 'numeric'::regtype AND attgenerated = ''
"""
# Not guarded, but found by rebuild_positions --check, which derives them anew.
PROJECTIONS = {"trader_position", "trader_taxlot", "trader_lotmatch"}
COLUMNS = [
    (model._meta.db_table, field.column)
    for model in apps.get_app_config("trader").get_models()
    for field in model._meta.local_fields
    if isinstance(field, models.DecimalField) and model._meta.db_table not in PROJECTIONS
]
# A row of the table, or of the table where the column may be filled in.
WRITE: dict[str, Callable[..., Any]] = {
    "trader_instrument": lambda book, **column: book.another_instrument("BBB", **column),
    "trader_corporateaction": lambda book, **column: book.dividend("1", **column),
    "trader_fxrate": lambda book, **column: book.rate(book.another_currency(), **column),
    "trader_pricebar": lambda book, **column: book.bar(**dict.fromkeys(("open", "high", "low", "close"), "1") | column),
    "trader_order": PlainBook.order,
    "trader_order.price": lambda book, **column: book.order(ord_type="LIMIT", **column),
    "trader_order.stop_px": lambda book, **column: book.order(ord_type="STOP", **column),
    "trader_execution": PlainBook.execution,
    "trader_execution.settl_amount": lambda book, **column: book.execution(settl_currency_id=book.currency, **column),
    "trader_executionfee": lambda book, **column: book.fee(book.execution(), **column),
    "trader_lotselection": lambda book, **column: book.selection(
        book.execution(side="SELL"), book.execution(), **column
    ),
    "trader_journalentry": PlainBook.entry,
    "trader_posting": lambda book, **column: book.posting(book.entry(), "CASH", **column),
}
# What an order is born with.
ZERO = {"cum_qty", "avg_px", "notional"}

every_column = pytest.mark.parametrize(("table", "column"), COLUMNS)


def write(book: PlainBook, table: str, column: str, value: str) -> None:
    with book.session.transaction(force_rollback=True):
        WRITE.get(f"{table}.{column}", WRITE[table])(book, **{column: value})


def test_every_numeric_column_of_the_book_is_tried_here() -> None:
    with connection.cursor() as cursor:
        cursor.execute(IN_THE_DATABASE)
        found = {(table, column) for table, column in cursor.fetchall() if table not in PROJECTIONS}

    assert found == set(COLUMNS)


@every_column
def test_what_is_not_a_number_is_refused(book: PlainBook, table: str, column: str) -> None:
    write(book, table, column, "0" if column in ZERO else "1")

    with pytest.raises(psycopg.IntegrityError) as refusal:
        write(book, table, column, "NaN")

    assert str(refusal.value.diag.constraint_name).startswith(f"{table}_")


@every_column
@pytest.mark.parametrize("value", ["Infinity", "-Infinity"])
def test_infinity_is_refused(book: PlainBook, table: str, column: str, value: str) -> None:
    with pytest.raises(NumericValueOutOfRange):
        write(book, table, column, value)
