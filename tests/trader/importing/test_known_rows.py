from random import Random

import pytest

from tests.factories import AccountFactory, CurrencyFactory
from tests.trader.importing.intake import facts_of, imported, refused, row_counts, take_in
from tests.trader.importing.sheets import Row, cancel, cash, correction, exchange, sheet, split, trade
from tests.trader.operations.books import state_of
from trader.importing.problems import Problem
from trader.models import Account, Execution, ImportBatch, ImportRow, Instrument, Position

pytestmark = pytest.mark.django_db

# Of every kind, some with an ID and some without.
ROWS: list[Row] = [
    cash(amount="5000"),
    trade(external_id="T1", fee="1"),
    trade(price="101", transact_time="2026-01-05T10:00:00Z"),
    trade("SELL", "4", "110", external_id="T2", transact_time="2026-01-07"),
    correction("T1", quantity="11", external_id="C1"),
    cancel("T2"),
    exchange(),
    split(transact_time="2026-01-06", currency="CHF"),
    cash("DIVIDEND", "3", symbol="AAA"),
]


@pytest.fixture
def account() -> Account:
    CurrencyFactory.create(code="USD")
    return AccountFactory.create()


def quantity(account: Account) -> str:
    return f"{Position.objects.get(account=account).quantity:f}".rstrip("0").rstrip(".")


def test_the_same_file_twice_adds_nothing(account: Account) -> None:
    first = imported(account, *ROWS)
    before = row_counts(), facts_of(account), state_of(account)

    second = imported(account, *ROWS)

    assert (first, second) == ((9, 0), (0, 9))
    assert (row_counts(), facts_of(account), state_of(account)) == before


def test_what_was_written_otherwise_but_says_the_same_is_known(account: Account) -> None:
    imported(account, *ROWS)
    shuffled = ROWS[:]
    Random(1).shuffle(shuffled)
    columns = [*sorted({column for row in ROWS for column in row}), "note"]

    again = imported(account, data=sheet(*({**row, "note": "seen"} for row in shuffled), columns=columns))

    assert again == (0, 9)


def test_a_longer_file_adds_what_is_new(account: Account) -> None:
    other = AccountFactory.create()
    imported(account, *ROWS[:4])

    later = imported(account, *ROWS)

    imported(other, *ROWS)
    assert later == (5, 4)
    assert state_of(account) == state_of(other)


def test_another_account_knows_nothing_of_it(account: Account) -> None:
    imported(account, *ROWS[:2])

    assert imported(AccountFactory.create(), *ROWS[:2]) == (2, 0)


def test_equal_rows_without_an_id_all_count(account: Account) -> None:
    twice = imported(account, trade(), trade(note="a second one"))

    once, thrice = imported(account, trade()), imported(account, trade(), trade(), trade())

    assert (twice, once, thrice) == ((2, 0), (0, 1), (1, 2))
    assert quantity(account) == "30"
    assert sorted(ImportRow.objects.values_list("ordinal", flat=True)) == [0, 1, 2]


def test_an_id_that_comes_twice_with_equal_content_counts_once(account: Account) -> None:
    outcome = imported(account, trade(external_id="T1"), trade(quantity="10.0", external_id="T1", note="again"))

    assert outcome == (1, 1)
    assert quantity(account) == "10"


@pytest.mark.parametrize("other", [trade(quantity="11", external_id="T1"), cash(external_id="T1")])
def test_an_id_with_other_content_is_refused(account: Account, other: Row) -> None:
    in_one_file = refused(account, trade(external_id="T1"), other)
    imported(account, cash(), trade(external_id="T1"))
    in_a_later_one = refused(account, other)

    expected = "another ID: {} has this one, with other content"
    assert in_one_file == [Problem(3, "external_id", "T1", expected.format("line 2"))]
    assert in_a_later_one == [Problem(2, "external_id", "T1", expected.format("line 3 of a file imported before"))]


def test_a_dry_run_says_what_would_come_and_keeps_nothing(account: Account) -> None:
    imported(account, *ROWS[:1])
    before = row_counts()
    unknown = trade(symbol="NEW", mic="XOFF", isin="CH0038863350", currency="NEWCOIN", fee="1", fee_currency="FEECOIN")

    outcome = take_in(account, *ROWS, unknown, dry_run=True)

    assert (outcome.rows, outcome.imported, outcome.skipped, outcome.problems.count) == (10, 9, 1, 0)
    assert row_counts() == before


def test_a_dry_run_refuses_what_an_import_would(account: Account) -> None:
    before = row_counts()

    outcome = take_in(account, trade("SELL"), dry_run=True)

    assert [(problem.line, problem.column) for problem in outcome.problems.kept] == [(2, "quantity")]
    assert row_counts() == before


def test_known_rows_of_an_instrument_that_was_renamed_make_no_other(account: Account) -> None:
    imported(account, trade(external_id="T1"))
    Instrument.objects.update(symbol="BBB")
    before = row_counts()

    assert imported(account, trade(external_id="T1")) == (0, 1)
    assert row_counts() == before


def test_a_row_is_kept_as_it_stood(account: Account) -> None:
    text = 'a\\b\t"q" \\N\\.\nsecond é'
    data = sheet(cash(), trade(external_id=r"T\1", note=text)).replace(b"\n", b"\r\n")

    imported(account, data=data)

    row = ImportRow.objects.get(external_id=r"T\1")
    batch = ImportBatch.objects.get()
    trade_row = Execution.objects.get()
    assert row.raw == data.decode().splitlines(keepends=True)[2].rstrip() + "\r\n" + data.decode().splitlines()[3]
    assert (row.row_number, row.state, row.batch, row.account, row.source) == (3, "IMPORTED", batch, account, "generic")
    assert (batch.file_name, batch.actor, batch.source, batch.account) == (
        "activities.csv",
        "a trader",
        "generic",
        account,
    )
    assert (trade_row.exec_id, trade_row.source, trade_row.import_row) == (r"T\1", "generic", row)


@pytest.mark.parametrize("seed", range(5))
def test_rows_come_in_any_order(account: Account, seed: int) -> None:
    other = AccountFactory.create()
    imported(other, *ROWS)

    imported(account, *Random(seed).sample(ROWS, len(ROWS)))

    assert facts_of(account) == facts_of(other)
    assert state_of(account) == state_of(other)
