"""Lots, and the order in which a closing trade takes them."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from trader.booking.numbers import CONTEXT, PLACE, ZERO, quantized, share

Selection = tuple[str, Decimal]


class Worth(NamedTuple):
    """Money as the fee policy counts it, without any fee, and the first in base currency: None without a rate."""

    amount: Decimal
    gross: Decimal
    base: Decimal | None

    def part(self, part: Decimal, whole: Decimal) -> "Worth":
        """The share of `part` in `whole`; what is equal stays equal, and is divided once."""
        if part == whole:
            return self
        amount = share(self.amount, part, whole)
        gross = amount if self.gross == self.amount else share(self.gross, part, whole)
        if self.base is None or self.base == self.amount:
            return Worth(amount, gross, None if self.base is None else amount)
        return Worth(amount, gross, share(self.base, part, whole))

    def plus(self, other: "Worth") -> "Worth":
        """The sum; of what is not known in base currency, only the known part is added or taken away."""
        base = None if self.base is None else self.base + (other.base or ZERO)
        return Worth(self.amount + other.amount, self.gross + other.gross, base)

    def less(self, other: "Worth") -> "Worth":
        base = None if self.base is None else self.base - (other.base or ZERO)
        return Worth(self.amount - other.amount, self.gross - other.gross, base)


NOTHING = Worth(ZERO, ZERO, ZERO)


def per_unit(worth: Worth, quantity: Decimal) -> Decimal:
    return quantized(CONTEXT.divide(worth.amount, quantity))


# What of a lot is folded while it rests, and how a number says that it is the one before it, or none.
FOLDED = ("trade", "quantity", "unclosed", "remaining", "cost", "_unit_cost")
NO_WORTH = (None, None, None)
SAME, NONE = "=", "-"


class Lot:
    """What one trade opened, long or short: all amounts positive, a short lot's cost being what it was sold for.

    `quantity` and `unclosed` are in the units of its day, `remaining` in those of now: they part when there is a split.
    `cost` is what remains of it; None with average cost, where the lots share one pool. Of a lot that nothing was taken
    from, `cost` says what a unit cost. At rest a lot takes half of the room: hundreds of thousands fit in memory.
    """

    __slots__ = ("_at_rest", "_unit_cost", "acquired_at", "cost", "quantity", "remaining", "trade", "unclosed")

    def __init__(
        self, trade: str, acquired_at: datetime, quantity: Decimal, cost: Worth | None, unit_cost: Decimal | None = None
    ) -> None:
        self.trade = trade
        self.acquired_at = acquired_at
        self.quantity = self.remaining = self.unclosed = quantity
        self.cost = cost
        self._unit_cost = unit_cost

    def rest(self) -> None:
        """Fold all but its time into a text, until it is asked for."""
        if hasattr(self, "_at_rest"):
            return
        numbers = (self.quantity, self.unclosed, self.remaining, *(self.cost or NO_WORTH), self._unit_cost)
        self._at_rest = f"{self.trade} {_folded(numbers)}"
        for name in FOLDED:
            delattr(self, name)

    def __getattr__(self, name: str) -> Any:
        """Python asks here for what is not there: unfold it."""
        if name not in FOLDED:
            raise AttributeError(name)
        self.trade, *numbers = self._at_rest.split(" ")
        self.quantity, self.unclosed, self.remaining, *worth, self._unit_cost = _unfolded(numbers)
        self.cost = None if worth[0] is None else Worth(*worth)
        del self._at_rest
        return getattr(self, name)

    @property
    def unit_cost(self) -> Decimal:
        if self._unit_cost is None:
            return per_unit(self.cost or NOTHING, self.quantity)
        return self._unit_cost

    def spend(self, part: Worth) -> None:
        """Take so much of its own cost."""
        self._unit_cost = self.unit_cost
        self.cost = self.cost and self.cost.less(part)

    def take(self, quantity: Decimal) -> Decimal:
        """Close so much of it; returns how much that is in the units of its day."""
        opened = quantity if self.unclosed == self.remaining else share(self.unclosed, quantity, self.remaining)
        self.remaining -= quantity
        self.unclosed -= opened
        return opened

    def split(self, numerator: int, denominator: int) -> None:
        """n new units for d old ones; the cost stays, and so does a lot to carry it, if of the smallest quantity."""
        self.remaining = quantized(self.remaining * numerator / denominator) or PLACE
        self._unit_cost = quantized(self.unit_cost * denominator / numerator)


def _folded(numbers: Iterable[Decimal | None]) -> str:
    texts, last = [], None
    for number in numbers:
        texts.append(NONE if number is None else SAME if number is last else str(number))
        last = number
    return " ".join(texts)


def _unfolded(texts: Iterable[str]) -> Iterator[Any]:
    last: Decimal | None = None
    for text in texts:
        if text != SAME:
            last = None if text == NONE else Decimal(text)
        yield last


class Match(NamedTuple):
    """The part of a lot that a trade closed. A long lot's proceeds are the trade's, a short one's its own."""

    opening_trade: str
    closing_trade: str
    quantity: Decimal
    opened_quantity: Decimal
    proceeds: Worth
    cost: Worth
    acquired_at: datetime
    closed_at: datetime


class Lots(Protocol):
    """The open lots of one side."""

    def __iter__(self) -> Iterator[Lot]: ...

    def __len__(self) -> int: ...

    def push(self, lot: Lot) -> None: ...

    def reorder(self) -> None:
        """Keep the order among lots to come, after all unit costs have changed in one ratio."""
        ...

    def picks(self, selections: Iterable[Selection]) -> Iterator[tuple[Lot, Decimal]]:
        """The lots to close next, each with the most that may be taken of it; the taker resumes after taking.

        What is selected is there: see `Selected.held`.
        """
        ...


class OldestFirst(deque[Lot]):
    """FIFO; AVERAGE, whose quantities leave so; and lots that come in the order in which they shall go."""

    def push(self, lot: Lot) -> None:
        self.append(lot)

    def reorder(self) -> None:
        """Their order is that of their coming."""

    def picks(self, selections: Iterable[Selection]) -> Iterator[tuple[Lot, Decimal]]:
        while self:
            lot = self[0]
            if lot.remaining:
                yield lot, lot.remaining
            else:
                self.popleft()


class NewestFirst(list[Lot]):
    """LIFO."""

    def push(self, lot: Lot) -> None:
        self.append(lot)

    def reorder(self) -> None:
        """Their order is that of their coming."""

    def picks(self, selections: Iterable[Selection]) -> Iterator[tuple[Lot, Decimal]]:
        while self:
            lot = self[-1]
            if lot.remaining:
                yield lot, lot.remaining
            else:
                self.pop()


class DearestFirst:
    """HIFO: of long lots the highest cost first, of short ones the lowest price; of equal ones the oldest."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._heap: list[tuple[Decimal, int, Lot]] = []
        self._count = 0

    def __iter__(self) -> Iterator[Lot]:
        return (lot for _, _, lot in sorted(self._heap, key=lambda entry: entry[1]))

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, lot: Lot) -> None:
        self._count += 1
        heapq.heappush(self._heap, (-self._sign * lot.unit_cost, self._count, lot))

    def reorder(self) -> None:
        self._heap = [(-self._sign * lot.unit_cost, count, lot) for _, count, lot in self._heap]
        heapq.heapify(self._heap)

    def picks(self, selections: Iterable[Selection]) -> Iterator[tuple[Lot, Decimal]]:
        while self._heap:
            lot = self._heap[0][2]
            if lot.remaining:
                yield lot, lot.remaining
            else:
                heapq.heappop(self._heap)


class Selected(OldestFirst):
    """SPECIFIC: what was selected, then the oldest."""

    def __init__(self) -> None:
        super().__init__()
        self._by_trade: dict[str, Lot] = {}

    def push(self, lot: Lot) -> None:
        super().push(lot)
        self._by_trade[lot.trade] = lot

    def held(self, trade: str) -> Decimal:
        """What is left of the lot that the trade opened."""
        lot = self._by_trade.get(trade)
        return lot.remaining if lot else ZERO

    def picks(self, selections: Iterable[Selection]) -> Iterator[tuple[Lot, Decimal]]:
        for trade, quantity in selections:
            yield self._by_trade[trade], quantity
        yield from super().picks(())


def lots_of(method: str, sign: int) -> Lots:
    """An empty collection for a position of that sign under FIFO, LIFO, HIFO, AVERAGE or SPECIFIC."""
    match method:
        case "FIFO" | "AVERAGE":
            return OldestFirst()
        case "LIFO":
            return NewestFirst()
        case "HIFO":
            return DearestFirst(sign)
        case "SPECIFIC":
            return Selected()
    raise ValueError(f"{method} is no cost basis method.")
