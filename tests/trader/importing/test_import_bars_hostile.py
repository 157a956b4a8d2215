"""Files of bars that are wrong, or damaged: refused by line, or read right; never half entered, never read two ways."""

from collections.abc import Callable
from random import Random

import pytest

from tests.trader.importing.bar_files import HEADER, ROW, bar_file, kept, read_by_cell, refused, series, take_in
from tests.trader.importing.damage import DAMAGES
from trader.importing.bar_rows import COLUMNS

pytestmark = pytest.mark.django_db

NUMBER = "a number such as -1234.56, without thousands separators"
TIME = "a date or time such as 2025-01-31, 2025-01-31T09:30:00 or 2025-01-31T09:30:00+01:00"
PLACES = "at most 18 decimal places"
SESSION = "the session's date, such as 2025-01-31, or that date at 00:00 UTC"
BEFORE, AFTER = "2026-01-02,1,1,1,1,1", "2026-01-06,1,1,1,1,1"
FILE = bar_file(*(f"2026-01-{day:02},{day}.25,{day}.75,{day},{day}.5,{day}00" for day in range(1, 9)))


@pytest.mark.parametrize(
    ("row", "column", "value", "expected"),
    [
        ("2026-01-05,100,110,101,105,", "low", "101", "no more than 100, the open"),
        ("2026-01-05,105,110,101,100,", "low", "101", "no more than 100, the close"),
        ("2026-01-05,100,104,90,105,", "high", "104", "no less than 105, the close"),
        ("2026-01-05,100,110,-90,105,", "low", "-90", "a price of 0 or more"),
        ("2026-01-05,100,110,90,105,-1", "volume", "-1", "a volume of 0 or more, or nothing"),
        ("2026-01-05,100,110,90,NaN,", "close", "NaN", NUMBER),
        ("2026-01-05,100,Infinity,90,105,", "high", "Infinity", NUMBER),
        ("2026-01-05,100,110,90,105,nan", "volume", "nan", NUMBER),
        ('2026-01-05,"100,5",110,90,105,', "open", "100,5", NUMBER),
        ('2026-01-05,"1,100",1110,90,105,', "open", "1,100", NUMBER),
        ("2026-01-05,1_00,110,90,105,", "open", "1_00", NUMBER),
        ("2026-01-05,0x64,110,90,105,", "open", "0x64", NUMBER),
        ("2026-01-05,=50+50,110,90,105,", "open", "=50+50", NUMBER),
        ("2026-01-05,\u0661,110,90,105,", "open", "\u0661", NUMBER),
        ("2026-01-05,,110,90,105,", "open", "", NUMBER),
        (r"2026-01-05,100,110,90,105,\N", "volume", r"\N", NUMBER),
        ("2026-01-05,100.0000000000001,110,90,105,", "open", "100.0000000000001", "at most 12 decimal places"),
        ("2026-01-05,100,110,90,105,0.0000000000000000001", "volume", "0.0000000000000000001", PLACES),
        ("2026-01-05,100,10000000000000000,90,105,", "high", "10000000000000000", "a number under 1e16"),
        ("2026-01-05,100,110,90,105,1000000000000000000", "volume", "1000000000000000000", "a number under 1e18"),
        ("2026-02-30,100,110,90,105,", "ts", "2026-02-30", "a date and time that exist"),
        ("2026-13-01,100,110,90,105,", "ts", "2026-13-01", "a date and time that exist"),
        ("2026-1-5,100,110,90,105,", "ts", "2026-1-5", TIME),
        ("20260105,100,110,90,105,", "ts", "20260105", TIME),
        ("05.01.2026,100,110,90,105,", "ts", "05.01.2026", TIME),
        ("01/05/2026,100,110,90,105,", "ts", "01/05/2026", TIME),
        ("now,100,110,90,105,", "ts", "now", TIME),
        ("infinity,100,110,90,105,", "ts", "infinity", TIME),
        ("1767571200,100,110,90,105,", "ts", "1767571200", TIME),
        ("2026-01-05T24:00:00,100,110,90,105,", "ts", "2026-01-05T24:00:00", "a date and time that exist"),
        ("1814-01-05,100,110,90,105,", "ts", "1814-01-05", "a year from 1900 to 2200"),
        ("2026-01-05T16:00:00Z,100,110,90,105,", "ts", "2026-01-05T16:00:00Z", SESSION),
        ("2026-01-05T00:00:00+01:00,100,110,90,105,", "ts", "2026-01-05T00:00:00+01:00", SESSION),
        ("2026-01-05T00:00:00.000001Z,100,110,90,105,", "ts", "2026-01-05T00:00:00.000001Z", SESSION),
        ("2026-01-05,100,110,90,10", "volume", "10", "6 columns: the line ends after 5 of 6 columns"),
        ("2026-01-05,100,110,90,105,1,", "", "", "6 columns: the line has 7"),
        ("2026-01-05;100", "open", "2026-01-05;100", "6 columns: the line ends after 1 of 6 columns"),
        ("2026-01-05,100,110,90,105,\0", "volume", "NUL", "text"),
        ("2026-01-05,100,11\N{FULLWIDTH DIGIT ZERO},90,105,", "high", "11\N{FULLWIDTH DIGIT ZERO}", NUMBER),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named(row: str, column: str, value: str, expected: str) -> None:
    assert refused(bar_file(BEFORE, row, AFTER), series()) == [(3, column, value, expected)]


def test_all_that_is_wrong_is_told_by_line() -> None:
    rows = [BEFORE, "2026-01-05,x,1,2,y,-1", AFTER, "2026-01-07,1,0,2,1,1", BEFORE, "2026-02-30,1,1,1,1,1"]

    told = refused(bar_file(*rows), series())

    assert [(line, column) for line, column, *_ in told] == [
        (3, "open"),
        (3, "close"),
        (3, "volume"),
        (5, "low"),
        (5, "high"),
        (6, "ts"),
        (7, "ts"),
    ]


def test_latin_1_is_named_by_its_byte() -> None:
    data = bar_file(BEFORE) + "2026-01-05,100,110,90,105,é\n".encode("latin-1")

    assert refused(data, series()) == [(3, "volume", "byte 0xE9", "UTF-8: save the file as UTF-8")]


@pytest.mark.parametrize(
    ("header", "line", "column", "value", "expected"),
    [
        ("ts;open;high;low", 1, "close", "", "a column close"),
        ("ts|open|high|low|close", 1, "", "ts|open|high|low|close", "commas between the columns, not bars"),
        ("date,open,high,low,close,volume", 1, "date", "date", "one of ts, open, high, low, close, volume"),
        ("ts,open,high,low,close,Volume", 1, "Volume", "Volume", "volume, or no such column"),
        ("ts,open,high,low,volume", 1, "close", "", "a column close"),
        ("ts,open,high,low,close,close", 1, "close", "close", "each column once"),
        (ROW, 1, "2026-01-05", "2026-01-05", "one of ts, open, high, low, close, volume"),
        ("", 2, "2026-01-05", "2026-01-05", "one of ts, open, high, low, close, volume"),
    ],
)  # fmt: skip
def test_a_wrong_header_is_named(header: str, line: int, column: str, value: str, expected: str) -> None:
    assert refused(bar_file(ROW, header=header), series())[0] == (line, column, value, expected)


def test_an_empty_file_is_refused() -> None:
    assert refused(b"", series()) == [(1, "", "", "a header that names the columns")]


def test_utf_16_is_refused() -> None:
    assert refused(FILE.decode().encode("utf-16"), series()) == [(1, "", "UTF-16", "UTF-8: save the file as UTF-8")]


def test_a_file_that_is_cut_within_a_line_is_refused_there() -> None:
    """At every byte of its last line but those of the last cell, which a cut can shorten unseen."""
    into, begin = series(), FILE.rindex(b"\n", 0, -1) + 1

    for cut in range(begin + 1, FILE.rindex(b",") + 1):
        ((line, column, *_),) = refused(FILE[:cut], into)

        assert (line, column in COLUMNS) == (9, True)


# What a cell may hold that one reader takes for a number or a time and another one does not.
NUMBERS = [
    "", "0", "00", "-0", "+1", "1.", ".5", "1e2", "1E-3", "1e400", "NaN", "inf", "1,5", "1 0", " 1", "1 ", "\t1", "1\v",
    "'1'", '"1"', '""', '"', "1_0", "0x1", "0b1", "1.0000000000000", "1.0000000000001", "9" * 16, "9" * 17, "9" * 19,
    "1f", "$1", "1%", "\\N", "\\.", "NULL", "null", "true", "\u0661", "\u00a01", "\ufeff1", "\0", "1\r", "1\r\n", "1\n",
    "--1", "1-", "1/2", "(1)",
]  # fmt: skip
TIMES = [
    "", "now", "epoch", "today", "infinity", "J2461046", "2026-005", "2026-W02-1", "20260105", "26-01-05",
    "12026-01-05", "Jan 5 2026", "2026-01-05 AD", "2026-01-05 BC", " 2026-01-05", "2026-01-05 ", '"2026-01-05"',
    "2026-01-05\n",
    "2026-01-05", "2026-02-29", "2028-02-29", "2026-00-10", "2026-01-00", "2026-04-31", "1900-01-01", "1899-12-31",
    "2200-12-31", "2201-01-01", "2026-01-05T00:00:00", "2026-01-05 00:00:00Z", "2026-01-05T00:00:00+00:00",
    "2026-01-05T00:00:00-00:00", "2026-01-05T00:00:00.000", "2026-01-05T00:00", "2026-01-05t00:00:00",
    "2026-01-05T23:59:60", "2026-01-05T24:00:00", "2026-01-05T12:60:00", "2026-01-05T12:30:00+14:30",
    "2026-01-05T12:30:00+15:00", "2026-01-05T12:30:00+16:00", "2026-01-05T12:30:00+23:59", "2026-01-05T12:30:00+24:00",
    "2026-01-05T12:30:00+0100", "2026-01-05T12:30:00+01", "2026-01-05T12:30:00 Europe/Zurich",
    "2026-01-05T12:30:00.1234567", "2026-01-05T12:30:00.123456Z", "2026-01-05T12:30:00 PM",
]  # fmt: skip


@pytest.mark.parametrize(
    ("timeframe", "place", "cells"),
    [("1d", 0, TIMES), ("5m", 0, TIMES), ("1d", 1, NUMBERS), ("1d", 5, NUMBERS)],
    ids=["day", "time", "open", "volume"],
)
def test_a_cell_is_read_the_same_in_a_plain_file_and_by_itself(timeframe: str, place: int, cells: list[str]) -> None:
    for cell in cells:
        row = ["2026-01-09", "1", "10000000000000", "0", "1", "7"]
        row[place] = cell

        assert_read_alike(bar_file(BEFORE, ",".join(row), AFTER), timeframe)


def with_another_order(file: bytes, chance: Random) -> bytes:
    header, *rows = file.decode().splitlines()
    return bar_file(*chance.sample(rows, len(rows)), header=",".join(chance.sample(header.split(","), 6)))


@pytest.mark.parametrize("damage", [*DAMAGES, with_another_order])
def test_a_damaged_file_is_entered_whole_or_not_at_all(damage: Callable[[bytes, Random], bytes]) -> None:
    chance = Random(20260105)

    for _ in range(25):
        assert_read_alike(damage(FILE, chance), "1d")


def assert_read_alike(data: bytes, timeframe: str) -> None:
    """As a whole or cell by cell: with the same outcome, and the same bars in the book."""
    whole, by_cell = series(timeframe), series(timeframe)

    one, other = take_in(data, whole), take_in(read_by_cell(data), by_cell)

    assert (one.rows, one.imported, one.skipped) == (other.rows, other.imported, other.skipped), data
    if data.startswith(HEADER.encode()):
        assert one.problems.kept == other.problems.kept, data
    assert kept(whole) == kept(by_cell), data
    assert one.imported == (0 if one.problems else one.rows) == len(kept(whole)), data


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=pytest.mark.endurance)])
def test_a_rule_that_one_line_of_many_breaks_is_told_with_its_line(count: int) -> None:
    rows = [_minute(number) for number in range(count)]
    rows[-77] = rows[-77].replace(",1,2,1,2,", ",1,2,1.5,2,")

    assert refused(bar_file(*rows), series("1m")) == [(count - 75, "low", "1.5", "no more than 1, the open")]


def _minute(number: int) -> str:
    days, minute = divmod(number, 1440)
    return f"2026-{days // 28 + 1:02}-{days % 28 + 1:02}T{minute // 60:02}:{minute % 60:02}:00Z,1,2,1,2,9"
