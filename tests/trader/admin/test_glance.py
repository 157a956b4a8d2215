"""The book at a glance: on the index, on an account's page and on an instrument's."""

import json
import re
from datetime import UTC, date, timedelta
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import DAY, AccountFactory, InstrumentFactory, PriceBarFactory
from tests.trader.admin.rows import staff, url
from tests.trader.admin.test_pages import MOST_QUERIES, queries_of
from tests.trader.operations.books import Book, currency
from trader.admin.glance import MOST_ACCOUNTS
from trader.models import Account, Instrument, Order, Position
from trader.operations.ledger import record_cash
from trader.operations.splits import record_split

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")
POINTS = re.compile(r'<script id="(\w+)-points" type="application/json">(.*?)</script>', re.DOTALL)
PERIODS = re.compile(r'<a href="([?]since=[^"]*)">(.*?)</a>')


class Tables(HTMLParser):
    """The rows of a page's tables, as texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: dict[str, str] = {}
        self._href = ""
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell, self._href = True, ""
        elif tag == "a":
            self._href = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell and data.strip():
            self.rows[-1][-1] += data.strip()
            if self._href:
                self.links[data.strip()] = self._href


def tables(client: Client, path: str) -> Tables:
    page = client.get(path)
    assert page.status_code == 200
    return Tables(page.content.decode())


@pytest.fixture
def book() -> Book:
    """An account of CHF 9,000 and ten units at 105, bought at 100; yesterday they were at 84."""
    chf = currency("CHF")
    book = Book(AccountFactory.create(code="MINE", base_currency=chf), InstrumentFactory.create(currency=chf))
    record_cash(
        account=book.account,
        kind="DEPOSIT",
        currency=chf,
        amount=Decimal(10_000),
        value_date=DAY,
        actor="a trader",
        now=timezone.now(),
    )
    book.buy("10")
    for days, close in ((1, "84"), (0, "105")):
        bar(book.instrument, days, close)
    return book


def bar(instrument: Instrument, days_ago: int, close: str) -> None:
    today = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    prices = {"open": 100, "high": 110, "low": 80, "close": Decimal(close)}
    PriceBarFactory.create(instrument=instrument, ts=today - timedelta(days=days_ago), **prices)


def test_the_index_shows_accounts_holdings_and_open_orders(operator_client: Client, book: Book) -> None:
    order = book.order("7", ord_type="LIMIT", price=Decimal("99.5"))

    found = tables(operator_client, INDEX)

    name = str(book.instrument)
    assert ["MINE", "CHF", "10,050.00", "9,000.00", "+210.00", "1"] in found.rows
    assert [name, "MINE", "10", "105", "+25.00 %", "1,050.00"] in found.rows
    assert [order.cl_ord_id, "MINE", name, "Buy", "Pending new", "7", "0", "99.5"] in found.rows
    assert found.links["MINE"] == url(Account, "change", book.account.pk)
    assert found.links[name] == url(Position, "change", book.position.pk)
    assert found.links[order.cl_ord_id] == url(Order, "change", order.pk)


def test_the_index_of_an_empty_book_shows_what_there_is_to_begin_with(operator_client: Client) -> None:
    page = operator_client.get(INDEX)

    assert "at a glance" not in page.content.decode()
    assert any(model["object_name"] == "Account" for app in page.context["app_list"] for model in app["models"])


def test_who_may_not_see_positions_sees_none_on_the_index(book: Book) -> None:
    page = staff("view_account", "view_order").get(INDEX)

    assert page.status_code == 200
    assert "10,050.00" not in page.content.decode()


def test_the_index_names_so_many_accounts_and_where_the_others_are(operator_client: Client, book: Book) -> None:
    for number in range(MOST_ACCOUNTS):
        AccountFactory.create(code=f"A{number:02}", base_currency=book.account.base_currency)

    page = operator_client.get(INDEX).content.decode()

    assert "all accounts" in page
    assert "MINE" not in [row[0] for row in Tables(page).rows if row]
    assert queries_of(operator_client, INDEX) <= MOST_QUERIES


def test_an_account_shows_its_positions_and_its_cash(operator_client: Client, book: Book) -> None:
    page = url(Account, "change", book.account.pk)

    found = tables(operator_client, page)

    name = f"{book.instrument.symbol}.{book.instrument.venue.mic}"
    assert [name, "CHF", "10", "100", "1,000.00", "1,050.00", "+50.00", "0.00", "0.00"] in found.rows
    assert ["CHF", "9,000.00", "9,000.00"] in found.rows
    assert found.links[name] == url(Position, "change", book.position.pk)
    figures = {each.label: each.cell.text for each in operator_client.get(page).context["key_figures"]}
    assert figures["Value in CHF"] == "10,050.00"
    assert queries_of(operator_client, page) <= MOST_QUERIES


def test_who_may_not_see_positions_sees_none_of_an_account(book: Book) -> None:
    page = staff("view_account").get(url(Account, "change", book.account.pk))

    assert page.status_code == 200
    assert "10,050.00" not in page.content.decode()


def test_an_instrument_shows_its_prices_as_a_chart_and_as_a_table(operator_client: Client, book: Book) -> None:
    page = operator_client.get(url(Instrument, "change", book.instrument.pk)).content.decode()

    ((name, points),) = POINTS.findall(page)
    drawn = json.loads(points)
    assert (name, [point["close"] for point in drawn]) == ("prices", [84, 105])
    assert [row[1:] for row in Tables(page).rows if row[1:] and row[0] == drawn[1]["time"]] == [
        ["100", "110", "80", "105"]
    ]


def test_prices_before_a_split_are_shown_as_if_quoted_after_it(operator_client: Client, book: Book) -> None:
    record_split(instrument=book.instrument, ex_date=timezone.now().date(), numerator=4, denominator=1)

    page = operator_client.get(url(Instrument, "change", book.instrument.pk)).content.decode()

    assert [point["close"] for point in json.loads(POINTS.findall(page)[0][1])] == [21, 105]


def test_an_instrument_without_prices_has_no_chart(operator_client: Client) -> None:
    page = operator_client.get(url(Instrument, "change", InstrumentFactory.create().pk)).content.decode()

    assert "<figure" not in page
    assert "lightweight-charts" not in page


def test_a_name_cannot_break_out_of_a_page(operator_client: Client, book: Book) -> None:
    hostile = "</script><script>alert(1)</script>\"'><img src=x>"
    Account.objects.filter(pk=book.account.pk).update(code=hostile[:32])
    Instrument.objects.filter(pk=book.instrument.pk).update(symbol=hostile)
    book.order()

    pages = [INDEX, url(Account, "change", book.account.pk), url(Instrument, "change", book.instrument.pk)]

    for page in pages:
        shown = operator_client.get(page).content.decode()
        assert "&lt;/script" in shown
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown


def test_an_account_shows_what_it_earned_in_a_period(operator_client: Client, book: Book) -> None:
    account = url(Account, "change", book.account.pk)
    page = next(tool.url for tool in operator_client.get(account).context["tools"] if tool.label == "Performance")
    yesterday, today = (timezone.now().astimezone(UTC).date() - timedelta(days=days) for days in (1, 0))

    shown = operator_client.get(page, {"since": str(today), "until": str(today)})

    figures = {each.label: each.cell.text for each in shown.context["key_figures"]}
    assert figures["Initial value in CHF"] == "9,840.00"
    assert (figures["Final value"], figures["Earnings"]) == ("10,050.00", "+210.00")
    assert figures["Time-weighted return"] == "+2.13 %"
    whole = operator_client.get(page).content.decode()
    assert [str(yesterday), "9,840.00"] in Tables(whole).rows
    assert json.loads(POINTS.findall(whole)[0][1])[-1] == {"time": str(today), "value": 10050}
    assert queries_of(operator_client, page) <= MOST_QUERIES


def test_the_last_year_is_shown_until_a_link_asks_for_another_period(operator_client: Client, book: Book) -> None:
    page = url(Account, "performance", book.account.pk)
    today = timezone.now().astimezone(UTC).date()
    begun = today - timedelta(days=400)
    record_cash(
        account=book.account,
        kind="DEPOSIT",
        currency=currency("CHF"),
        amount=Decimal(1),
        value_date=begun,
        actor="a trader",
        now=timezone.now(),
    )

    shown = operator_client.get(page)

    links = {name: page + unescape(query) for query, name in PERIODS.findall(shown.content.decode())}
    starts = {name: operator_client.get(link).context["report"].start for name, link in links.items()}
    assert shown.context["report"].start == today - timedelta(days=364)
    assert starts == {
        "30 days": today - timedelta(days=29),
        "90 days": today - timedelta(days=89),
        "This year": date(today.year, 1, 1),
        "1 year": today - timedelta(days=364),
        "All": begun,
    }


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("2026-02-01", "2026-01-01", "The period ends before it begins."),
        ("", "9999-01-01", "That day has not come yet"),
        ("0001-01-01", "2026-01-01", "A date lies in the years from 1800 to 9999."),
        ("x", "2026-01-01", "Enter a valid date."),
        ("", "", "This field is required."),
    ],
)
def test_a_period_that_is_none_is_refused(
    operator_client: Client, book: Book, since: str, until: str, said: str
) -> None:
    page = url(Account, "performance", book.account.pk)

    shown = operator_client.get(page, {"since": since, "until": until})

    assert said in shown.content.decode()
    assert "report" not in shown.context


def test_the_performance_of_no_account_leads_back(operator_client: Client) -> None:
    assert operator_client.get(url(Account, "performance", 4711)).status_code == 302


def test_who_may_not_see_positions_sees_no_performance(book: Book) -> None:
    assert staff("view_account").get(url(Account, "performance", book.account.pk)).status_code == 403
