from decimal import Decimal
from typing import Any

import pytest

from tests.factories import DAY, NOW, AccountFactory, InstrumentFactory
from tests.trader.models.plain_sql import orm_refused
from tests.trader.operations.books import Amounts, Book, amounts, currency, figures, ledger, posted
from trader.models import Account, JournalEntry, LedgerAccount, Posting
from trader.operations.ledger import record_cash, record_exchange, reverse

pytestmark = pytest.mark.django_db


def cash(
    kind: str, amount: str, code: str = "CHF", *, account: Account | None = None, **more: Any
) -> JournalEntry | None:
    return record_cash(
        account=account or AccountFactory.create(),
        kind=kind,
        currency=currency(code),
        amount=Decimal(amount),
        value_date=DAY,
        actor="a trader",
        now=NOW,
        **more,
    )


def deposit(amount: str = "100", code: str = "CHF") -> JournalEntry:
    entry = cash("DEPOSIT", amount, code)
    assert entry is not None
    return entry


def exchange(bought: tuple[str, str], sold: tuple[str, str]) -> JournalEntry | None:
    return record_exchange(
        account=AccountFactory.create(),
        bought=(currency(bought[0]), Decimal(bought[1])),
        sold=(currency(sold[0]), Decimal(sold[1])),
        value_date=DAY,
        actor="a trader",
        now=NOW,
    )


@pytest.mark.parametrize("sign", [1, -1], ids=["given", "taken back"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("DEPOSIT", amounts(CASH_CHF="12.34", EQUITY_CHF="-12.34")),
        ("WITHDRAWAL", amounts(CASH_CHF="-12.34", EQUITY_CHF="12.34")),
        ("DIVIDEND", amounts(CASH_CHF="12.34", INCOME_CHF="-12.34")),
        ("INTEREST", amounts(CASH_CHF="12.34", INCOME_CHF="-12.34")),
        ("WITHHOLDING_TAX", amounts(CASH_CHF="-12.34", EXPENSE_CHF="12.34")),
        ("FEE", amounts(CASH_CHF="-12.34", EXPENSE_CHF="12.34")),
    ],
)
def test_money_comes_from_somewhere_and_goes_somewhere(kind: str, expected: Amounts, sign: int) -> None:
    entry = cash(kind, f"{sign * Decimal('12.34')}")

    assert posted(entry) == {account: sign * amount for account, amount in expected.items()}


@pytest.mark.parametrize(
    ("code", "amount", "booked"),
    [("CHF", "0.005", "0.01"), ("CHF", "-0.005", "-0.01"), ("JPY", "1234.5", "1235"), ("KWD", "1.0005", "1.001")],
)
def test_an_amount_is_rounded_to_the_minor_unit(code: str, amount: str, booked: str) -> None:
    entry = cash("DEPOSIT", amount, code)

    assert posted(entry)["CASH", code] == Decimal(booked)


def test_an_entry_says_what_it_is_of() -> None:
    account, instrument = AccountFactory.create(), InstrumentFactory.create()

    entry = cash("DIVIDEND", "10", account=account, instrument=instrument, fx_rate=Decimal("0.91"))

    stored = JournalEntry.objects.get()
    assert entry == stored
    assert figures(stored, "account", "instrument", "kind", "value_date", "fx_rate", "actor", "recorded_at") == (
        account,
        instrument,
        "DIVIDEND",
        DAY,
        Decimal("0.91"),
        "a trader",
        NOW,
    )


def test_what_rounds_to_nothing_is_no_entry() -> None:
    assert cash("DEPOSIT", "0.004") is None
    assert exchange(("CHF", "0.004"), ("JPY", "0.4")) is None
    assert not JournalEntry.objects.exists()
    assert not LedgerAccount.objects.exists()


def test_an_exchange_brings_one_currency_for_another() -> None:
    entry = exchange(("JPY", "15000.5"), ("CHF", "87.655"))

    assert entry is not None
    assert (entry.kind, entry.value_date) == ("FX", DAY)
    assert posted(entry) == amounts(
        CASH_JPY="15001", FX_TRADING_JPY="-15001", CASH_CHF="-87.66", FX_TRADING_CHF="87.66"
    )


def test_a_refused_entry_leaves_nothing_behind() -> None:
    with orm_refused("trader_journalentry_fx_rate_check"):
        cash("DEPOSIT", "100", fx_rate=Decimal(-1))

    assert not JournalEntry.objects.exists()
    assert not LedgerAccount.objects.exists()


def test_a_ledger_account_is_made_once() -> None:
    account = AccountFactory.create()

    for code in ("CHF", "CHF", "USD"):
        cash("DEPOSIT", "1", code, account=account)

    assert LedgerAccount.objects.filter(account=account).count() == 4
    assert ledger(account) == amounts(CASH_CHF="2", EQUITY_CHF="-2", CASH_USD="1", EQUITY_USD="-1")


def test_a_reversal_is_the_exact_negative_on_the_same_day() -> None:
    entry = deposit()

    reversal = reverse(entry, actor="an auditor", now=NOW)

    assert posted(reversal) == amounts(CASH_CHF="-100", EQUITY_CHF="100")
    assert figures(reversal, "kind", "reverses", "account", "value_date", "actor") == (
        "REVERSAL",
        entry,
        entry.account,
        DAY,
        "an auditor",
    )
    assert ledger(entry.account) == {}


def test_a_reversal_is_exact_with_the_longest_numbers() -> None:
    entry = deposit("12345678901234567890.123456789012345678", "ETH")

    reverse(entry, actor="an auditor", now=NOW)

    assert ledger(entry.account) == {}


def test_an_entry_is_reversed_once() -> None:
    entry = deposit()
    reversal = reverse(entry, actor="an auditor", now=NOW)

    with orm_refused("trader_journalentry_reverses_id_key"):
        reverse(entry, actor="an auditor", now=NOW)
    with orm_refused("trader_journalentry_reverses_rule"):
        reverse(reversal, actor="an auditor", now=NOW)

    assert JournalEntry.objects.count() == 2
    assert Posting.objects.count() == 4


def test_a_reversed_trade_still_counts() -> None:
    book = Book()
    trade = book.buy("10")

    reverse(trade.entries.get(), actor="an auditor", now=NOW)

    assert ledger(book.account) == {}
    assert book.position.quantity == 10
