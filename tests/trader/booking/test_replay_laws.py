"""Counting trades as they come gives what counting them anew gives; on rows that no database sees."""

from collections import deque
from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

import pytest
from django.db.models import DecimalField, Model
from hypothesis import given
from hypothesis import strategies as st

from tests.trader.booking.histories import History, histories, open_lots, state
from tests.trader.booking.trades import buy, held, rules, sell
from trader.booking.holding import Fill, Holding, Rules, Split
from trader.booking.lots import Lot, Match, OldestFirst, Selected, Worth
from trader.booking.numbers import CONTEXT
from trader.models import Position, TaxLot

UNSELECTED = ("FIFO", "LIFO", "HIFO", "AVERAGE")


class Report(NamedTuple):
    """A trade (F) as first stated, as corrected (G), or cancelled (H)."""

    exec_type: str
    fill: Fill


class Book:
    """A position as it is kept: rows of its state and its open lots; what it closed is written for good."""

    def __init__(self, rules: Rules, splits: list[Split]) -> None:
        self.rules = rules
        self.splits = splits
        self.reports: dict[str, Report] = {}
        self.last: Fill | None = None
        self.closed: list[Lot] = []
        self.matches: list[Match] = []
        self._keep(Holding(rules))

    def arrive(self, report: Report) -> None:
        """Count the last trade in line on top of what is there; for anything else, all anew."""
        self.reports[report.fill.trade] = report
        fills = sorted(
            (last.fill for last in self.reports.values() if last.exec_type != "H"),
            key=lambda fill: (fill.at, fill.trade),
        )
        if report.exec_type == "F" and report.fill is fills[-1] and not self._is_split_before(report.fill):
            self.record(report.fill)
        else:
            self.closed, self.matches = [], []
            self._keep(held(self.rules, fills, self.splits))
        self.last = fills[-1] if fills else None

    def record(self, fill: Fill) -> None:
        holding = self.restored()
        holding.record(fill)
        self._keep(holding)

    def split(self, split: Split) -> None:
        holding = self.restored()
        holding.split(split)
        self._keep(holding)

    def restored(self) -> Holding:
        lots = Selected() if self.rules.method == "SPECIFIC" else OldestFirst()
        for row in self._leaving():
            lots.push(row.restored())
        return self._position.restored(self.rules, lots)

    def state(self) -> list[Any]:
        holding = self.restored()
        holding.closed, holding.matches = self.closed, self.matches
        return state(holding)

    def _keep(self, holding: Holding) -> None:
        self._position = Position()
        self._position.take_over(holding, None)
        self._lots = [as_row(lot) for lot in open_lots(holding)]
        for row in [self._position, *self._lots]:
            round_as_columns(row)
        self.closed += holding.closed
        self.matches += holding.matches

    def _leaving(self) -> list[TaxLot]:
        """The lots in the order in which they go, as the database sorts them."""
        lots = sorted(self._lots, key=lambda lot: (lot.acquired_at, str(lot.trade_id)))
        if self.rules.method == "LIFO":
            lots.reverse()
        if self.rules.method == "HIFO":
            lots.sort(key=lambda lot: lot.unit_cost, reverse=self._position.quantity > 0)
        return lots

    def _is_split_before(self, fill: Fill) -> bool:
        last = self.last.trade_date if self.last else date.min
        return any(last < split.ex_date <= fill.trade_date for split in self.splits)


def as_row(lot: Lot) -> TaxLot:
    amount, gross, base = lot.cost or (None, None, None)
    return TaxLot(
        trade_id=lot.trade,
        acquired_at=lot.acquired_at,
        quantity=lot.quantity,
        unclosed=lot.unclosed,
        remaining=lot.remaining,
        unit_cost=lot.unit_cost,
        cost=amount,
        gross=gross,
        cost_base=base,
    )


def round_as_columns(row: Model) -> None:
    """As PostgreSQL rounds what has more decimal places than its column."""
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if isinstance(field, DecimalField) and value is not None:
            place = Decimal(1).scaleb(-field.decimal_places)
            setattr(row, field.attname, Decimal(value).quantize(place, ROUND_HALF_UP, CONTEXT))


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[History, list[Report]]:
    """A history, and reports of its trades: some were stated wrongly at first, some are cancelled in the end."""
    history = draw(histories(methods=UNSELECTED, shorts=(True,)))
    chains = {}
    for fill in history.fills:
        exec_types = draw(st.sampled_from(["F", "F", "FG", "FGG", "FH", "FGH"]))
        wrong = fill._replace(quantity=Decimal(5), gross=Decimal("77.7"), fees=Decimal("0.3"), rate=Decimal(2))
        stated = [*[wrong] * (len(exec_types) - 1), fill]
        chains[fill.trade] = deque(map(Report, exec_types, stated))
    order = draw(st.permutations([trade for trade, chain in chains.items() for _ in chain]))
    return history, [chains[trade].popleft() for trade in order]


@given(histories())
def test_trades_counted_one_by_one_leave_what_a_replay_leaves(history: History) -> None:
    book = Book(history.rules, [])
    for event in history.events:
        if isinstance(event, Split):
            book.split(event)
        else:
            book.record(event)

    assert book.state() == state(history.held())


@given(arrivals())
def test_a_trade_counts_as_last_stated_whenever_that_arrives(arrived: tuple[History, list[Report]]) -> None:
    """A corrected one as if it had been stated so, a cancelled one as if it had never been."""
    history, reports = arrived
    book = Book(history.rules, history.splits)
    for report in reports:
        book.arrive(report)

    busted = {report.fill.trade for report in reports if report.exec_type == "H"}
    standing = [fill for fill in history.fills if fill.trade not in busted]
    assert book.state() == state(held(history.rules, standing, history.splits))


@pytest.mark.parametrize(("opens", "fee"), [(buy, "-1"), (sell, "1")], ids=["long", "short"])
def test_a_cost_below_nothing_is_kept(opens: Callable[..., Fill], fee: str) -> None:
    book = Book(rules(policy="IN_COST"), [])

    book.record(opens(1, "1", "0", fee=fee))

    assert book.restored().cost == Worth(Decimal(-1), Decimal(0), Decimal(-1))
