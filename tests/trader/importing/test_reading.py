import io
from collections.abc import Sequence

import pytest

from trader.importing.problems import Problem, Problems
from trader.importing.reading import LONGEST_RECORD, Layout, Record, records

LAYOUT = Layout(columns=("date", "name", "count"), required=("date", "name"))
HEADER = b"date,name,count\n"
# No cell may be longer than what the csv module takes.
CELL_LIMIT = 131_072

Cells = tuple[str, ...]


def read(data: bytes) -> tuple[list[Record | None], Problems]:
    problems = Problems()
    return list(records(io.BytesIO(data), LAYOUT, problems)), problems


def cells(data: bytes) -> list[Cells]:
    found, problems = read(data)
    assert problems.kept == []
    return [tuple(record.cells) for record in found if record]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"date,name,count\n1,a,2\n3,b,4\n", [("1", "a", "2"), ("3", "b", "4")]),
        (b"count,date,name\n2,1,a\n", [("1", "a", "2")]),
        (b"name,date\na,1\n", [("1", "a", "")]),
        (b" date , name \n 1 ,\ta \n", [("1", "a", "")]),
        (b"date,name,count\r\n1,a,2\r\n", [("1", "a", "2")]),
        (b"date,name,count\n1,a,2", [("1", "a", "2")]),
        (b"date,name,count\n1,a,2\r", [("1", "a", "2")]),
        (b'\xef\xbb\xbf"date",name,count\n1,a,2\n', [("1", "a", "2")]),
        (b'date,name,count\n1,"a ""b"", c",2\n', [("1", 'a "b", c', "2")]),
        (b'date,name,count\n1,"a\nb",2\n3,c,4\n', [("1", "a\nb", "2"), ("3", "c", "4")]),
        (b'date,name,count\n1,a"b",2\n', [("1", 'a"b"', "2")]),
        ("date,name,count\n1,Zürich 🏔,2\n".encode(), [("1", "Zürich 🏔", "2")]),
        (b"\n\ndate,name,count\n\n1,a,2\n  \n\n", [("1", "a", "2")]),
        (b"date,name,count\n", []),
        (b'date;name;count\n1;"a;b";2,5\n', [("1", "a;b", "2,5")]),
        (b"\n \ndate;name\r\n1;a, b\r\n", [("1", "a, b", "")]),
        (b"\xef\xbb\xbfdate\tname\tcount\n1\ta\t2\n", [("1", "a", "2")]),
        (b'"date";"name";"count"\n"1";"a";"2"\n', [("1", "a", "2")]),
        (b'date,name,count\n1,"a;b;c;d",2\n', [("1", "a;b;c;d", "2")]),
    ],
    ids=[
        *("plain", "columns in another order", "a column left out", "spaces around", "CRLF", "no end of the last line"),
        *("CR at the end", "byte order mark", "quotes in quotes", "a line end in quotes", "quotes within", "UTF-8"),
        *("blank lines", "a header alone", "semicolons", "semicolons after blank lines", "tabs", "quoted semicolons"),
        "semicolons in a cell",
    ],
)
def test_a_file_is_read_right(data: bytes, expected: list[Cells]) -> None:
    assert cells(data) == expected


def test_a_record_says_where_it_stands_and_what_it_was() -> None:
    found, _ = read(b'date,name,count\r\n1,"a\nb",2\r\n\r\n 3,c,4')

    assert [record and (record.line, record.raw) for record in found] == [(2, '1,"a\nb",2'), (5, " 3,c,4")]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (b"1,a\n", (3, "count", "a", "3 columns: the line ends after 2 of 3 columns")),
        (b"1\n", (3, "name", "1", "3 columns: the line ends after 1 of 3 columns")),
        (b"1,a,2,3\n", (3, "", "3", "3 columns: the line has 4")),
        (b"1,Z\xfcrich,2\n", (3, "name", "byte 0xFC", "UTF-8: save the file as UTF-8")),
        (b'"1","x, \xe9",2\n', (3, "name", "byte 0xE9", "UTF-8: save the file as UTF-8")),
        (b'1,"x\ny",\x802\n', (3, "count", "byte 0x80", "UTF-8: save the file as UTF-8")),
        (b"1,a\0b,2\n", (3, "name", "NUL", "text")),
        (b"1,a,2\0\xff\n", (3, "count", "byte 0xFF", "UTF-8: save the file as UTF-8")),
    ],
    ids=["cut", "cut early", "too long", "Latin-1", "in quotes", "in a second line", "NUL", "the first of two"],
)
def test_a_broken_row_is_named_and_the_others_are_read(broken: bytes, problem: tuple[int, str, str, str]) -> None:
    found, problems = read(HEADER + b"0,x,0\n" + broken + b"9,y,9\n")

    assert problems.kept == [Problem(*problem)]
    assert [record and record.cells[0] for record in found] == ["0", None, "9"]


@pytest.mark.parametrize(
    ("broken", "column", "expected"),
    [
        (b'1,"a,2\n' + b"3,b,4\n" * 50_000, "name", "a closing quote"),
        (b'1,"a,2\n', "name", "a closing quote"),
        (b'1,a,"2', "count", "a closing quote"),
        (b'1,"a"b,2\n', "name", "CSV (',' expected after '\"')"),
        (b'1,"a\n3,"b",4\n', "name", "CSV (',' expected after '\"')"),
        (b"1,a\rb,2\n", "name", "lines that end in LF or CRLF, not in CR alone"),
        (b"1,a\r\xff,2\n", "name", "lines that end in LF or CRLF, not in CR alone"),
        (b"1," + b"a" * (CELL_LIMIT + 1) + b",2\n", "name", "at most 131,072 characters"),
        (b'1,a,"' + b"2" * (CELL_LIMIT + 1) + b'"\n', "count", "at most 131,072 characters"),
    ],
    ids=[
        *("an open quote", "cut in quotes", "cut at a quote", "text after quotes", "an open quote and another"),
        *("a lone CR", "a lone CR before a broken byte", "a long cell", "a long cell in quotes"),
    ],
)
def test_what_cannot_be_told_apart_ends_the_reading(broken: bytes, column: str, expected: str) -> None:
    found, problems = read(HEADER + b"0,x,0\n" + broken + b"9,y,9\n")

    (problem,) = problems.kept
    assert (problem.line, problem.column) == (3, column)
    assert expected in problem.expected
    assert problem.expected.endswith("the rest of the file was not read")
    assert [record and record.cells[0] for record in found] == ["0"]


@pytest.mark.parametrize(
    "endless", [b"1," + b"a" * 3 * LONGEST_RECORD, b'"a\n",' * LONGEST_RECORD], ids=["a line", "a record of many lines"]
)
def test_a_record_without_end_is_not_read_into_memory(endless: bytes) -> None:
    file = io.BytesIO(HEADER + endless)
    problems = Problems()

    found = list(records(file, LAYOUT, problems))

    assert (found, [(problem.line, problem.expected) for problem in problems.kept]) == ([], [(2, "a shorter line")])
    assert file.tell() < 2 * LONGEST_RECORD


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [(1, "", "", "a header that names the columns")]),
        (b"\xef\xbb\xbf", [(1, "", "", "a header that names the columns")]),
        (b"\n \n", [(1, "", "", "a header that names the columns")]),
        ("date,name\n1,a\n".encode("utf-16"), [(1, "", "UTF-16", "UTF-8: save the file as UTF-8")]),
        ("date,name\n1,a\n".encode("utf-16-be"), [(1, "", "UTF-16", "UTF-8: save the file as UTF-8")]),
        (b"date,n\xe4me\n1,a\n", [(1, "", "byte 0xE4", "UTF-8: save the file as UTF-8")]),
        (b"da\0te,name\n1,a\n", [(1, "", "NUL", "text")]),
        (b"date|name\n1|a\n", [(1, "", "date|name", "commas between the columns, not bars")]),
        (b"date,name,name\n1,a,b\n", [(1, "name", "name", "each column once")]),
        (b"\ndate,\n1,a\n", [(2, "", "", "one of date, name, count"), (2, "name", "", "a column name")]),
        (b"Date,name\n1,a\n", [(1, "Date", "Date", "date, or no such column"), (1, "date", "", "a column date")]),
        (b"date,nmae\n1,a\n", [(1, "nmae", "nmae", "name, or no such column"), (1, "name", "", "a column name")]),
        (b"date,name,colour\n1,a,b\n", [(1, "colour", "colour", "one of date, name, count")]),
        (b'date,"name\n1,a\n', [(1, "", 'date,"name', "a closing quote; the rest of the file was not read")]),
        (b"date,name\r1,a\r", [(1, "", "date,name\r1,a", "lines that end in LF or CRLF, not in CR alone; the rest")]),
    ],
    ids=[
        *("nothing", "a mark alone", "blank lines", "UTF-16", "UTF-16 without a mark", "Latin-1", "NUL", "bars"),
        *("a column twice", "a column without a name", "another case", "misspelt", "unknown", "an open quote"),
        "CR alone",
    ],
)
def test_a_header_that_is_none_is_refused(data: bytes, expected: Sequence[tuple[int, str, str, str]]) -> None:
    found, problems = read(data)

    assert found == []
    assert [
        (*problem[:3], problem.expected[: len(said[3])]) for problem, said in zip(problems.kept, expected, strict=True)
    ] == (list(expected))


def test_a_line_of_a_hundred_thousand_columns_is_no_header() -> None:
    found, problems = read(b",".join(b"c%d" % number for number in range(100_000)) + b"\n1\n")

    assert found == []
    assert problems.count == 102


def test_problems_are_counted_and_the_first_thousand_kept_without_long_values() -> None:
    found, problems = read(HEADER + b"1,a,2,%s\n" % (b"x" * 5_000) * 1_500)

    assert (len(found), problems.count, len(problems.kept)) == (1_500, 1_500, 1_000)
    assert {len(problem.value) for problem in problems.kept} == {200}
