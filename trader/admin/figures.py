"""Figures of a report, as pages show them: rounded for a reader, coloured by their sign, linked to what they are of."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from trader.admin.showing import NOTHING
from trader.booking.numbers import plain, rounded

# As many as somebody reads of a number that is no money.
PLACES = 8
GAIN, LOSS = "gain", "loss"


class Cell(NamedTuple):
    text: str
    url: str = ""
    tone: str = ""


class Table(NamedTuple):
    """The first `left` columns are words, the others numbers."""

    header: Sequence[str]
    rows: list[list[Cell]]
    left: int = 1


class KeyFigure(NamedTuple):
    label: str
    cell: Cell


def money(amount: Decimal | None) -> Cell:
    return Cell(NOTHING if amount is None else f"{rounded(amount, 2):,f}")


def gain(amount: Decimal | None) -> Cell:
    """Money that was made, or lost."""
    return Cell(f"{rounded(amount, 2):+,f}", tone=_tone(amount)) if amount else money(amount)


def number(value: Decimal | None) -> Cell:
    return Cell(NOTHING if value is None else plain(rounded(value, PLACES)))


def percentage(share: Decimal | None) -> Cell:
    cell = gain(None if share is None else share * 100)
    return cell if share is None else cell._replace(text=f"{cell.text} %")


def _tone(amount: Decimal) -> str:
    return GAIN if amount > 0 else LOSS
