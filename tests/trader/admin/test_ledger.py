from typing import Any

import pytest
from django.test import Client

from tests.factories import AccountFactory, CurrencyFactory, InstrumentFactory
from tests.trader.admin.forms import done, last_message, refused
from tests.trader.admin.rows import url
from tests.trader.operations.books import Book, amounts, entries, figures, ledger, posted
from trader.models import Account, JournalEntry, Posting, User

pytestmark = pytest.mark.django_db

ADD = url(JournalEntry, "add")
PAID = "An exchange says what was paid, and nothing else does."


def new_entry(account: Account, **more: Any) -> dict[str, Any]:
    """What is entered for one."""
    entered = {"kind": "DEPOSIT", "amount": "100.5", "value_date": "2026-01-05"}
    return entered | {"account": account.pk, "currency": CurrencyFactory.create().pk} | more


def test_a_deposit_is_recorded_and_reversed(operator_client: Client, operator: User) -> None:
    account = AccountFactory.create()
    done(operator_client, ADD, **new_entry(account))
    (deposit,) = entries(account)

    page = done(operator_client, url(JournalEntry, "reverse", deposit.pk))

    reversal = JournalEntry.objects.get(reverses=deposit)
    assert page == url(JournalEntry, "change", reversal.pk)
    assert posted(deposit) == amounts(CASH_CHF="100.5", EQUITY_CHF="-100.5")
    assert posted(reversal) == amounts(CASH_CHF="-100.5", EQUITY_CHF="100.5")
    assert {deposit.actor, reversal.actor} == {operator.email}
    assert ledger(account) == {}


@pytest.mark.parametrize(
    ("entered", "legs"),
    [
        ({"kind": "WITHDRAWAL"}, amounts(CASH_CHF="-100.5", EQUITY_CHF="100.5")),
        ({"kind": "DIVIDEND"}, amounts(CASH_CHF="100.5", INCOME_CHF="-100.5")),
        ({"kind": "DIVIDEND", "amount": "-1"}, amounts(CASH_CHF="-1", INCOME_CHF="1")),
        ({"kind": "INTEREST"}, amounts(CASH_CHF="100.5", INCOME_CHF="-100.5")),
        ({"kind": "WITHHOLDING_TAX"}, amounts(CASH_CHF="-100.5", EXPENSE_CHF="100.5")),
        ({"kind": "FEE"}, amounts(CASH_CHF="-100.5", EXPENSE_CHF="100.5")),
    ],
)
def test_money_is_recorded_by_its_kind(operator_client: Client, entered: dict[str, str], legs: Any) -> None:
    account, instrument = AccountFactory.create(), InstrumentFactory.create()

    done(operator_client, ADD, **new_entry(account, instrument=instrument.pk, fx_rate="0.9") | entered)

    (entry,) = entries(account)
    assert posted(entry) == legs
    assert figures(entry, "kind", "instrument") == (entered["kind"], instrument)
    assert str(entry.fx_rate) == "0.900000000000"


def test_an_exchange_is_recorded(operator_client: Client) -> None:
    account = AccountFactory.create()
    paid = {"paid_currency": CurrencyFactory.create(code="USD").pk, "paid_amount": "110"}

    done(operator_client, ADD, **new_entry(account, kind="FX"), **paid)

    (entry,) = entries(account)
    legs = amounts(CASH_CHF="100.5", FX_TRADING_CHF="-100.5", CASH_USD="-110", FX_TRADING_USD="110")
    assert posted(entry) == legs


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"amount": "0.004"}, "It rounds to nothing: less than half of the currency's smallest amount."),
        ({"amount": "-1"}, "Of a deposit, a withdrawal or an exchange it is positive."),
        ({"kind": "WITHDRAWAL", "amount": "0"}, "Of a deposit, a withdrawal or an exchange it is positive."),
        ({"kind": "FX"}, f"{PAID}\n{PAID}"),
        ({"paid_amount": "1"}, PAID),
        ({"kind": "FX", "paid_amount": "1", "fx_rate": "1"}, f"{PAID}\nAn exchange has none."),
        ({"kind": "TRADE"}, "Select a valid choice. TRADE is not one of the available choices."),
        ({"fx_rate": "-1"}, "A rate is positive."),
        ({"value_date": "1799-12-31"}, "A date lies in the years from 1800 to 9999."),
        ({"amount": "1e20"}, "Ensure that there are no more than 20 digits before the decimal point."),
    ],
)
def test_money_that_breaks_a_rule_is_refused(operator_client: Client, entered: dict[str, str], message: str) -> None:
    account = AccountFactory.create()

    assert refused(operator_client, ADD, **new_entry(account) | entered) == message

    assert (entries(account), Posting.objects.count()) == ([], 0)


def test_an_entry_is_reversed_once_and_its_reversal_never(operator_client: Client) -> None:
    account = AccountFactory.create()
    done(operator_client, ADD, **new_entry(account))
    (deposit,) = entries(account)
    done(operator_client, url(JournalEntry, "reverse", deposit.pk))

    for entry in entries(account):
        response = operator_client.post(url(JournalEntry, "reverse", entry.pk), follow=True)
        assert last_message(response) == f"{entry} was reversed already, or is a reversal itself."
        assert response.context["tools"] == []

    assert len(entries(account)) == 2


def test_the_entry_of_a_trade_is_reversed_by_hand(operator_client: Client) -> None:
    book = Book()
    (entry,) = book.buy("10").entries.all()

    done(operator_client, url(JournalEntry, "reverse", entry.pk))

    assert ledger(book.account) == {}
