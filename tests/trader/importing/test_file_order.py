"""Which of two trades of one second came first: file order says so, or its reverse where times descend."""

from collections.abc import Iterator
from typing import BinaryIO

import pytest

from tests.factories import AccountFactory
from tests.trader.importing import sheets
from tests.trader.importing.intake import facts_of, imported, take_in
from tests.trader.importing.sheets import Row, cancel, cash, correction
from tests.trader.operations.books import state_of
from trader.importing import activities, generic
from trader.importing.activities import Destination, Format
from trader.importing.files import FORMATS
from trader.importing.problems import Problems
from trader.models import Account, Execution, LotMatch

pytestmark = pytest.mark.django_db

DAYS = ("2026-01-05", "2026-01-06", "2026-01-07")


def trade(side: str, price: str, day: int, external_id: str) -> Row:
    return sheets.trade(side, "10", price, transact_time=f"{DAYS[day]}T09:00:00Z", external_id=external_id)


ASCENDING = [
    trade("BUY", "100", 0, "T1"),
    trade("BUY", "101", 0, "T2"),
    trade("BUY", "102", 0, "T3"),
    trade("SELL", "110", 1, "T4"),
    trade("SELL", "111", 1, "T5"),
    trade("BUY", "103", 2, "T6"),
]


def closings(account: Account) -> list[tuple[str, str]]:
    matches = LotMatch.objects.filter(position__account=account).order_by("pk")
    return list(matches.values_list("closing_trade__exec_id", "opening_trade__exec_id"))


@pytest.fixture
def account() -> Account:
    return AccountFactory.create()


@pytest.mark.parametrize("rows", [ASCENDING, ASCENDING[::-1]], ids=["ascending", "descending"])
def test_trades_of_one_second_are_counted_in_the_order_of_the_times(account: Account, rows: list[Row]) -> None:
    imported(account, *rows)

    assert closings(account) == [("T4", "T1"), ("T5", "T2")]
    assert list(Execution.objects.order_by("pk").values_list("exec_id", flat=True)) == [
        "T1",
        "T2",
        "T3",
        "T4",
        "T5",
        "T6",
    ]


def test_what_most_rows_do_decides(account: Account) -> None:
    stray = cash(transact_time="2026-01-01")

    imported(account, *ASCENDING[:3], stray, *ASCENDING[3:])

    assert closings(account) == [("T4", "T1"), ("T5", "T2")]


def test_trades_of_one_second_alone_count_in_file_order(account: Account) -> None:
    imported(account, *ASCENDING[:3], sheets.trade("SELL", external_id="T4", transact_time="2026-01-05T09:00:00Z"))

    assert closings(account) == [("T4", "T1")]


AMENDED = [
    *ASCENDING,
    correction("T1", quantity="12", external_id="C1", transact_time=DAYS[0]),
    correction("T1", quantity="14", external_id="C2", transact_time=DAYS[0]),
    correction("T4", "SELL", quantity="11", external_id="C4", transact_time="2025-01-01"),
    correction("T1", quantity="13", external_id="C3", transact_time=DAYS[0]),
    cancel("T6", external_id="H6", transact_time="2024-01-01"),
]


@pytest.mark.parametrize("rows", [AMENDED, AMENDED[::-1]], ids=["ascending", "descending"])
def test_corrections_of_one_trade_follow_each_other_the_same_way(account: Account, rows: list[Row]) -> None:
    """Whatever times they say: a correction's may be the trade's or its own."""
    imported(account, *rows)

    chain = Execution.objects.filter(trade__exec_id="T1").order_by("exec_ref__recorded_at", "pk")
    followed = {report.exec_id: report.exec_ref and report.exec_ref.exec_id for report in chain}
    assert followed == {"T1": None, "C1": "T1", "C2": "C1", "C3": "C2"}
    assert [str(lot[3].normalize()) for lot in state_of(account).lots if lot[1] == "T1"] == ["13"]


def test_a_trade_is_corrected_many_times_in_one_reading(account: Account) -> None:
    corrections = [correction("T1", quantity=str(500 - number)) for number in range(300)]
    told: list[str] = []

    outcome = take_in(account, *corrections, ASCENDING[0], watch=lambda doing, _: told.append(doing))

    assert (outcome.imported, told.count("Correcting")) == (301, 300)
    assert [lot[3] for lot in state_of(account).lots] == [201]


def test_corrections_of_corrections_are_found_through_all_of_them(account: Account) -> None:
    chain = [
        correction(f"C{number}" if number else "T1", quantity=str(number + 1), external_id=f"C{number + 1}")
        for number in range(100)
    ]

    assert imported(account, ASCENDING[0], *chain) == (101, 0)

    assert Execution.objects.filter(trade__exec_id="T1").count() == 101
    assert [lot[3] for lot in state_of(account).lots] == [100]


@pytest.mark.parametrize("rows", [AMENDED, AMENDED[::-1]], ids=["ascending", "descending"])
def test_a_file_that_is_taken_in_piece_by_piece_gives_the_same(
    account: Account, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a large one is: read again for each thing that is done, its rows written a few at a time."""
    whole = AccountFactory.create()
    imported(whole, *rows)
    for limit in ("files.KEPT_ROWS", "files.ROWS_AT_ONCE", "survey.ROWS_AT_ONCE", "writing.ROWS_AT_ONCE"):
        monkeypatch.setattr(f"trader.importing.{limit}", 2)

    first, again = imported(account, *rows), imported(account, *rows)

    assert (first, again) == ((11, 0), (0, 11))
    assert facts_of(account) == facts_of(whole)
    assert state_of(account) == state_of(whole)


@pytest.mark.parametrize(
    ("rows", "readings"),
    [(AMENDED, 1), ([{**row, "note": "x" * 100_000} for row in ASCENDING * 8], 2)],
    ids=["few", "of much text"],
)
def test_what_fits_into_memory_is_read_once(
    account: Account, rows: list[Row], readings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def read(file: BinaryIO, problems: Problems, here: Destination) -> Iterator[activities.Row | None]:
        begun.append(file.tell())
        return generic.read(file, problems, here)

    monkeypatch.setitem(FORMATS, "generic", Format(read))

    imported(account, *rows)

    assert begun == [0] * readings
