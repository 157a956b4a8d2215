"""What stands in the way of a file, by line and column."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

KEPT = 1_000
LONGEST_VALUE = 200


class Problem(NamedTuple):
    """What was found in a cell and what was expected. Line and column are empty where no single one is to blame."""

    line: int | None
    column: str
    value: str
    expected: str

    def __str__(self) -> str:
        place = ", ".join(filter(None, [f"line {self.line}" if self.line else "", self.column]))
        return f"{place or 'file'}: found {self.value!r}, expected {self.expected}"


class Refusal(Exception):
    """A row that the book cannot take: in which column, what stands there, and what should."""

    def __init__(self, column: str, value: str, expected: str) -> None:
        super().__init__(expected)
        self.column = column
        self.value = value
        self.expected = expected

    def on(self, line: int) -> Problem:
        return Problem(line, self.column, self.value, self.expected)


class Problems:
    """All problems of a file are counted. Kept are the first 1,000, and of each value the first 200 characters.

    `last_line` is that of the one added last. `columns` are a format's own names, by those of the generic one.
    """

    def __init__(self, columns: Mapping[str, str] = MappingProxyType({})) -> None:
        self._columns = columns
        self.kept: list[Problem] = []
        self.count = 0
        self.last_line: int | None = None

    def add(self, problem: Problem) -> None:
        self.count += 1
        self.last_line = problem.line
        if len(self.kept) < KEPT:
            column = self._columns.get(problem.column, problem.column)
            self.kept.append(problem._replace(column=column, value=problem.value[:LONGEST_VALUE]))

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.add(problem)

    def __bool__(self) -> bool:
        return self.count > 0


class FileRefused(Exception):
    """A file is taken in whole or not at all. Without a problem of its own, those that were added before stand."""

    def __init__(self, problem: Problem | None = None) -> None:
        super().__init__(str(problem or "problems in the file"))
        self.problem = problem
