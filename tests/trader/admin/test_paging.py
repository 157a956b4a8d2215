"""Lists that are too long to be counted, their filters and their search."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests.factories import (
    DAY,
    NOW,
    AccountFactory,
    ExecutionFactory,
    FxRateFactory,
    ImportRowFactory,
    InstrumentFactory,
    OrderFactory,
)
from tests.trader.admin.rows import new_currency, new_deposit, new_trade, url
from trader.admin.filtering import MOST_CHOICES
from trader.admin.paging import MOST_COUNTED, Estimate, LongListPaginator
from trader.models import Execution, FxRate, ImportRow, JournalEntry, LedgerAccount, Order, Posting
from trader.operations.ledger import record_cash

pytestmark = pytest.mark.django_db

A_PAGE = 50
LONG = MOST_COUNTED + 2 * A_PAGE + 10
MANY_RATES = """
    INSERT INTO trader_fxrate (base_id, quote_id, source, at, rate)
    SELECT %s, %s, 'a vendor', timestamptz '2015-01-01 00:00+00' + n * interval '1 hour', 1
    FROM generate_series(2, %s) n
"""
ANALYZE = "ANALYZE trader_fxrate"


@pytest.fixture
def keys() -> list[int]:
    """Those of a long list of rates, newest first."""
    rate = FxRateFactory.create()
    with connection.cursor() as cursor:
        cursor.execute(MANY_RATES, [rate.base_id, rate.quote_id, LONG])
        cursor.execute(ANALYZE)
    return list(FxRate.objects.order_by("-pk").values_list("pk", flat=True))


def shown(client: Client, model: Any, **asked: Any) -> Any:
    response = client.get(url(model, "changelist"), asked)
    assert response.status_code == 200, response.headers
    return response.context["cl"]


def keys_shown(client: Client, model: Any, **asked: Any) -> list[Any]:
    return [row.pk for row in shown(client, model, **asked).result_list]


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (1_000_112, "about 1,000,000"),
        (10_000, "about 10,000"),
        (123_499, "about 123,000"),
        (999_900, "about 1,000,000"),
    ],
)
def test_an_estimate_has_as_many_digits_as_it_can_answer_for(estimate: int, text: str) -> None:
    assert str(Estimate(estimate)) == text


def test_a_long_list_says_about_how_long_it_is(operator_client: Client, keys: list[int]) -> None:
    page = operator_client.get(url(FxRate, "changelist")).content.decode()

    assert "about 10,100 FX rates" in " ".join(page.split())


def test_a_list_that_is_not_long_is_counted(operator_client: Client, keys: list[int]) -> None:
    FxRate.objects.filter(pk__in=keys[MOST_COUNTED:]).delete()
    with connection.cursor() as cursor:
        cursor.execute(ANALYZE)

    page = operator_client.get(url(FxRate, "changelist")).content.decode()

    assert f"{MOST_COUNTED} FX rates" in " ".join(page.split())


def test_the_pages_of_a_long_list_begin_and_end_where_it_does(operator_client: Client, keys: list[int]) -> None:
    last = shown(operator_client, FxRate).paginator.num_pages

    pages = [keys_shown(operator_client, FxRate, p=number) for number in (1, 2, last - 1, last)]

    assert pages == [keys[:50], keys[50:100], keys[-100:-50], keys[-50:]]


def test_a_list_that_is_shorter_than_was_estimated_is_counted_when_its_end_is_seen(
    operator_client: Client, keys: list[int]
) -> None:
    FxRate.objects.filter(pk__in=keys[130:]).delete()
    last = LONG // A_PAGE

    ends = [shown(operator_client, FxRate, p=number) for number in (3, 5, last - 2)]

    assert [(end.result_count, end.page_num, [row.pk for row in end.result_list]) for end in ends] == [
        (130, 3, keys[100:130])
    ] * 3


def test_what_lies_deeper_than_can_be_read_off_is_answered_by_the_nearest_page(keys: list[int]) -> None:
    paginator = LongListPaginator(FxRate.objects.order_by("-pk"), A_PAGE)
    paginator.count = Estimate(1_000_000)

    nearest = [paginator.nearest(number) for number in (0, 7, 2_000, 2_001, 10_000, 10_001, 18_001, 99_999)]

    assert nearest == [1, 7, 2_000, 2_000, 2_000, 18_001, 18_001, 20_000]


def test_a_filter_of_many_choices_offers_none_but_the_one_that_is_chosen(operator_client: Client) -> None:
    accounts = AccountFactory.create_batch(MOST_CHOICES + 1, base_currency=new_currency())
    chosen, other = (ExecutionFactory.create(account=account) for account in accounts[:2])

    titles = [spec.title for spec in shown(operator_client, Execution).filter_specs]
    filtered = shown(operator_client, Execution, account__id__exact=chosen.account_id)

    assert titles == ["type"]
    assert [choice["display"] for choice in filtered.filter_specs[0].choices(filtered)] == ["All", chosen.account.code]
    assert [row.pk for row in filtered.result_list] == [chosen.pk]
    assert keys_shown(operator_client, Execution, q=other.account.code) == [other.pk]


@pytest.mark.parametrize(("model", "column"), [(Execution, "account"), (Posting, "currency")])
def test_a_choice_that_is_none_leads_back_to_the_whole_list(operator_client: Client, model: Any, column: str) -> None:
    AccountFactory.create_batch(MOST_CHOICES + 1, base_currency=new_currency())

    response = operator_client.get(url(model, "changelist"), {f"{column}__id__exact": "none"})

    assert response.headers["Location"].endswith("?e=1")


def test_postings_are_filtered_by_the_currencies_that_were_posted(operator_client: Client) -> None:
    new_currency()
    entries = [new_deposit(), new_deposit()]
    currency = LedgerAccount.objects.filter(account=entries[1].account)[0].currency

    choices = shown(operator_client, Posting).filter_specs[0]
    found = shown(operator_client, Posting, currency__id__exact=currency.pk).result_list

    assert len(choices.lookup_choices) == 2
    assert {posting.entry_id for posting in found} == {entries[1].pk}


def test_corrections_and_cancels_are_filtered(operator_client: Client) -> None:
    trade = ExecutionFactory.create()
    same = {"account": trade.account, "instrument": trade.instrument}
    correction = ExecutionFactory.create(exec_type="G", exec_ref=trade, **same)

    found = [keys_shown(operator_client, Execution, exec_type__exact=kind) for kind in "FGH"]

    assert found == [[trade.pk], [correction.pk], []]


def test_a_number_is_found_in_every_account_and_source_that_has_it(operator_client: Client) -> None:
    trades = [ExecutionFactory.create(exec_id="T1", source=source) for source in ("a", "b", "a")]
    trades.append(ExecutionFactory.create(exec_id="T1", source="c", account=trades[0].account))
    ExecutionFactory.create(exec_id="T2", source="a")
    orders = [OrderFactory.create(cl_ord_id="T1"), OrderFactory.create(cl_ord_id="T10")]
    rows = [ImportRowFactory.create(external_id=number) for number in ("T1", "", "T2")]

    assert set(keys_shown(operator_client, Execution, q="T1")) == {trade.pk for trade in trades}
    assert keys_shown(operator_client, Order, q="T1") == [orders[0].pk]
    assert keys_shown(operator_client, ImportRow, q="T1") == [rows[0].pk]


def test_each_word_of_a_search_narrows_it_and_quotes_hold_words_together(operator_client: Client) -> None:
    instrument = InstrumentFactory.create(symbol="BRK B")
    wanted, other = (ExecutionFactory.create(instrument=instrument) for _ in range(2))

    assert keys_shown(operator_client, Execution, q=f'"BRK B" {wanted.account.code}') == [wanted.pk]
    assert set(keys_shown(operator_client, Execution, q="'BRK B'")) == {wanted.pk, other.pk}
    assert keys_shown(operator_client, Execution, q="BRK B") == []


def test_an_entry_is_found_by_its_execution_and_what_is_no_trade_by_its_instrument(operator_client: Client) -> None:
    trade = new_trade()
    record_cash(
        account=trade.account,
        kind="DIVIDEND",
        currency=trade.instrument.currency,
        amount=Decimal(1),
        value_date=DAY,
        instrument=trade.instrument,
        actor="a trader",
        now=NOW,
    )

    by_execution = shown(operator_client, JournalEntry, q=trade.exec_id).result_list
    by_symbol = shown(operator_client, JournalEntry, q=trade.instrument.symbol).result_list

    assert [entry.execution_id for entry in by_execution] == [trade.pk]
    assert [entry.kind for entry in by_symbol] == ["DIVIDEND"]
