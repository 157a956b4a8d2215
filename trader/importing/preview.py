"""What a file would do, row by row, before it does it."""

from array import array
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from trader.booking.numbers import plain
from trader.importing.activities import Activity, Cancellation, Cash, Correction, Exchange, InstrumentName, Row, Trade
from trader.importing.placing import Listed, Placed, Priced
from trader.importing.problems import Problem, Problems
from trader.importing.survey import Survey

KEPT = 1_000


class State(StrEnum):
    ADDED = "added"
    KNOWN = "known"
    REFUSED = "refused"
    PASSED = "passed over"


class PreviewLine(NamedTuple):
    """What a row would do, or the rows that make one activity, of which `line` is the first. `kind` is that of a row of
    the generic format; it is empty, as `what` is, for a row that could not be read."""

    line: int
    rows: int
    state: State
    kind: str
    what: str
    problems: list[Problem]


class Preview(NamedTuple):
    """The first 1,000 lines, and of all rows of the file how many of each kind are in each state.

    Rows are judged one by one: with a refused one, none is added.
    """

    lines: list[PreviewLine]
    counts: Counter[tuple[str, State]]

    @property
    def rest(self) -> int:
        """How many rows have no line here."""
        return self.counts.total() - sum(line.rows for line in self.lines)


class _Noted(NamedTuple):
    """`position` is the survey's; without one, the state stands already."""

    line: int
    rows: int
    kind: str
    what: str
    position: int | None
    state: State


class Foresight:
    """Notes what rows are as they are read; what becomes of them, the survey and the problems say at the end."""

    def __init__(self) -> None:
        self._noted: list[_Noted] = []
        self._kinds: list[str] = []
        self._kind_at = array("B")
        self._settled: Counter[tuple[str, State]] = Counter()

    def taken(self, position: int, row: Row, placed: Placed) -> None:
        kind = kind_of(row.activity)
        if kind not in self._kinds:
            self._kinds.append(kind)
        self._kind_at.append(self._kinds.index(kind))
        if len(self._noted) < KEPT:
            self._noted.append(_Noted(row.line, row.rows, kind, described(row.activity, placed), position, State.ADDED))

    def refused(self, line: int, rows: int, activity: Activity | None = None) -> None:
        what = described(activity) if activity else ""
        self._settle(line, rows, kind_of(activity) if activity else "", what, State.REFUSED)

    def passed(self, line: int, rows: int, why: str) -> None:
        self._settle(line, rows, "", why, State.PASSED)

    def told(self, survey: Survey, problems: Problems) -> Preview:
        by_line: dict[int | None, list[Problem]] = {}
        for problem in problems.kept:
            by_line.setdefault(problem.line, []).append(problem)
        counts = Counter(self._settled)
        for position, kind in enumerate(self._kind_at):
            counts[self._kinds[kind], _state(position, survey, by_line)] += survey.rows[position]
        lines = [
            PreviewLine(
                noted.line,
                noted.rows,
                noted.state if noted.position is None else _state(noted.position, survey, by_line),
                noted.kind,
                noted.what,
                by_line.get(noted.line, []),
            )
            for noted in sorted(self._noted, key=attrgetter("line"))
        ]
        return Preview(lines, counts)

    def _settle(self, line: int, rows: int, kind: str, what: str, state: State) -> None:
        self._settled[kind, state] += rows
        if len(self._noted) < KEPT:
            self._noted.append(_Noted(line, rows, kind, what, None, state))


def _state(position: int, survey: Survey, refused: Iterable[int | None]) -> State:
    if survey.lines[position] in refused:
        return State.REFUSED
    return State.ADDED if survey.is_new[position] else State.KNOWN


def kind_of(activity: Activity) -> str:
    """What the generic format calls it."""
    match activity:
        case Cash():
            return activity.kind
        case Trade():
            return "TRADE"
        case Correction():
            return "CORRECT"
        case Cancellation():
            return "CANCEL"
        case Exchange():
            return "FX"
    return "SPLIT"


def described(activity: Activity, placed: Placed | None = None) -> str:
    """As `BUY 16 US2546871060.XNYS at 188.12 USD`; a refused row's instrument is called what the row calls it."""
    name = _name(placed, getattr(activity, "instrument", None))
    match activity:
        case Trade():
            return _trade(activity, placed, name)
        case Correction():
            return f"CORRECT {activity.exec_ref} to {described(activity.trade, placed)}"
        case Cancellation():
            return f"CANCEL {activity.exec_ref}"
        case Exchange():
            paid = f"{plain(activity.paid_amount)} {activity.paid_currency}"
            return f"FX {plain(activity.amount)} {activity.currency} for {paid}"
        case Cash():
            return f"{activity.kind} {plain(activity.amount)} {activity.currency}{f' of {name}' if name else ''}"
    return f"SPLIT {activity.ratio} of {name}"


def _trade(trade: Trade, placed: Placed | None, name: str) -> str:
    """With the price in quotation units, and what one of them is worth unless that is 1 of the currency."""
    price, factor = trade.price, trade.instrument.details.price_quotation_factor
    if isinstance(placed, Priced):
        price, factor = placed.figures.last_px, placed.listing.instrument.price_quotation_factor
    unit = f"{trade.instrument.currency}" if factor in (None, 1) else f"x {plain(factor)} {trade.instrument.currency}"
    at = f" at {plain(price)} {unit}" if price is not None else ""
    return f"{trade.side} {plain(trade.quantity)} {name}{at}"


def _name(placed: Placed | None, named: InstrumentName | None) -> str:
    if isinstance(placed, Priced | Listed):
        return placed.listing.name.rpartition(":")[0]
    if named is None:
        return ""
    return ".".join(filter(None, [named.symbol or named.isin, named.mic]))
