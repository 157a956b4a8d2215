"""The time line of a migration: rows of bars over one axis, ready to be drawn.

Places and widths are percentages of the axis, so that a picture is as wide as there is room for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from migration_guard.rehearsal.holds import READS_AND_WRITES, WRITES, Hold, holds, released, strongest, worth_reading
from migration_guard.rehearsal.measuring import MODES
from migration_guard.rehearsal.results import MigrationResult, Stall, StatementResult, Wait
from migration_guard.rehearsal.telling import on_all_rows, one_line, waited
from migration_guard.units import count, duration

MOST_STATEMENTS = 15
MOST_TABLES = 8
MOST_WAITS = 50
MOST_TICKS = 5
# Of the axis: holds of one mode that are nearer to each other look like one.
SMALLEST_GAP = 0.002
# In percent of the row.
HEIGHTS = {
    "statement": 60,
    "rewriting": 60,
    "failed": 60,
    "tail": 10,
    "lock-all": 80,
    "lock-writes": 50,
    "lock-none": 24,
    "wait": 40,
    "shadow": 100,
}
LOCK_KINDS = {READS_AND_WRITES: "lock-all", WRITES: "lock-writes"}


class Bar(NamedTuple):
    """`kind` is the class by which the page colours it; heights tell the kinds apart too."""

    x: str
    width: str
    kind: str
    title: str

    @property
    def height(self) -> str:
        return f"{HEIGHTS[self.kind]}%"

    @property
    def y(self) -> str:
        return f"{(100 - HEIGHTS[self.kind]) / 2:g}%"


class Span(NamedTuple):
    began: float
    ended: float


class Tick(NamedTuple):
    x: str
    # How the label stands to the tick: the first and the last one must not leave the picture.
    anchor: str
    label: str


@dataclass
class Row:
    """`value` is the time that matters of it."""

    kind: str
    label: str
    value: str
    detail: str = ""
    bars: list[Bar] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """For who cannot see the bars."""
        titles = [bar.title for bar in self.bars if bar.title]
        more = f"; and {len(titles) - 3:,} more" if len(titles) > 3 else ""
        return f"{'; '.join(titles[:3])}{more}" if titles else "nothing"


@dataclass
class TimeLine:
    """`note` names the tables that are left out."""

    ticks: list[Tick]
    statements: list[Row]
    tables: list[list[Row]]
    note: str


class Axis:
    def __init__(self, span: float) -> None:
        self.span = max(span, 1.0)

    def bar(self, began: float, ended: float, kind: str, title: str = "") -> Bar:
        left = min(max(began, 0.0), self.span)
        right = min(max(ended, left), self.span)
        return Bar(self._percent(left), self._percent(right - left), kind, title)

    def ticks(self) -> list[Tick]:
        step = self._step()
        moments = [number * step for number in range(int(self.span / step) + 1)]
        return [Tick(self._percent(moment), self._anchor(moment), _moment(moment)) for moment in moments]

    def _step(self) -> float:
        step = 0.1
        for factor in _one_two_five():
            if self.span / (step * factor) <= MOST_TICKS - 1:
                return step * factor
        return self.span

    def _anchor(self, moment: float) -> str:
        if moment == 0:
            return "start"
        return "end" if moment > 0.9 * self.span else "middle"

    def _percent(self, length: float) -> str:
        return f"{100 * length / self.span:.3f}%"


def _one_two_five() -> Iterator[float]:
    for exponent in range(12):
        yield from (each * 10.0**exponent for each in (1, 2, 5))


def _moment(milliseconds: float) -> str:
    return "0" if milliseconds == 0 else duration(milliseconds).replace(".0 ms", " ms")


def timeline(migration: MigrationResult) -> TimeLine:
    axis = Axis(max([migration.seconds * 1000, *_ends(migration)], default=0.0))
    shown = worth_reading(migration, MOST_STATEMENTS)
    by_table = holds(migration)
    tables = sorted({**by_table, **migration.stall_ms}, key=lambda name: name not in migration.stall_ms)
    more = len(tables) - MOST_TABLES
    return TimeLine(
        ticks=axis.ticks(),
        statements=[*(_statement(axis, each) for each in shown), *_further(axis, migration, shown)],
        tables=[
            [*_of_table(axis, name, by_table.get(name, []), migration.stall_ms.get(name))]
            for name in tables[:MOST_TABLES]
        ],
        note=count(more, "more table") if more > 0 else "",
    )


def _ends(migration: MigrationResult) -> Iterator[float]:
    yield from map(released, migration.statements)
    for stall in migration.stall_ms.values():
        yield from (wait.ended for wait in [*stall.reads, *stall.writes])


def _further(axis: Axis, migration: MigrationResult, shown: list[StatementResult]) -> Iterator[Row]:
    """The others in one row."""
    told = {id(each) for each in shown}
    others = sorted((each for each in migration.statements if id(each) not in told), key=lambda each: each.began)
    if not others:
        return
    spans: list[Span] = []
    for each in others:
        span = Span(each.began, each.began + each.ms)
        if spans and span.began - spans[-1].ended <= axis.span * SMALLEST_GAP:
            last = spans.pop()
            span = Span(last.began, max(last.ended, span.ended))
        spans.append(span)
    bars = [axis.bar(*span, "statement", _span(*span)) for span in spans]
    value = duration(sum(each.ms for each in others))
    yield Row("further", count(len(others), "more statement"), value, "each of them is in the JSON", bars)


def _statement(axis: Axis, statement: StatementResult) -> Row:
    ended, until = statement.began + statement.ms, released(statement)
    kind = "failed" if statement.error else "rewriting" if statement.rewritten else "statement"
    bars = []
    if statement.locks and until > ended:
        bars.append(axis.bar(ended, until, "tail", f"its locks are held until {duration(until)}"))
    told = f"{kind} " if kind != "statement" else ""
    bars.append(axis.bar(statement.began, ended, kind, f"{told}{_span(statement.began, ended)}"))
    detail = {"failed": "fails", "rewriting": "writes anew"}.get(kind, "")
    if statement.times > 1:
        detail = ", ".join(filter(None, [f"sent {statement.times:,} times", detail]))
    return Row("statement", one_line(statement.sql, 200), duration(statement.ms), detail, bars)


def _span(began: float, ended: float) -> str:
    return f"from {duration(began)} to {duration(ended)}, for {duration(ended - began)}"


def _of_table(axis: Axis, table: str, of_table: list[Hold], stall: Stall | None) -> Iterator[Row]:
    yield _locks(axis, table, of_table)
    if stall:
        yield _waits(axis, "readers", stall, of_table)
        yield _waits(axis, "writers", stall, of_table)


def _locks(axis: Axis, table: str, of_table: list[Hold]) -> Row:
    if not of_table:
        return Row("lock", table, "", "no lock was seen")
    worst = strongest(of_table)
    merged = list(_merged(of_table, axis.span * SMALLEST_GAP))
    bars = [axis.bar(each.began, each.ended, _kind(each), f"{each.mode} {_span(*each[2:4])}") for each in merged]
    documented = ", as documented" if worst.documented else ""
    return Row("lock", table, duration(worst.ms), f"{worst.mode}: blocks {worst.blocks}{documented}", bars)


def _kind(hold: Hold) -> str:
    return LOCK_KINDS.get(hold.blocks, "lock-none")


def _merged(of_table: Iterable[Hold], gap: float) -> Iterator[Hold]:
    """The weakest first, so that a stronger one is drawn over it."""
    last = None
    for hold in sorted(of_table, key=lambda each: (each.strength, each.began)):
        if last and hold.mode == last.mode and hold.began - last.ended <= gap:
            last = last._replace(ended=max(last.ended, hold.ended))
            continue
        if last:
            yield last
        last = hold
    if last:
        yield last


def _waits(axis: Axis, who: str, stall: Stall, of_table: list[Hold]) -> Row:
    is_reader = who == "readers"
    time, wait = (stall.read, stall.read_wait) if is_reader else (stall.write, stall.write_wait)
    blocked_by = {READS_AND_WRITES} if is_reader else {READS_AND_WRITES, WRITES}
    # Whichever of them it was: the row above tells.
    blocking = [each._replace(mode=MODES[-1]) for each in of_table if each.blocks in blocked_by]
    shadows = [axis.bar(each.began, each.ended, "shadow") for each in _merged(blocking, axis.span * SMALLEST_GAP)]
    bars = [axis.bar(*each, "wait", f"{who} waited {_span(*each)}") for each in _longest(stall, who)]
    parts = [waited(time, wait), on_all_rows(stall, wait), f"{duration(stall.floor)} without the migration"]
    return Row("wait", who, duration(time), ", ".join(filter(None, parts)), shadows + bars)


def _longest(stall: Stall, who: str) -> list[Wait]:
    waits = stall.reads if who == "readers" else stall.writes
    return sorted(sorted(waits, key=lambda each: each.began - each.ended)[:MOST_WAITS])
