from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from tests.factories import AccountFactory, CorporateActionFactory, CurrencyFactory, FxRateFactory, InstrumentFactory
from tests.trader.admin.forms import done, last_message, refused
from tests.trader.admin.rows import url
from tests.trader.operations.books import Book, figures
from trader.models import CorporateAction, FxRate, PriceBar

pytestmark = pytest.mark.django_db

ADD = url(CorporateAction, "add")


def new_split(book: Book, **more: Any) -> dict[str, Any]:
    """What is entered for one, of the day of the book's second trade."""
    entered = {"type": "SPLIT", "ex_date": "2026-01-06", "numerator": "4", "denominator": "1"}
    return entered | {"instrument": book.instrument.pk} | more


def new_dividend(book: Book, **more: Any) -> dict[str, Any]:
    entered = {"type": "CASH_DIVIDEND", "ex_date": "2026-01-06", "cash_per_unit": "1.25", "pay_date": "2026-01-09"}
    return entered | {"instrument": book.instrument.pk, "currency": book.instrument.currency.pk} | more


def split_book() -> Book:
    """10 bought before a split of 4:1, 4 sold on its day."""
    book = Book()
    book.buy("10")
    book.sell("4", "30")
    return book


def test_a_split_changes_the_position_until_it_is_withdrawn(operator_client: Client) -> None:
    book = split_book()

    done(operator_client, ADD, **new_split(book))
    split = CorporateAction.objects.get()
    acted = book.position.quantity
    done(operator_client, url(CorporateAction, "delete", split.pk))

    assert [acted, book.position.quantity] == [36, 6]
    assert not CorporateAction.objects.exists()


def test_selected_splits_are_withdrawn_together(operator_client: Client) -> None:
    book = split_book()
    done(operator_client, ADD, **new_split(book))
    done(operator_client, ADD, **new_dividend(book))
    selected = CorporateAction.objects.values_list("pk", flat=True)

    operator_client.post(
        url(CorporateAction, "changelist"),
        {"action": "delete_selected", "_selected_action": list(selected), "post": "yes"},
    )

    assert not CorporateAction.objects.exists()
    assert book.position.quantity == 6


def test_a_split_is_not_changed(operator_client: Client) -> None:
    book = split_book()
    done(operator_client, ADD, **new_split(book))
    page = url(CorporateAction, "change", CorporateAction.objects.get().pk)

    assert operator_client.post(page, new_split(book, numerator="5")).status_code == 403
    assert "_save" not in operator_client.get(page).content.decode()


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"numerator": "1", "denominator": "4"}, "more than the account holds."),
        ({"numerator": "0"}, "A split has a positive ratio and no cash, a cash dividend has"),
        ({"cash_per_unit": "1"}, "A split has a positive ratio and no cash, a cash dividend has"),
        ({"pay_date": "2026-01-09"}, "A split pays nothing."),
    ],
)
def test_a_split_that_breaks_a_rule_is_refused(operator_client: Client, entered: dict[str, str], message: str) -> None:
    book = split_book()

    assert message in refused(operator_client, ADD, **new_split(book) | entered)

    assert not CorporateAction.objects.exists()
    assert book.position.quantity == 6


def test_a_second_split_of_a_day_is_refused(operator_client: Client) -> None:
    book = split_book()
    done(operator_client, ADD, **new_split(book))

    message = refused(operator_client, ADD, **new_split(book, numerator="5"))

    assert message == "The instrument has a split on that day already."
    assert book.position.quantity == 36


@pytest.mark.parametrize("together", [False, True])
def test_a_split_that_a_later_sale_needs_is_not_withdrawn(operator_client: Client, together: bool) -> None:
    book = Book()
    book.buy("10")
    done(operator_client, ADD, **new_split(book))
    book.sell("30")
    split = CorporateAction.objects.get()
    # The first to go, as the list has it.
    other = CorporateActionFactory.create(ex_date=date(2026, 2, 1))
    chosen = {"action": "delete_selected", "_selected_action": [split.pk, other.pk], "post": "yes"}
    page = url(CorporateAction, "changelist") if together else url(CorporateAction, "delete", split.pk)

    response = operator_client.post(page, chosen, follow=True)

    assert last_message(response) == "A sale of 30 is 20 more than the account holds."
    assert set(CorporateAction.objects.all()) == {split, other}
    assert book.position.quantity == 10


def test_a_dividend_is_kept_as_announced(operator_client: Client) -> None:
    book = split_book()
    done(operator_client, ADD, **new_dividend(book))
    dividend = CorporateAction.objects.get()

    done(operator_client, url(CorporateAction, "change", dividend.pk), cash_per_unit="1.3", type="SPLIT")

    dividend.refresh_from_db()
    assert figures(dividend, "type", "cash_per_unit") == ("CASH_DIVIDEND", Decimal("1.3"))
    assert book.position.quantity == 6


def test_figures_in_base_currency_follow_the_rates(operator_client: Client) -> None:
    dollars = CurrencyFactory.create(code="USD")
    book = Book(AccountFactory.create(), InstrumentFactory.create(currency=dollars))
    book.buy("10", "100")
    rate = {"source": "manual", "at_0": "2026-01-05", "at_1": "00:00", "rate": "0.8"}
    francs = book.account.base_currency

    def unrated_and_cost() -> tuple[Any, ...]:
        return figures(book.position, "unrated_lots", "rated_cost_base")

    without = unrated_and_cost()
    done(operator_client, url(FxRate, "add"), base=dollars.pk, quote=francs.pk, **rate)
    known = FxRate.objects.get()
    added = unrated_and_cost()
    done(operator_client, url(FxRate, "change", known.pk), rate="0.9")
    changed = unrated_and_cost()
    done(operator_client, url(FxRate, "change", known.pk), base=CurrencyFactory.create(code="EUR").pk)
    of_another_pair = unrated_and_cost()
    done(operator_client, url(FxRate, "change", known.pk), base=dollars.pk)
    done(operator_client, url(FxRate, "delete", known.pk))
    deleted = unrated_and_cost()

    assert (without, added, changed, of_another_pair, deleted) == ((1, 0), (0, 800), (0, 900), (1, 0), (1, 0))


def test_figures_follow_rates_that_are_deleted_together(operator_client: Client) -> None:
    rate = FxRateFactory.create()
    book = Book(AccountFactory.create(), InstrumentFactory.create(currency=rate.base))
    book.buy("10", "100", day=2)
    before = book.position.unrated_lots

    operator_client.post(
        url(FxRate, "changelist"), {"action": "delete_selected", "_selected_action": [rate.pk], "post": "yes"}
    )

    assert (before, book.position.unrated_lots) == (0, 1)


@pytest.mark.parametrize(
    ("entered", "message"),
    [({"rate": "0"}, "A rate is positive."), ({"at_0": "0001-01-01"}, "A date lies in the years from 1800 to 9999.")],
)
def test_a_rate_that_breaks_a_rule_is_refused(operator_client: Client, entered: dict[str, str], message: str) -> None:
    rate = FxRateFactory.create()

    assert refused(operator_client, url(FxRate, "change", rate.pk), **entered) == message
    assert refused(operator_client, url(FxRate, "change", rate.pk), quote=rate.base.pk) == (
        "A rate is between two currencies."
    )

    assert FxRate.objects.get().rate == rate.rate


def test_a_bar_is_entered_and_moved_to_another_year(operator_client: Client) -> None:
    prices = {"open": "100", "high": "110", "low": "90", "close": "105"}
    bar = {"source": "manual", "timeframe": "1d", "ts_0": "2026-01-05", "ts_1": "00:00"} | prices
    entered = bar | {"instrument": InstrumentFactory.create().pk}
    done(operator_client, url(PriceBar, "add"), **entered)
    page = url(PriceBar, "change", PriceBar.objects.get().pk)

    low = refused(operator_client, page, low="101")
    twice = refused(operator_client, url(PriceBar, "add"), **entered)
    done(operator_client, page, ts_0="2025-12-31")

    assert low == "Open and close lie between low and high."
    assert twice == "Price bar with this Instrument, Timeframe, Source and Start already exists."
    assert PriceBar.objects.get().ts.year == 2025
