"""Good files, damaged: they are refused with the place, or read right; never half imported."""

import io
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

import pytest

from tests.factories import AccountFactory, CurrencyFactory
from tests.trader.importing.damage import DAMAGES
from tests.trader.importing.intake import HERE, imported, row_counts, take_in
from tests.trader.importing.sheets import Row, cancel, cash, correction, exchange, sheet, split, trade
from trader.importing import generic
from trader.importing.generic import COLUMNS
from trader.importing.problems import Problems
from trader.models import Account

pytestmark = pytest.mark.django_db

ROWS: list[Row] = [
    cash(amount="5000"),
    trade(external_id="T1", fee="1", note='a "quoted" note'),
    trade("SELL", "4", "110.25", external_id="T2", lots="T1:4", transact_time="2026-01-07"),
    correction("T1", quantity="11", external_id="C1"),
    cancel("T2"),
    exchange(),
    split(transact_time="2026-01-06", currency="CHF"),
]
FILE = sheet(*ROWS)


@pytest.fixture
def account() -> Account:
    CurrencyFactory.create(code="USD")
    return AccountFactory.create()


def with_swapped_columns(file: bytes, chance: Random) -> bytes:
    header, _, rows = file.partition(b"\n")
    names = header.decode().split(",")
    one, other = chance.sample(range(len(names)), 2)
    names[one], names[other] = names[other], names[one]
    return ",".join(names).encode() + b"\n" + rows


def with_swapped_cells(_file: bytes, chance: Random) -> bytes:
    rows = [dict(row) for row in ROWS]
    row = chance.choice(rows)
    one, other = chance.sample(COLUMNS, 2)
    row[one], row[other] = row.get(other, ""), row.get(one, "")
    return sheet(*rows)


@pytest.mark.parametrize("damage", [*DAMAGES, with_swapped_columns, with_swapped_cells])
def test_a_damaged_file_is_imported_whole_or_not_at_all(
    account: Account, damage: Callable[[bytes, Random], bytes]
) -> None:
    """Without an exception; a dry run takes it in whole, and then gives it back."""
    chance = Random(20260105)
    before = row_counts()

    for _ in range(40):
        outcome = take_in(account, data=damage(FILE, chance), dry_run=True)

        assert outcome.imported + outcome.skipped == (0 if outcome.problems else outcome.rows)
        assert all(problem.expected for problem in outcome.problems.kept)
    assert row_counts() == before


def ends() -> Iterator[int]:
    """Behind each line, from the header's on."""
    return (place + 1 for place, byte in enumerate(FILE) if byte == ord("\n"))


def test_a_file_that_is_cut_within_a_line_is_refused_there() -> None:
    """At every byte but those of the last cell, the note, which a cut can shorten unseen."""
    for number, (start, end) in enumerate(pairwise(ends()), start=2):
        for cut in range(start + 1, FILE.rindex(b",", start, end) + 1):
            problems = Problems()

            rows = list(generic.read(io.BytesIO(FILE[:cut]), problems, HERE))

            (problem,) = problems.kept
            assert (problem.line, problem.column in COLUMNS) == (number, True)
            assert len([row for row in rows if row]) == number - 2


@pytest.mark.parametrize("line", [2, 3, 5, 8])
def test_a_file_that_is_cut_between_lines_is_read_right(account: Account, line: int) -> None:
    whole = FILE[: list(ends())[line - 1]]

    assert imported(account, data=whole) == (line - 1, 0)
    assert imported(account, data=FILE) == (8 - line, line - 1)
