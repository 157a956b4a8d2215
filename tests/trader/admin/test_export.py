"""Lists taken along as CSV, as a spreadsheet or a script would read them."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import (
    AccountFactory,
    ExecutionFactory,
    FxRateFactory,
    InstrumentFactory,
    InstrumentIdentifierFactory,
)
from tests.trader.admin.rows import NEW_ROW, staff, url
from trader.admin.export import ROWS_OF_A_PIECE, as_text
from trader.admin.pages import BookModelAdmin
from trader.models import Account, Currency, Execution, ExecutionFee, FxRate, Instrument, InstrumentIdentifier, Order

pytestmark = pytest.mark.django_db

EXPORTED = [model for model, page in admin.site._registry.items() if isinstance(page, BookModelAdmin)]
MANY_RATES = """
    INSERT INTO trader_fxrate (base_id, quote_id, source, at, rate)
    SELECT %s, %s, 'a vendor', timestamptz '2015-01-01 00:00+00' + n * interval '1 hour', n
    FROM generate_series(1, %s) n
"""


def exported(client: Client, model: type[models.Model], **asked: Any) -> list[dict[str, str]]:
    response = client.get(url(model, "export"), asked)
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text, newline="")))


def many_rates(count: int) -> None:
    rate = FxRateFactory.create(rate=Decimal("0.5"))
    with connection.cursor() as cursor:
        cursor.execute(MANY_RATES, [rate.base_id, rate.quote_id, count - 1])


@pytest.mark.parametrize("model", EXPORTED)
def test_every_list_is_exported_by_as_many_queries_for_many_rows_as_for_one(
    operator_client: Client, model: type[models.Model]
) -> None:
    assert exported(operator_client, model) == []
    counted = []

    for _ in range(4):
        NEW_ROW[model]()
        with CaptureQueriesContext(connection) as queries:
            rows = exported(operator_client, model)
        counted.append(len(queries))

    assert [row[model._meta.pk.name] for row in rows] == [
        str(key) for key in model._default_manager.order_by("pk").values_list("pk", flat=True)
    ]
    assert counted[-1] == counted[1]


def test_an_export_has_the_columns_of_the_list_in_full(operator_client: Client) -> None:
    execution = ExecutionFactory.create(
        exec_id="T1",
        last_qty=Decimal("0.000000010000000001"),
        last_px=Decimal("100.10"),
        transact_time=datetime(2026, 1, 5, 15, 30, 0, 250000, tzinfo=UTC),
    )

    (row,) = exported(operator_client, Execution)

    assert row == {
        "id": str(execution.pk),
        "transact_time": "2026-01-05T15:30:00.250000+00:00",
        "account": str(execution.account),
        "instrument": str(execution.instrument),
        "side": "BUY",
        "last_qty": "0.000000010000000001",
        "last_px": "100.1",
        "exec_type": "F",
        "exec_id": "T1",
    }


def test_words_of_other_columns_are_those_of_the_list(operator_client: Client) -> None:
    NEW_ROW[Order]()
    identifier = InstrumentIdentifierFactory.create()

    (order,) = exported(operator_client, Order)
    (named,) = exported(operator_client, InstrumentIdentifier)

    assert (order["status"], order["price"], order["leaves_qty"]) == ("Pending new", "", "100")
    assert named["valid"] == f"{identifier.valid.lower}/.."


def test_a_header_alone_is_exported_of_an_empty_list(operator_client: Client) -> None:
    response = operator_client.get(url(FxRate, "export"))

    assert b"".join(response.streaming_content) == b"\xef\xbb\xbfid,at,base,quote,rate,source\r\n"  # type: ignore[attr-defined]


def test_an_export_is_of_what_is_filtered_and_searched_for_on_all_pages(operator_client: Client) -> None:
    account = AccountFactory.create()
    wanted, other = (InstrumentFactory.create(symbol=symbol) for symbol in ("WANTED", "OTHER"))
    for each in (wanted, other):
        ExecutionFactory.create(account=account, instrument=each)
        ExecutionFactory.create(instrument=each)

    rows = exported(operator_client, Execution, q="WANTED", account__id__exact=account.pk)

    assert [(row["account"], row["instrument"]) for row in rows] == [(account.code, str(wanted))]


def test_more_rows_than_a_piece_are_all_exported_in_the_order_of_their_keys(operator_client: Client) -> None:
    many_rates(2 * ROWS_OF_A_PIECE + 1)

    rows = exported(operator_client, FxRate, p="3")

    assert [int(row["id"]) for row in rows] == list(FxRate.objects.order_by("pk").values_list("pk", flat=True))


def test_a_list_links_to_the_export_of_what_it_shows(operator_client: Client) -> None:
    FxRateFactory.create()
    page = operator_client.get(url(FxRate, "changelist"), {"q": "USD", "p": "1"}).content.decode()

    assert f'<a href="{url(FxRate, "export")}?q=USD">Export CSV</a>' in page


def test_no_query_is_sent_for_an_export_that_nobody_takes_any_more(operator_client: Client) -> None:
    many_rates(3 * ROWS_OF_A_PIECE)
    response: Any = operator_client.get(url(FxRate, "export"))
    lines = iter(response.streaming_content)
    next(lines)
    next(lines)

    with CaptureQueriesContext(connection) as queries:
        response.close()

    assert len(queries) == 0
    assert list(lines) == []


def test_who_may_look_at_a_list_may_export_it() -> None:
    assert exported(staff("view_execution"), Execution) == []
    assert staff("view_account", "change_order").get(url(Execution, "export")).status_code == 403
    assert Client().get(url(Execution, "export")).headers["Location"].startswith(reverse("admin:login"))


def test_a_filter_that_is_none_leads_back_to_the_list(operator_client: Client) -> None:
    response = operator_client.get(url(Execution, "export"), {"account__id__exact": "none"})

    assert response.headers["Location"] == f"{url(Execution, 'changelist')}?e=1"


def test_a_file_is_named_for_its_list_and_the_day(operator_client: Client) -> None:
    disposition = operator_client.get(url(ExecutionFee, "export")).headers["Content-Disposition"]

    assert disposition == f'attachment; filename="execution-fees-{datetime.now(UTC).date()}.csv"'


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "＝1", "＋1", "－1", "＠A1", " \t1"],  # noqa: RUF001
)
def test_text_that_a_spreadsheet_would_run_is_kept_from_it(text: str) -> None:
    assert as_text(text) == f"'{text}"


def test_a_formula_in_a_name_reaches_the_file_as_text(operator_client: Client) -> None:
    AccountFactory.create(code="=cmd|'/C calc'!A0", name='Zürich, "Süd"\nNord')

    (row,) = exported(operator_client, Account)

    assert row["code"] == "'=cmd|'/C calc'!A0"
    assert row["name"] == 'Zürich, "Süd"\nNord'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("-0.000000000000000001"), "-0.000000000000000001"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-12345678901234567890.500000000000000000"), "-12345678901234567890.5"),
        (-5, "-5"),
        (True, "true"),
        (None, ""),
        (date(2026, 1, 5), "2026-01-05"),
        ("5=5", "5=5"),
        ("", ""),
        ("日本", "日本"),
    ],
)
def test_numbers_stay_numbers_and_other_text_as_it_is(value: object, text: str) -> None:
    assert as_text(value) == text


def test_reference_data_is_exported_as_well(operator_client: Client) -> None:
    instrument = InstrumentFactory.create(active=False)

    (row,) = exported(operator_client, Instrument)
    codes = [row["code"] for row in exported(operator_client, Currency)]

    assert (row["symbol"], row["active"]) == (instrument.symbol, "false")
    assert codes == list(Currency.objects.order_by("pk").values_list("code", flat=True))
