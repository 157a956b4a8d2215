from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from tests.factories import DAY, ExecutionFactory, JournalEntryFactory, PostingFactory
from tests.trader.models.plain_sql import CHECK_REFERENCES, PlainBook, Row, insert, orm_refused, refused
from trader.models import JournalEntry
from trader.models.keys import uuid7

pytestmark = pytest.mark.django_db

DEFER = "SET CONSTRAINTS ALL DEFERRED"
POSTING = "trader_posting_entry_rule"
POSTINGS = "trader_journalentry_postings_rule"
REVERSES = "trader_journalentry_reverses_rule"


def reversal_of(book: PlainBook, entry: UUID, amount: str = "100", **changes: Any) -> UUID:
    reversal = book.entry(kind="REVERSAL", reverses_id=entry, **changes)
    book.posting(reversal, "CASH", f"-{amount}")
    book.posting(reversal, "EQUITY", amount)
    return reversal


def commit(book: PlainBook) -> None:
    """What COMMIT would ask."""
    book.execute(CHECK_REFERENCES)


def test_an_entry_that_balances_is_accepted(book: PlainBook) -> None:
    book.deposit()

    commit(book)


@pytest.mark.parametrize("kind", ["", "GIFT"])
def test_an_unknown_kind_of_ledger_account_is_refused(book: PlainBook, kind: str) -> None:
    with refused(book.session, "trader_ledgeraccount_kind_check"):
        book.ledger_account(kind)


def test_a_second_ledger_account_of_one_kind_and_currency_is_refused(book: PlainBook) -> None:
    row = {"account_id": book.account, "kind": "CASH", "currency_id": book.currency}
    insert(book.session, "trader_ledgeraccount", row)

    with refused(book.session, "trader_ledgeraccount_account_kind_currency_unique"):
        insert(book.session, "trader_ledgeraccount", row)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"kind": "GIFT"}, "kind"),
        ({"kind": "REVERSAL"}, "kind_reverses"),
        ({"kind": "TRADE"}, "kind_execution"),
        ({"fx_rate": "0"}, "fx_rate"),
        ({"fx_rate": "NaN"}, "fx_rate"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(book: PlainBook, changes: dict[str, Any], constraint: str) -> None:
    with refused(book.session, f"trader_journalentry_{constraint}_check"):
        book.entry(**changes)


def test_an_entry_is_of_an_account(book: PlainBook) -> None:
    with refused(book.session, "trader_journalentry_execution_rule"):
        book.entry(account_id=0)


def test_only_a_trades_entry_names_an_execution_and_only_a_reversal_another_entry(book: PlainBook) -> None:
    deposit, execution = book.deposit(), book.execution()

    with refused(book.session, "trader_journalentry_kind_execution_check"):
        book.entry(execution_id=execution)
    with refused(book.session, "trader_journalentry_kind_execution_check"):
        book.entry(kind="REVERSAL", reverses_id=deposit, execution_id=execution)
    with refused(book.session, "trader_journalentry_kind_reverses_check"):
        book.entry(reverses_id=deposit)


@pytest.mark.parametrize("difference", ["account", "instrument", "no instrument", "missing"])
def test_a_trades_entry_is_of_its_executions_account_and_instrument(book: PlainBook, difference: str) -> None:
    trade = {"kind": "TRADE", "execution_id": book.execution(), "instrument_id": book.instrument}
    differences: dict[str, Callable[[], Row]] = {
        "account": lambda: {"account_id": book.another_account("OTHER")},
        "instrument": lambda: {"instrument_id": book.another_instrument("BBB")},
        "no instrument": lambda: {"instrument_id": None},
        "missing": lambda: {"execution_id": uuid7()},
    }
    changes = differences[difference]()

    with refused(book.session, "trader_journalentry_execution_rule"):
        book.entry(**trade | changes)
    book.entry(**trade)


def test_a_second_entry_for_an_execution_is_refused(book: PlainBook) -> None:
    trade = {"kind": "TRADE", "execution_id": book.execution(), "instrument_id": book.instrument}
    book.entry(**trade)

    with refused(book.session, "trader_journalentry_execution_trade_unique"):
        book.entry(**trade)


@pytest.mark.parametrize("amounts", [[], ["100"]])
def test_an_entry_has_two_postings_or_more(book: PlainBook, amounts: list[str]) -> None:
    entry = book.entry()
    for amount in amounts:
        book.posting(entry, "CASH", amount)

    with refused(book.session, POSTINGS):
        book.execute(f"SET CONSTRAINTS {POSTINGS} IMMEDIATE")


def test_an_entry_that_does_not_balance_is_refused(book: PlainBook) -> None:
    entry = book.entry()
    book.posting(entry, "CASH", "100")
    book.posting(entry, "EQUITY", "-99.99")

    with refused(book.session, POSTINGS):
        commit(book)


def test_currencies_do_not_make_up_for_each_other(book: PlainBook) -> None:
    other = book.another_currency()
    abroad = book.ledger_account("CASH", currency_id=other)
    entry = book.entry(kind="FX")
    book.posting(entry, "CASH", "100")
    book.posting(entry, "", "-100", ledger_account_id=abroad, currency_id=other)

    with refused(book.session, POSTINGS):
        commit(book)


@pytest.mark.parametrize("amount", ["0", "NaN"])
def test_a_posting_moves_an_amount(book: PlainBook, amount: str) -> None:
    entry = book.entry()

    with refused(book.session, "trader_posting_amount_check"):
        book.posting(entry, "CASH", amount)


@pytest.mark.parametrize(
    ("minor_unit", "fine", "coarse"),
    [(0, "0.5", "7"), (2, "0.005", "0.01"), (3, "0.0005", "0.001"), (8, "0.000000001", "0.00000001")],
)
def test_an_amount_finer_than_the_minor_unit_is_refused(
    book: PlainBook, minor_unit: int, fine: str, coarse: str
) -> None:
    currency = book.another_currency(minor_unit=minor_unit)
    cash = {"ledger_account_id": book.ledger_account("CASH", currency_id=currency), "currency_id": currency}
    entry = book.entry()

    with refused(book.session, POSTING):
        book.posting(entry, "", fine, **cash)
    book.posting(entry, "", coarse, **cash)


@pytest.mark.parametrize("difference", ["value_date", "currency", "account", "entry"])
def test_a_posting_agrees_with_its_entry_and_ledger_account(book: PlainBook, difference: str) -> None:
    entry, other = book.entry(), book.another_account("OTHER")
    differences: dict[str, Callable[[], Row]] = {
        "value_date": lambda: {"value_date": DAY + timedelta(days=1)},
        "currency": lambda: {"currency_id": book.another_currency()},
        "account": lambda: {"ledger_account_id": book.ledger_account("CASH", account_id=other)},
        "entry": lambda: {"entry_id": uuid7()},
    }
    changes = differences[difference]()

    with refused(book.session, POSTING):
        book.posting(entry, "CASH", "100", **changes)


def test_a_reversal_is_the_exact_negative(book: PlainBook) -> None:
    reversal_of(book, book.deposit())

    commit(book)


@pytest.mark.parametrize("amount", ["99", "101"])
def test_a_reversal_of_another_amount_is_refused(book: PlainBook, amount: str) -> None:
    reversal_of(book, book.deposit(), amount)

    with refused(book.session, POSTINGS):
        commit(book)


def test_a_reversal_through_another_ledger_account_is_refused(book: PlainBook) -> None:
    reversal = book.entry(kind="REVERSAL", reverses_id=book.deposit())
    book.posting(reversal, "CASH", "-100")
    book.posting(reversal, "INCOME", "100")

    with refused(book.session, POSTINGS):
        commit(book)


@pytest.mark.parametrize("difference", ["account", "instrument", "value_date", "missing", "reversal", "itself"])
def test_a_reversal_takes_back_an_entry_where_it_was(book: PlainBook, difference: str) -> None:
    entry = book.deposit()
    itself = uuid7()
    differences: dict[str, Callable[[], Row]] = {
        "account": lambda: {"account_id": book.another_account("OTHER")},
        "instrument": lambda: {"instrument_id": book.instrument},
        "value_date": lambda: {"value_date": DAY + timedelta(days=1)},
        "missing": lambda: {"reverses_id": uuid7()},
        "reversal": lambda: {"reverses_id": reversal_of(book, entry)},
        "itself": lambda: {"id": itself, "reverses_id": itself},
    }
    changes = differences[difference]()

    with refused(book.session, REVERSES):
        book.entry(**{"kind": "REVERSAL", "reverses_id": entry} | changes)


def test_a_second_reversal_is_refused(book: PlainBook) -> None:
    entry = book.deposit()
    reversal_of(book, entry)

    with refused(book.session, "trader_journalentry_reverses_id_key"):
        book.entry(kind="REVERSAL", reverses_id=entry)


def one_leg(book: PlainBook, entry: UUID, reversal: UUID) -> None:
    book.posting(entry, "CASH", "5")


def two_legs_of_the_reversal(book: PlainBook, entry: UUID, reversal: UUID) -> None:
    book.posting(reversal, "CASH", "5")
    book.posting(reversal, "EQUITY", "-5")


def two_legs_of_the_reversed(book: PlainBook, entry: UUID, reversal: UUID) -> None:
    book.posting(entry, "CASH", "5")
    book.posting(entry, "EQUITY", "-5")


@pytest.mark.parametrize(
    ("add", "rule"), [(one_leg, POSTINGS), (two_legs_of_the_reversal, POSTINGS), (two_legs_of_the_reversed, POSTINGS)]
)
@pytest.mark.parametrize("deferred", [True, False])
def test_constraints_asked_for_early_are_asked_for_again(
    book: PlainBook, add: Callable[[PlainBook, UUID, UUID], None], rule: str, deferred: bool
) -> None:
    entry = book.deposit()
    reversal = reversal_of(book, entry)
    book.execute(CHECK_REFERENCES)

    with refused(book.session, POSTINGS if not deferred else rule):
        if deferred:
            book.execute(DEFER)
        add(book, entry, reversal)
        book.execute(CHECK_REFERENCES)


def test_a_savepoint_does_not_hide_a_leg(book: PlainBook) -> None:
    entry = book.deposit()
    with book.session.transaction():
        book.posting(entry, "CASH", "5")

    with refused(book.session, POSTINGS):
        commit(book)


def test_a_leg_in_a_savepoint_that_is_rolled_back_is_not_counted(book: PlainBook) -> None:
    entry = book.deposit()
    book.execute("SAVEPOINT leg")
    book.posting(entry, "CASH", "5")
    book.execute("ROLLBACK TO SAVEPOINT leg")

    commit(book)


def test_the_database_says_which_transaction_wrote_an_entry(book: PlainBook) -> None:
    entry = book.entry(posted_xid=1)

    posted = book.value("SELECT posted_xid FROM trader_journalentry WHERE id = %s", entry)

    assert posted == book.value("SELECT pg_current_xact_id()::text::bigint")


def test_postings_come_by_copy(book: PlainBook) -> None:
    entry, cash, equity = book.entry(), book.ledger_account("CASH"), book.ledger_account("EQUITY")

    with book.session.cursor().copy(
        "COPY trader_posting (entry_id, ledger_account_id, currency_id, amount, value_date) FROM STDIN"
    ) as copy:
        copy.write_row([entry, cash, book.currency, "1.5", DAY])
        copy.write_row([entry, equity, book.currency, "-1.25", DAY])

    with refused(book.session, POSTINGS):
        commit(book)


def test_the_orm_cannot_leave_an_entry_out_of_balance() -> None:
    entry = JournalEntryFactory.create()
    PostingFactory.create(entry=entry, amount=Decimal(100))
    PostingFactory.create(entry=entry, ledger_account__kind="EQUITY", amount=Decimal("-99.99"))

    with orm_refused(POSTINGS):
        connection.check_constraints()


def test_the_orm_cannot_leave_an_entry_with_one_leg() -> None:
    PostingFactory.create()

    with orm_refused(POSTINGS):
        connection.check_constraints()


def test_the_orm_cannot_post_finer_than_the_minor_unit() -> None:
    with orm_refused(POSTING):
        PostingFactory.create(amount=Decimal("0.001"))


def test_the_orm_cannot_book_a_trade_twice() -> None:
    execution = ExecutionFactory.create()
    trade = {
        "kind": JournalEntry.Kind.TRADE,
        "execution": execution,
        "account": execution.account,
        "instrument": execution.instrument,
    }
    JournalEntryFactory.create(**trade)

    with orm_refused("trader_journalentry_execution_trade_unique"):
        JournalEntryFactory.create(**trade)
