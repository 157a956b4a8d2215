"""Returns on what was invested: time-weighted, money-weighted, and how far the first fell.

A figure is None where something that it needs is not known, or where there is no such return.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise

from trader.booking.numbers import ONE, ZERO, exact

YEAR = 365
# A return beyond it is none that anybody reads.
LARGEST = Decimal(10) ** 18
# Of the growth in one day: far below what shows at 18 places of a year's.
CLOSE_ENOUGH = Decimal("1e-60")
STEPS = 1_000
# Where rates are looked for, as powers of ten of what a unit becomes in a year: fine about nothing, coarse far out.
MAGNITUDES = [Decimal(18) * Decimal("0.7") ** step for step in range(24)]

Flow = tuple[date, Decimal]


def growth(initial: Decimal | None, days: Iterable[tuple[Decimal | None, Decimal | None]]) -> Iterator[Decimal | None]:
    """What a unit of money that was there at the start has become by the end of each day; less 1 it is the
    time-weighted return.

    `days` are (transfers, value at the end), all in one currency. A day's transfers are there from its start: it grows
    by value / (value of the day before + transfers), and days are linked geometrically, as the GIPS standards for firms
    have it (CFA Institute, 2020, 2.A.24). A day without any money changes nothing. From a day on that ended with less
    than nothing, or had to earn what it ended with on nothing or less, there is no return any more.
    """
    with exact():
        grown, before = _linked(ONE, ONE), initial
        for transfers, after in days:
            grown = _linked(grown, _factor(before, transfers, after))
            before = after
            yield grown


def _factor(before: Decimal | None, transfers: Decimal | None, after: Decimal | None) -> Decimal | None:
    if before is None or transfers is None or after is None:
        return None
    invested = before + transfers
    if invested > 0 and after >= 0:
        return after / invested
    return ONE if invested == after == 0 else None


def _linked(grown: Decimal | None, factor: Decimal | None) -> Decimal | None:
    if grown is None or factor is None or grown * factor > LARGEST:
        return None
    return grown * factor


def drawdown(grown: Iterable[Decimal | None]) -> Decimal | None:
    """The deepest fall below the highest point before it, as a negative part of that; 0 where nothing fell.

    `grown` is what `growth` gives: by values, every withdrawal would be a fall.
    """
    highest, deepest = ONE, ZERO
    with exact():
        for point in grown:
            if point is None:
                return None
            highest = max(highest, point)
            deepest = min(deepest, point / highest - 1)
    return deepest


def xirr(flows: Iterable[Flow]) -> Decimal | None:
    """The rate, a year of 365 days, at which dated flows come to nothing: what is paid in negative, what is taken out
    positive. 0 where nothing flows.

    None where there is no such rate between -1 and 1e18, or more than one: then no rate is the rate.
    """
    with exact():
        terms = _terms(flows)
        if not terms:
            return ZERO
        bounds = _bounds(terms)
        return None if bounds is None else _solved(terms, *bounds) ** YEAR - 1


# An amount, and the days to the next one.
Term = tuple[Decimal, int]


def _terms(flows: Iterable[Flow]) -> list[Term]:
    by_day: defaultdict[date, Decimal] = defaultdict(lambda: ZERO)
    for day, amount in flows:
        by_day[day] += amount
    days = sorted(day for day, amount in by_day.items() if amount)
    gaps = [(after - before).days for before, after in pairwise(days)]
    return [(by_day[day], gap) for day, gap in zip(days, [*gaps, 0], strict=bool(days))]


def _bounds(terms: list[Term]) -> tuple[Decimal, Decimal] | None:
    """What a unit grows to in a day, below and above the only rate."""
    signs = [amount > 0 for amount, _ in terms]
    if signs[0] == signs[-1]:
        # By Descartes's rule there is none then, or an even number of them.
        return None
    lowest, highest = _daily(-MAGNITUDES[0]), _daily(MAGNITUDES[0])
    changes = sum(before != after for before, after in pairwise(signs))
    grid = [lowest, highest] if changes == 1 else [_daily(power) for power in _powers()]
    crossings = [
        (low, high)
        for (low, at_low), (high, at_high) in pairwise((growing, _final(terms, growing)[0]) for growing in grid)
        if (at_low > 0) != (at_high > 0)
    ]
    return crossings[0] if len(crossings) == 1 else None


def _powers() -> Iterator[Decimal]:
    yield from (-magnitude for magnitude in MAGNITUDES)
    yield from reversed(MAGNITUDES)


def _daily(power: Decimal) -> Decimal:
    return Decimal(10) ** (power / YEAR)


def _final(terms: list[Term], growing: Decimal) -> tuple[Decimal, Decimal]:
    """What the flows have grown to on the last day, and how fast that changes."""
    value = slope = ZERO
    for amount, gap in terms:
        value += amount
        if gap:
            power = growing ** (gap - 1)
            slope = (slope * growing + value * gap) * power
            value *= power * growing
    return value, slope


def _solved(terms: list[Term], low: Decimal, high: Decimal) -> Decimal:
    """By Newton's steps, and by halving wherever such a step would leave the bounds."""
    rises = _final(terms, high)[0] > 0
    growing = ONE if low < ONE < high else (low + high) / 2
    for _ in range(STEPS):
        value, slope = _final(terms, growing)
        if (value > 0) == rises:
            high = growing
        else:
            low = growing
        following = growing - value / slope if slope else low
        if abs(following - growing) <= CLOSE_ENOUGH:
            return following
        growing = following if low < following < high else (low + high) / 2
    return growing
