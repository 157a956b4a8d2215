from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from tests.factories import CurrencyFactory
from tests.trader.admin.forms import done, last_message, refused
from tests.trader.admin.rows import url
from tests.trader.operations.books import Book, fee, figures, state_of
from trader.models import Execution, ExecutionFee, JournalEntry, LotSelection, Order

pytestmark = pytest.mark.django_db

ADD = url(Execution, "add")


def new_trade(book: Book, **more: Any) -> dict[str, Any]:
    """What is entered for one."""
    entered = {"side": "BUY", "last_qty": "10", "last_px": "100", "transact_time_0": "2026-02-01"}
    return entered | {"account": book.account.pk, "instrument": book.instrument.pk, "transact_time_1": "10:00"} | more


def written(book: Book) -> tuple[Any, ...]:
    """All that recording a trade could leave behind."""
    counts = (model._default_manager.count() for model in (Execution, ExecutionFee, LotSelection, JournalEntry))
    return *counts, state_of(book.account)


def test_a_trade_is_recorded_with_its_fees_and_lots(operator_client: Client) -> None:
    book = Book(cost_basis_method="SPECIFIC")
    book.buy("10", "100")
    second = book.buy("10", "110")
    chosen = {
        "fees-0-type": "TAX",
        "fees-0-amount": "1.5",
        "fees-0-currency": book.instrument.currency.pk,
        "selections-TOTAL_FORMS": "1",
        "selections-0-opening_execution": second.pk,
        "selections-0-quantity": "4",
    }

    done(operator_client, ADD, **new_trade(book, side="SELL", last_qty="4", exec_id="X1"), **chosen)

    trade = Execution.objects.get(exec_id="X1")
    assert figures(trade, "source", "exec_type", "last_qty", "last_px") == ("manual", "F", 4, 100)
    assert figures(trade.fees.get(), "type", "amount", "currency") == ("TAX", Decimal("1.5"), book.instrument.currency)
    assert figures(trade.selections.get(), "opening_execution", "quantity") == (second, 4)
    assert figures(book.position, "quantity", "realized_pnl") == (16, -40)
    assert trade.entries.get().postings.count() == 3


def test_an_exec_id_is_made_where_none_is_entered(operator_client: Client) -> None:
    book = Book()

    for _ in range(2):
        done(operator_client, ADD, **new_trade(book))

    assert Execution.objects.values("exec_id").distinct().count() == 2


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"side": "SELL", "last_qty": "11"}, "A sale of 11 is 1 more than the account holds."),
        ({"last_qty": "0.000000001"}, "the instrument trades no less than 0.00000001"),
        ({"last_qty": "0"}, "A trade has a positive quantity"),
        ({"last_qty": "NaN"}, "Enter a number."),
        ({"last_px": "-1"}, "A price is zero or more."),
        ({"last_qty": "1e17", "last_px": "1e15"}, "numeric field overflow"),
        ({"exec_id": "T1"}, "Execution with this Account, Source and ExecID already exists."),
        ({"settl_amount": "9"}, "A settlement amount needs its currency."),
        ({"fx_rate": "0"}, "A rate is positive."),
        ({"transact_time_0": "0001-01-01"}, "A date lies in the years from 1800 to 9999."),
        ({"transact_time_0": "9999-12-31"}, "A date lies in the years from 1800 to 9999."),
        ({"settl_date": "1799-12-31"}, "A date lies in the years from 1800 to 9999."),
        ({"fees-0-amount": "10"}, "A fee of 10 units leaves nothing of the 10 that were traded."),
        ({"fees-0-type": "TAX"}, "This field is required."),
        ({"order": "01a2109b-d2fd-702e-a144-4d30783ea76a"}, "Select a valid choice."),
    ],
)
def test_a_trade_that_breaks_a_rule_is_refused(operator_client: Client, entered: dict[str, str], message: str) -> None:
    book = Book()
    book.buy("10")
    before = written(book)

    assert message in refused(operator_client, ADD, **new_trade(book) | entered)

    assert written(book) == before


def test_a_settlement_without_a_rate_is_refused(operator_client: Client) -> None:
    book = Book()
    dollars = CurrencyFactory.create(code="USD")

    message = refused(operator_client, ADD, **new_trade(book, settl_currency=dollars.pk))

    assert message == "It is settled in USD, and neither an amount nor a rate is known."
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    ("quantity", "message"),
    [("5", "More is selected than the 4 units that are closed."), ("11", "are selected, which holds 10")],
)
def test_a_selection_that_takes_too_much_is_refused(operator_client: Client, quantity: str, message: str) -> None:
    book = Book(cost_basis_method="SPECIFIC")
    chosen = {
        "selections-TOTAL_FORMS": "1",
        "selections-0-opening_execution": book.buy("10").pk,
        "selections-0-quantity": quantity,
    }
    before = written(book)

    assert message in refused(operator_client, ADD, **new_trade(book, side="SELL", last_qty="4"), **chosen)

    assert written(book) == before


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"last_qty": "101"}, "An order is not filled beyond its quantity."),
        ({"side": "SELL"}, "has another account, instrument or side than its order"),
    ],
)
def test_a_fill_that_does_not_fit_its_order_is_refused(
    operator_client: Client, entered: dict[str, str], message: str
) -> None:
    book = Book()
    book.buy("1000")
    order = book.order("100")
    before = written(book)

    assert message in refused(operator_client, ADD, **new_trade(book, order=order.pk) | entered)

    assert written(book) == before
    assert figures(Order.objects.get(pk=order.pk), "lifecycle", "cum_qty") == ("A", 0)


def test_a_correction_begins_with_what_the_trade_says_and_restates_all_of_it(operator_client: Client) -> None:
    book = Book(cost_basis_method="SPECIFIC")
    bought = book.buy("10", fees=[fee("1.5"), fee("0.1", "")])
    sold = book.sell("4", lots=[(bought, Decimal(4))], last_mkt="XNAS")

    page = done(operator_client, url(Execution, "correct", bought.pk), last_px="101")
    done(operator_client, url(Execution, "correct", sold.pk), last_qty="3", **{"selections-0-quantity": "3"})

    first, second = Execution.objects.filter(exec_type="G").order_by("pk")
    assert page == url(Execution, "change", first.pk)
    assert figures(first, "exec_ref", "last_qty", "last_px", "transact_time") == (bought, 10, 101, bought.transact_time)
    assert [(each.amount, each.currency) for each in first.fees.order_by("pk")] == [
        (Decimal("1.5"), book.instrument.currency),
        (Decimal("0.1"), None),
    ]
    assert figures(second, "exec_ref", "last_qty", "last_mkt") == (sold, 3, "XNAS")
    assert figures(second.selections.get(), "opening_execution", "quantity") == (bought, 3)
    assert book.position.quantity == Decimal("6.9")


@pytest.mark.parametrize(("step", "entered"), [("correct", {"last_qty": "3"}), ("bust", {})])
def test_a_trade_that_a_later_one_needs_is_neither_lessened_nor_busted(
    operator_client: Client, step: str, entered: dict[str, str]
) -> None:
    book = Book()
    bought = book.buy("10")
    book.sell("4")
    before = written(book)

    assert "more than the account holds." in refused(operator_client, url(Execution, step, bought.pk), **entered)

    assert written(book) == before


def test_a_bust_has_the_exec_id_that_is_entered(operator_client: Client) -> None:
    book = Book()
    trade = book.buy("10", exec_id="TAKEN")

    taken = refused(operator_client, url(Execution, "bust", trade.pk), exec_id="TAKEN")
    page = done(operator_client, url(Execution, "bust", trade.pk), exec_id="B1")

    assert taken == "Execution with this Account, Source and ExecID already exists."
    bust = Execution.objects.get(exec_id="B1")
    assert page == url(Execution, "change", bust.pk)
    assert figures(bust, "exec_type", "exec_ref") == ("H", trade)


@pytest.mark.parametrize("step", ["correct", "bust"])
@pytest.mark.parametrize("succeed", [lambda book, trade: book.correct(trade, "9"), Book.bust])
def test_only_the_last_report_of_a_trade_is_corrected_or_busted(
    operator_client: Client, step: str, succeed: Any
) -> None:
    book = Book()
    trade = book.buy("10")
    succeed(book, trade)
    before = written(book)

    for response in (
        operator_client.get(url(Execution, step, trade.pk), follow=True),
        operator_client.post(url(Execution, step, trade.pk), new_trade(book), follow=True),
    ):
        assert last_message(response) == f"Execution {trade} was corrected or cancelled already."
        assert response.context["tools"] == []

    assert written(book) == before


def test_a_cancel_leads_no_further(operator_client: Client) -> None:
    book = Book()
    cancel = book.bust(book.buy("10"))

    assert operator_client.get(url(Execution, "change", cancel.pk)).context["tools"] == []


@pytest.mark.parametrize("step", ["correct", "bust"])
def test_a_trade_that_is_not_there_leads_back(operator_client: Client, step: str) -> None:
    unknown = "01a2109b-d2fd-702e-a144-4d30783ea76a"

    response = operator_client.get(url(Execution, step, unknown), follow=True)

    assert "Perhaps it was deleted?" in last_message(response)
