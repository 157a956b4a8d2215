"""What a file would do, row by row."""

from collections import Counter

import pytest

from tests.factories import AccountFactory, CurrencyFactory
from tests.trader.importing.exports import BINANCE, binance_file, change, degiro, degiro_file, flex, flex_file
from tests.trader.importing.intake import imported, row_counts, take_in
from tests.trader.importing.sheets import cancel, cash, correction, exchange, split, trade
from trader.importing.files import Outcome
from trader.importing.preview import Preview, PreviewLine, State
from trader.models import Account

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    for code in ("EUR", "USD", "GBP"):
        CurrencyFactory.create(code=code)
    return AccountFactory.create()


def foretold(outcome: Outcome) -> Preview:
    assert outcome.preview is not None
    return outcome.preview


def states(outcome: Outcome) -> list[tuple[int, State]]:
    return [(line.line, line.state) for line in foretold(outcome).lines]


def test_it_is_kept_only_when_asked_for(account: Account) -> None:
    assert take_in(account, trade(), dry_run=True).preview is None


def test_it_says_of_each_row_what_it_would_do(account: Account) -> None:
    rows = [
        trade(mic="XSWX", external_id="T1", quantity="10.0"),
        trade("SELL", "5", price="", amount="600", mic="XSWX", external_id="T2"),
        correction("T1", price="101", mic="XSWX"),
        cancel("T2"),
        cash(amount="100.50"),
        cash("DIVIDEND", amount="15", symbol="AAA", mic="XSWX"),
        exchange(),
        split(mic="XSWX"),
    ]
    before = row_counts()

    outcome = take_in(account, *rows, dry_run=True, preview=True)

    assert row_counts() == before
    assert [(line.line, line.kind, line.what) for line in foretold(outcome).lines] == [
        (2, "TRADE", "BUY 10 AAA.XSWX at 100 CHF"),
        (3, "TRADE", "SELL 5 AAA.XSWX at 120 CHF"),
        (4, "CORRECT", "CORRECT T1 to BUY 10 AAA.XSWX at 101 CHF"),
        (5, "CANCEL", "CANCEL T2"),
        (6, "DEPOSIT", "DEPOSIT 100.5 CHF"),
        (7, "DIVIDEND", "DIVIDEND 15 CHF of AAA.XSWX"),
        (8, "FX", "FX 1000 USD for 910 CHF"),
        (9, "SPLIT", "SPLIT 4:1 of AAA.XSWX"),
    ]
    assert {line.state for line in foretold(outcome).lines} == {State.ADDED}


def test_a_price_in_pence_says_so() -> None:
    CurrencyFactory.create(code="GBP")
    account = AccountFactory.create(base_currency__code="EUR")
    row = degiro("387", "1070.0000", "-414090.00", "-4766.21", "-2.39", "-4768.60", currency="GBX", reference="LSE")

    outcome = take_in(account, data=degiro_file(row), file_format="degiro", dry_run=True, preview=True)

    assert foretold(outcome).lines[0].what == "BUY 387 US2546871060.XLON at 1070 x 0.01 GBP"


def test_known_rows_are_told_from_new_ones(account: Account) -> None:
    imported(account, trade(), cash(), split())

    outcome = take_in(account, trade(), trade(), cash(), split(note="again"), split(symbol="BBB"), preview=True)

    assert outcome.problems
    assert states(outcome) == [
        (2, State.KNOWN),
        (3, State.ADDED),
        (4, State.KNOWN),
        (5, State.KNOWN),
        (6, State.REFUSED),
    ]


def test_a_split_that_the_book_has_is_known(account: Account) -> None:
    imported(account, trade(), split())

    outcome = take_in(account, split(currency="CHF"), trade(price="99"), dry_run=True, preview=True)

    assert states(outcome) == [(2, State.KNOWN), (3, State.ADDED)]
    assert foretold(outcome).counts == {("SPLIT", State.KNOWN): 1, ("TRADE", State.ADDED): 1}


def test_refused_rows_have_their_problems_and_others_would_be_added(account: Account) -> None:
    rows = [
        trade(price="ten"),
        trade(currency="GBX", mic="XLON"),
        cash(),
        trade(external_id="T1"),
        trade(external_id="T1", price="99"),
    ]

    outcome = take_in(account, *rows, dry_run=True, preview=True)

    lines = foretold(outcome).lines
    assert (outcome.rows, outcome.imported) == (5, 0)
    assert states(outcome) == [
        (2, State.REFUSED),
        (3, State.REFUSED),
        (4, State.ADDED),
        (5, State.ADDED),
        (6, State.REFUSED),
    ]
    assert [line.what for line in lines] == [
        "",
        "BUY 10 AAA.XLON at 100 GBX",
        "DEPOSIT 100 CHF",
        "BUY 10 AAA.XXXX at 100 CHF",
        "BUY 10 AAA.XXXX at 99 CHF",
    ]
    assert [[problem.column for problem in line.problems] for line in lines] == [
        ["price"],
        ["currency"],
        [],
        [],
        ["external_id"],
    ]
    assert [problem for line in lines for problem in line.problems] == outcome.problems.kept


def test_what_the_account_does_not_hold_is_refused_on_its_line(account: Account) -> None:
    outcome = take_in(account, trade(), trade("SELL", "11"), dry_run=True, preview=True)

    assert states(outcome) == [(2, State.ADDED), (3, State.REFUSED)]
    assert foretold(outcome).counts == {("TRADE", State.ADDED): 1, ("TRADE", State.REFUSED): 1}


def test_rows_that_make_one_activity_are_one_line_and_counted_all(account: Account) -> None:
    outcome = take_in(account, data=BINANCE, file_format="binance", dry_run=True, preview=True)

    preview = foretold(outcome)
    assert (outcome.rows, outcome.imported) == (20, 20)
    assert [(line.line, line.rows) for line in preview.lines] == [(2 * n, 2) for n in range(1, 9)] + [
        (n, 1) for n in range(18, 22)
    ]
    assert preview.counts == {
        ("TRADE", State.ADDED): 16,
        ("DEPOSIT", State.ADDED): 3,
        ("WITHDRAWAL", State.ADDED): 1,
    }


def test_rows_of_a_second_that_are_refused_are_counted_all(account: Account) -> None:
    data = binance_file(change("Buy", "DOT", "1"), change("Buy", "ETH", "1"), change("Buy", "EUR", "-9"))

    outcome = take_in(account, data=data, file_format="binance", dry_run=True, preview=True)

    assert outcome.rows == 3
    assert foretold(outcome) == Preview(
        [PreviewLine(2, 3, State.REFUSED, "", "", outcome.problems.kept)], Counter({("", State.REFUSED): 3})
    )


def test_rows_that_make_none_are_passed_over_and_say_why(account: Account) -> None:
    data = flex_file(flex(LevelOfDetail="ORDER"), flex())

    outcome = take_in(account, data=data, file_format="ibkr", dry_run=True, preview=True)

    assert foretold(outcome).lines[0] == PreviewLine(
        2, 1, State.PASSED, "", "ORDER: the executions of an order, summed up", []
    )
    assert foretold(outcome).counts == {("", State.PASSED): 1, ("TRADE", State.ADDED): 1}


def test_all_rows_are_counted_and_the_first_thousand_kept(account: Account) -> None:
    rows = [*(cash(amount=str(number)) for number in range(1, 1_500)), cash(amount="0"), trade()]

    outcome = take_in(account, *rows, dry_run=True, preview=True)

    assert [line.line for line in foretold(outcome).lines] == list(range(2, 1_002))
    assert foretold(outcome).counts == {
        ("DEPOSIT", State.ADDED): 1_499,
        ("", State.REFUSED): 1,
        ("TRADE", State.ADDED): 1,
    }


def test_an_unreadable_file_has_no_lines(account: Account) -> None:
    outcome = take_in(account, data=b"a,b\n1,2\n", dry_run=True, preview=True)

    assert foretold(outcome) == Preview([], Counter())
