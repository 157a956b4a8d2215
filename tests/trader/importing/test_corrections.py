import pytest

from tests.factories import NOW, AccountFactory, CurrencyFactory
from tests.trader.importing.intake import facts_of, imported, refused
from tests.trader.importing.sheets import Row, cancel, cash, correction, trade
from tests.trader.operations.books import entries, posted, state_of
from trader.importing.problems import Problem
from trader.models import Account, JournalEntry
from trader.operations.ledger import reverse

pytestmark = pytest.mark.django_db

CANCELLED = "a trade that counts: H1 cancelled this one"
KNOWN = "the external ID of a trade, in this file or imported before"


@pytest.fixture
def account() -> Account:
    CurrencyFactory.create(code="EUR")
    return AccountFactory.create(allow_short=True)


T1 = trade(external_id="T1", fee="1")
T2 = trade("SELL", "4", "110", external_id="T2", transact_time="2026-01-06")


@pytest.mark.parametrize(
    "files",
    [
        [[T1, T2, correction("T1", quantity="11", external_id="C1"), cancel("T2", external_id="H2")]],
        [[cancel("T2", external_id="H2"), correction("T1", quantity="11", external_id="C1"), T2, T1]],
        [[T1, T2], [correction("T1", quantity="11", external_id="C1"), cancel("T2", external_id="H2")]],
        [[T1], [correction("T1", quantity="11", external_id="C1"), T2], [cancel("T2", external_id="H2")]],
    ],
    ids=["after their trades", "before them", "in a later file", "each in its file"],
)
def test_where_a_correction_stands_makes_no_difference(account: Account, files: list[list[Row]]) -> None:
    other = AccountFactory.create(allow_short=True)
    imported(other, trade(quantity="11", external_id="T1"))

    for rows in files:
        imported(account, *rows)

    (position,) = state_of(account).positions
    (lot,) = state_of(account).lots
    assert position[1:-1] == state_of(other).positions[0][1:-1]
    assert lot[3:] == state_of(other).lots[0][3:]
    assert state_of(account).ledger == state_of(other).ledger
    assert [(report[0], report[1], report[2]) for report in facts_of(account)[0]] == [
        ("C1", "G", "T1"),
        ("H2", "H", "T2"),
        ("T1", "F", None),
        ("T2", "F", None),
    ]


def test_corrections_go_on_where_an_earlier_file_ended(account: Account) -> None:
    imported(account, T1, correction("T1", quantity="11", external_id="C1"))

    imported(
        account, correction("T1", quantity="12", external_id="C2"), correction("C1", quantity="13", external_id="C3")
    )

    assert {report[0]: report[2] for report in facts_of(account)[0]} == {"T1": None, "C1": "T1", "C2": "C1", "C3": "C2"}
    assert state_of(account).positions[0][1] == 13


def test_an_entry_that_was_reversed_by_hand_is_not_reversed_again(account: Account) -> None:
    imported(account, T1)
    reverse(JournalEntry.objects.get(), actor="an accountant", now=NOW)

    imported(account, correction("T1", quantity="12", external_id="C1"))

    assert [entry.kind for entry in entries(account)] == ["TRADE", "REVERSAL", "TRADE"]
    assert posted(entries(account)[-1])["SECURITIES", "CHF"] == 1200


def test_a_correction_of_a_trade_that_rounded_to_nothing_reverses_nothing(account: Account) -> None:
    dust = trade(quantity="0.00001", external_id="T1")

    imported(account, dust, correction("T1", quantity="1", external_id="C1"), correction("T1", quantity="0.00001"))

    assert sorted(entry.kind for entry in entries(account)) == ["REVERSAL", "TRADE"]
    assert state_of(account).ledger == {}


OTHERWISE = [
    (cancel("T9"), ("exec_ref", "T9", KNOWN)),
    (correction("D1"), ("exec_ref", "D1", KNOWN)),
    (correction("H1"), ("exec_ref", "H1", "")),
    (correction("T0"), ("exec_ref", "T0", CANCELLED)),
    (cancel("T0", side="BUY"), ("exec_ref", "T0", CANCELLED)),
    (correction("T1", "SELL"), ("side", "SELL", "BUY, the trade's own side")),
    (correction("T1", symbol="BBB"), ("symbol", "BBB", "the trade's own instrument")),
    (correction("T1", currency="EUR"), ("symbol", "AAA", "the trade's own instrument")),
    (correction("T1", symbol="", isin="CH0038863350"), ("symbol", "CH0038863350", "the trade's own instrument")),
    (correction("T1", quantity="0.000000001"), ("quantity", "0.000000001", "at least 0.00000001, the quantity incr")),
    (correction("T1", settl_currency="EUR"), ("settl_amount", "", "an amount. It is settled in EUR, and neither")),
    (correction("C2", external_id="C2"), ("exec_ref", "C2", KNOWN)),
]
BEFORE = [cash(external_id="D1"), trade(external_id="T0"), cancel("T0", external_id="H1"), T1]


@pytest.mark.parametrize(("row", "problem"), OTHERWISE)
def test_what_cannot_be_corrected_is_refused(account: Account, row: Row, problem: tuple[str, str, str]) -> None:
    (found,) = refused(account, *BEFORE, row)

    assert (found.line, found.column, found.value) == (6, *problem[:2])
    assert found.expected.startswith(problem[2])


@pytest.mark.parametrize(("row", "problem"), OTHERWISE)
def test_what_cannot_be_corrected_in_a_later_file_is_refused(
    account: Account, row: Row, problem: tuple[str, str, str]
) -> None:
    imported(account, *BEFORE)

    (found,) = refused(account, row)

    assert (found.line, found.column, found.value) == (2, *problem[:2])
    assert found.expected.startswith(problem[2])


def test_corrections_in_a_circle_are_refused(account: Account) -> None:
    found = refused(account, correction("C2", external_id="C1"), correction("C1", external_id="C2"))

    assert found == [Problem(2, "exec_ref", "C2", KNOWN), Problem(3, "exec_ref", "C1", KNOWN)]


def test_a_trade_of_another_account_is_not_found(account: Account) -> None:
    imported(AccountFactory.create(), T1)

    assert refused(account, cancel("T1")) == [Problem(2, "exec_ref", "T1", KNOWN)]


def test_a_row_that_cannot_be_read_is_not_missed_by_those_that_name_it(account: Account) -> None:
    found = refused(account, trade(external_id="T1", price="?"), cancel("T1"))

    assert [(problem.line, problem.column) for problem in found] == [(2, "price")]


def test_a_correction_below_what_was_sold_since_is_refused(account: Account) -> None:
    account.allow_short = False
    account.save()
    imported(account, T1, trade("SELL", "8", external_id="T3", transact_time="2026-01-07"))

    (found,) = refused(account, correction("T1", quantity="7"))

    assert found[:3] == (None, "", "T3")
    assert found.expected.startswith(f"no more than {account} holds of AAA.XXXX:CHF on 2026-01-07")
