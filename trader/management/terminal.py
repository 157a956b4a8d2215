"""What the book's commands say: on a terminal, and to a program."""

import json
import time
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.management.base import OutputWrapper

from trader.booking.numbers import plain, quantized, rounded

PATIENCE = 2.0
PAUSE = 0.2
BAR_WIDTH = 30
CLEAR_LINE = "\r\x1b[K"


class Progress:
    """One line that says what is being done, once that takes over two seconds; nothing where nobody looks."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream
        self._due = time.monotonic() + PATIENCE if stream.isatty() else float("inf")
        self._is_shown = False

    def __call__(self, doing: str, count: int, part: float | None = None) -> None:
        """With a bar, where it is known what part of the whole is done."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + PAUSE
            self._is_shown = True
            bar = "" if part is None else f"  [{'#' * int(part * BAR_WIDTH):<{BAR_WIDTH}}] {part:.0%}"
            self._write(f"{CLEAR_LINE}{doing}{f': {count:,}' if count else ' ...'}{bar}")

    def end(self) -> None:
        if self._is_shown:
            self._write(CLEAR_LINE)

    def _write(self, text: str) -> None:
        self._stream.write(text, ending="")
        self._stream.flush()


def as_json(report: object) -> str:
    """A dataclass, or plain data: decimals as strings of up to 18 places, dates and times in ISO 8601."""
    return json.dumps(_as_data(report), indent=2, ensure_ascii=False)


def _as_data(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _as_data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Decimal):
        return plain(quantized(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_as_data(each) for each in value]
    if isinstance(value, dict):
        return {name: _as_data(each) for name, each in value.items()}
    return value


def money(amount: Decimal | None) -> str:
    """For a reader: two decimal places, a dash where it is not known."""
    return "-" if amount is None else f"{rounded(amount, 2):,f}"


def percent(part: Decimal | None) -> str:
    """For a reader: of a part of 1, two decimal places."""
    return "-" if part is None else f"{rounded(part * 100, 2):,f} %"


def figure(number: Decimal | None) -> str:
    """For a reader: as many places as it has, eight at the most."""
    return "-" if number is None else plain(rounded(number, 8))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns under their names: the first `left` of them flush left, the others, of numbers, flush right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
