"""CSV read strictly: UTF-8 bytes to records, each with its line and its text, and what is broken named by its place."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from operator import itemgetter
from typing import BinaryIO, NamedTuple

from trader.importing.problems import Problem, Problems

LONGEST_RECORD = 2**20
# Of a header that is none, so many columns are named.
COLUMNS_NAMED = 100
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = (",", ";", "\t")
QUOTED = re.compile(rb'"[^"]*"')
# A whole cell and the delimiter after it.
CELLS = {
    delimiter: re.compile(rf'(?:"[^"]*(?:""[^"]*)*"|[^"{delimiter}\r\n][^{delimiter}\r\n]*|){delimiter}')
    for delimiter in DELIMITERS
}


def as_titled(header: Sequence[str]) -> Sequence[str]:
    return header


class Layout(NamedTuple):
    """The columns of a format, in the order in which its records give them, and those that a file must have.

    `named` gives each title of a header its column. A format of many columns `ignores` those that are none of its own;
    one whose files are joined of several `repeats` its header.
    """

    columns: tuple[str, ...]
    required: tuple[str, ...]
    named: Callable[[Sequence[str]], Sequence[str]] = as_titled
    ignores: bool = False
    repeats: bool = False


class Record(NamedTuple):
    """A row of the file: its first line (the header's is 1), its text, and its cells in the layout's order.

    `titles` are what the file calls these columns. Where `localized`, a number may have a decimal comma: commas do not
    part its cells.
    """

    line: int
    raw: str
    cells: Sequence[str]
    titles: Sequence[str]
    localized: bool


class _Broken(Exception):
    """Nothing after this point of the file can be told apart."""

    def __init__(self, value: str, expected: str) -> None:
        super().__init__(expected)
        self.value = value
        self.expected = expected


class _Lines:
    """The lines of a file as text: `taken` are those of the record being read, `fault` is what is wrong in them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._number = 0
        self._length = 0
        self._ahead = self._first()
        self.delimiter = _delimiter(self._ahead)
        self.header: list[str] = []
        self.taken: list[str] = []
        self.fault: tuple[int, str, str] | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._ahead = self._ahead or self._file.readline(LONGEST_RECORD), b""
        if not line:
            raise StopIteration
        self._number += 1
        self._length += len(line)
        text = self._decode(line)
        self.taken.append(text)
        return text

    def begin_record(self) -> int:
        """Forget the record before; returns the number of the line that comes next."""
        self.taken.clear()
        self.fault = None
        self._length = 0
        return self._number + 1

    def _first(self) -> bytes:
        """The first line that is not blank."""
        while (line := self._file.readline(LONGEST_RECORD)) and not line.strip():
            self._number += 1
        return line

    def _decode(self, line: bytes) -> str:
        if self._number == 1 and (line.startswith(BYTE_ORDER_MARKS) or b"\0" in line[:2]):
            raise _Broken("UTF-16", "UTF-8: save the file as UTF-8")
        if self._length >= LONGEST_RECORD:
            raise _Broken(f"{LONGEST_RECORD} bytes and more", "a shorter line")
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            self._blame(
                line[: error.start].decode(), f"byte 0x{line[error.start]:02X}", "UTF-8: save the file as UTF-8"
            )
            text = line.decode(errors="replace")
        if "\0" in text:
            self._blame(text.partition("\0")[0], "NUL", "text")
        return text.removeprefix("\ufeff") if self._number == 1 else text

    def _blame(self, before: str, value: str, expected: str) -> None:
        self.fault = self.fault or (self.whole_cells("".join([*self.taken, before])), value, expected)

    def whole_cells(self, text: str) -> int:
        """How many cells of a record can be told apart, from its start."""
        position = count = 0
        cell = CELLS[self.delimiter]
        while (found := cell.match(text, position)) and len(found[0]) <= csv.field_size_limit():
            position = found.end()
            count += 1
        return count


def _delimiter(line: bytes) -> str:
    """What parts the titles of a header: that of which it has most outside of quotes; if it has none, a comma."""
    text = QUOTED.sub(b"", line)
    return max(DELIMITERS, key=lambda delimiter: text.count(delimiter.encode()))


def records(file: BinaryIO, layout: Layout, problems: Problems) -> Iterator[Record | None]:
    """The rows after the header; None for one that cannot be read.

    Each problem is added to `problems`. What makes the rest unreadable, as an unclosed quote does, ends the reading.
    """
    lines = _Lines(file)
    rows = _rows(lines, problems)
    line, header = next(rows, (0, []))
    if not line:
        if not problems:
            problems.add(Problem(1, "", "", "a header that names the columns"))
        return
    written = header
    header = [cell.strip() for cell in header]
    named = list(layout.named(header))
    lines.header = [title or name for title, name in zip(header, named, strict=True)]
    if faults := _header_faults(line, header, named, layout, lines):
        problems.extend(faults)
        return
    place, titles, localized = _placing(named, layout), _titles(lines.header, named, layout), lines.delimiter != ","
    for line, cells in rows:
        if layout.repeats and cells == written:
            continue
        if problem := _row_fault(line, cells, lines):
            problems.add(problem)
            yield None
        else:
            yield Record(line, "".join(lines.taken).rstrip("\r\n"), place(cells), titles, localized)


def _rows(lines: _Lines, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """The line and the cells of each row, blank lines left out, up to where the file cannot be read any further."""
    reader = csv.reader(lines, delimiter=lines.delimiter, strict=True)
    while True:
        line = lines.begin_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _Broken) as error:
            problems.add(_breakage(line, lines, error))
            return
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield line, cells


def _name(header: Sequence[str], position: int) -> str:
    return header[position] if position < len(header) else ""


def _breakage(line: int, lines: _Lines, error: Exception) -> Problem:
    if isinstance(error, _Broken):
        return Problem(line, "", error.value, error.expected)
    column = _name(lines.header, lines.whole_cells("".join(lines.taken)))
    value = lines.taken[0][:80].rstrip("\r\n")
    return Problem(line, column, value, f"{_cure(str(error))}; the rest of the file was not read")


def _cure(error: str) -> str:
    """What the csv module wants instead, by what it says."""
    if "unexpected end" in error:
        return "a closing quote"
    if "field limit" in error:
        return f"a closing quote, or at most {csv.field_size_limit():,} characters"
    if "new-line" in error:
        return "lines that end in LF or CRLF, not in CR alone"
    return f"CSV ({error})"


def _header_faults(
    line: int, header: Sequence[str], named: Sequence[str], layout: Layout, lines: _Lines
) -> list[Problem]:
    if lines.fault:
        return [Problem(line, "", lines.fault[1], lines.fault[2])]
    if len(header) == 1 and "|" in header[0]:
        return [Problem(line, "", header[0][:80], "commas between the columns, not bars")]
    counts = Counter(named)
    unknown = [title for title, name in zip(header, named, strict=True) if name not in layout.columns]
    twice = [name for name in layout.columns if counts[name] > 1]
    missing = [name for name in layout.required if name not in counts]
    unexpected = [] if layout.ignores else unknown[:COLUMNS_NAMED]
    return [
        *(Problem(line, title, title, _nearest(title, layout)) for title in unexpected),
        *(Problem(line, name, name, "each column once") for name in twice),
        *(Problem(line, name, _like(name, unknown) if layout.ignores else "", f"a column {name}") for name in missing),
    ]


def _nearest(title: str, layout: Layout) -> str:
    near = _like(title, layout.columns)
    return f"{near}, or no such column" if near else f"one of {', '.join(layout.columns)}"


def _like(name: str, names: Sequence[str]) -> str:
    """The one of them that may be meant by the name, or nothing."""
    by_case = {other.lower(): other for other in names}
    near = get_close_matches(name.lower(), by_case, n=1)
    return by_case[near[0]] if near else ""


def _titles(titles: Sequence[str], named: Sequence[str], layout: Layout) -> Sequence[str]:
    """What the file calls the layout's columns; those that it does not have keep their names."""
    called = dict(zip(named, titles, strict=True))
    return [called.get(name, name) for name in layout.columns]


def _placing(named: Sequence[str], layout: Layout) -> Callable[[list[str]], Sequence[str]]:
    """From a row's cells to the layout's; a column that the file does not have is empty."""
    absent = len(named)
    select = itemgetter(*(named.index(name) if name in named else absent for name in layout.columns))

    def place(cells: list[str]) -> Sequence[str]:
        cells = [cell.strip() for cell in cells]
        cells.append("")
        placed: tuple[str, ...] = select(cells)
        return placed

    return place


def _row_fault(line: int, cells: Sequence[str], lines: _Lines) -> Problem | None:
    header = lines.header
    if lines.fault:
        position, value, expected = lines.fault
        return Problem(line, _name(header, position), value, expected)
    if len(cells) < len(header):
        found = f"the line ends after {len(cells)} of {len(header)} columns"
        return Problem(line, header[len(cells)], cells[-1], f"{len(header)} columns: {found}")
    if len(cells) > len(header):
        return Problem(line, "", cells[len(header)], f"{len(header)} columns: the line has {len(cells)}")
    return None
