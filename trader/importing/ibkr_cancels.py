"""What IBKR took back: rows that cancel a trade, and the same trade booked again."""

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import BinaryIO, NamedTuple

from trader.booking.numbers import ZERO, exact, plain
from trader.importing import values
from trader.importing.cells import Cells
from trader.importing.ibkr_columns import CANCELS, LAYOUT, NUMBERS, SIDES
from trader.importing.problems import Problems
from trader.importing.reading import records

MARK = b"(Ca.)"
AMOUNTS = ("Quantity", "TradePrice", "IBCommission", "Taxes")
AGAIN = "booked again as it was"
BY_HAND = "take the row out, import the file, and bust {} by hand"


class Report(NamedTuple):
    """A trade, or its cancel, as a row has it; costs are negative where they are paid."""

    line: int
    exec_id: str
    quantity: Decimal
    price: Decimal
    costs: Decimal


class Cancels:
    """The trades that a file cancels, in the order of its rows, and the lines of what in it undoes itself."""

    def __init__(self, trades: dict[str, list[Report]], cancels: dict[str, list[Report]]) -> None:
        self._trades = trades
        self._undone: dict[int, str] = {}
        for trade_id, (cancel, *more) in cancels.items():
            before, after = _around(cancel.line, trades.get(trade_id, []))
            if not more and len(before) == len(after) == 1 and _undoes(cancel, before[0], after[0]):
                self._undone[cancel.line] = f"a cancel of line {before[0].line}, which is {AGAIN}"
                self._undone[after[0].line] = f"line {before[0].line}, {AGAIN}"

    @classmethod
    def of(cls, file: BinaryIO) -> "Cancels":
        """From a file's start. Most files have none, which is quickly seen."""
        cancels: dict[str, list[Report]] = {}
        trades: dict[str, list[Report]] = {}
        if _has(file, MARK):
            for cells in _executions(file, CANCELS):
                cancels.setdefault(cells.text["OrigTradeID"], []).append(_report(cells))
            for cells in _executions(file, SIDES):
                if cells.text["TradeID"] in cancels:
                    trades.setdefault(cells.text["TradeID"], []).append(_report(cells))
        return cls(trades, cancels)

    def undone(self, line: int) -> str:
        """Why the row at this line changes nothing, if it does not."""
        return self._undone.get(line, "")

    def trade(self, cells: Cells) -> str:
        """The IBExecID of the trade that the row gives back whole; nothing of one that it does not."""
        cancel = _report(cells)
        before, after = _around(cancel.line, self._trades.get(cells.text["OrigTradeID"], []))
        if len(before) != 1 or after or not before[0].exec_id:
            cells.refuse("OrigTradeID", f"the TradeID of one execution, above in this file: {BY_HAND.format('it')}")
            return ""
        (trade,) = before
        if (cancel.quantity, cancel.price) != (-trade.quantity, trade.price):
            expected = f"{plain(-trade.quantity)} at {plain(trade.price)}, the whole of line {trade.line}"
            cells.refuse("Quantity", f"{expected}: {BY_HAND.format('that trade')}")
        elif cancel.costs + trade.costs:
            expected = f"{plain(-trade.costs)} with the taxes, all that line {trade.line} cost"
            cells.refuse("IBCommission", f"{expected}: {BY_HAND.format('that trade')}")
        return trade.exec_id


def _has(file: BinaryIO, mark: bytes) -> bool:
    end = b""
    while block := file.read(2**20):
        if mark in end + block:
            return True
        end = block[-len(mark) :]
    return False


def _executions(file: BinaryIO, sides: Collection[str]) -> Iterator[Cells]:
    """Those of these sides; what is wrong with the file is told when it is read for good."""
    file.seek(0)
    for record in records(file, LAYOUT, Problems()):
        cells = record and Cells(record, LAYOUT, NUMBERS)
        if cells and cells.text["LevelOfDetail"] == "EXECUTION" and cells.text["Buy/Sell"] in sides:
            yield cells


def _report(cells: Cells) -> Report:
    quantity, price, commission, taxes = (cells.aside(column, values.amount) or ZERO for column in AMOUNTS)
    with exact():
        return Report(cells.line, cells.text["IBExecID"], quantity, price, commission + taxes)


def _around(line: int, trades: Collection[Report]) -> tuple[list[Report], list[Report]]:
    """Those above the line, and those below."""
    return [trade for trade in trades if trade.line < line], [trade for trade in trades if trade.line > line]


def _undoes(cancel: Report, trade: Report, again: Report) -> bool:
    """Whether the cancel gives back what is booked again, to the trade's own ID and price."""
    same = (again.exec_id, again.quantity, again.price) == (trade.exec_id, trade.quantity, trade.price)
    return same and (cancel.quantity, cancel.price, cancel.costs + again.costs) == (-again.quantity, again.price, ZERO)
