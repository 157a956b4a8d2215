"""The cells of one row, each read as what its column holds."""

from collections.abc import Callable, Collection
from decimal import Decimal
from hashlib import blake2b
from typing import TypeVar

from trader.booking.numbers import ZERO
from trader.importing import values
from trader.importing.problems import Problem
from trader.importing.reading import Layout, Record
from trader.importing.values import Unreadable

Value = TypeVar("Value")


class Cells:
    """The first problem of each is kept; what was read stands in the row's digest. `kind` is of rows that need the
    same cells."""

    def __init__(self, record: Record, layout: Layout, numbers: Collection[str]) -> None:
        self.line = record.line
        self.text = dict(zip(layout.columns, record.cells, strict=True))
        self.titles = dict(zip(layout.columns, record.titles, strict=True))
        self.problems: dict[str, Problem] = {}
        self.kind = "every row"
        self._localized = numbers if record.localized else ()
        self._read: list[str] = []

    def refuse(self, column: str, expected: str) -> None:
        self.problems.setdefault(column, Problem(self.line, self.titles[column], self.text[column], expected))

    def given(self, column: str, reader: Callable[[str], Value]) -> Value | None:
        """What the cell says; None where it is empty or refused."""
        value = self.aside(column, reader)
        if value is not None:
            self.tell(column, value)
        return value

    def needed(self, column: str, reader: Callable[[str], Value], stand_in: Value) -> Value:
        """What the cell says; the stand-in where the cell, and with it the row, is refused."""
        if not self.text[column]:
            self.refuse(column, f"a value: {self.kind} needs one")
        value = self.given(column, reader)
        return stand_in if value is None else value

    def aside(self, column: str, reader: Callable[[str], Value]) -> Value | None:
        """What the cell says, left out of the digest: rows that differ in it alone say the same."""
        text = self.text[column]
        if not text:
            return None
        try:
            return reader(values.delocalized(text) if column in self._localized else text)
        except Unreadable as error:
            self.refuse(column, str(error))
            return None

    def costs(self, column: str) -> Decimal:
        """An amount, of which 0 says no more than an empty cell."""
        amount = self.aside(column, values.amount) or ZERO
        if amount:
            self.tell(column, amount)
        return amount

    def tell(self, column: str, value: object) -> None:
        """Have the digest say what was read."""
        self._read.append(f"{column}={value}")

    def digest(self) -> bytes:
        """BLAKE2b-128 of the values by their columns: a column that joins the format leaves the digests as they are."""
        return digest_of(self._read)


def digest_of(read: Collection[str]) -> bytes:
    return blake2b("\x1f".join(sorted(read)).encode(), digest_size=16).digest()
