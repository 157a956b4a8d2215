"""Histories of trades and splits, as hypothesis draws them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.trader.booking.trades import held
from trader.booking.fees import BUY, SELL, counted, gross_amount
from trader.booking.holding import Fill, Holding, Rules, Split
from trader.booking.lots import Lot, Match, Selection, Worth
from trader.booking.numbers import ONE, ZERO, exact, quantized

Ratio = tuple[int, int]

OF_A_LOT = ("trade", "acquired_at", "quantity", "unclosed", "remaining", "cost", "unit_cost")
METHODS = ("FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC")
POLICIES = ("EXPENSED", "IN_COST", "BUY_IN_COST")
WHOLE_RATIOS: tuple[Ratio, ...] = ((2, 1), (10, 1))
RATIOS: tuple[Ratio, ...] = (*WHOLE_RATIOS, (1, 2), (3, 2), (1, 3), (7, 5), (1, 1000))
START = datetime(2024, 1, 1, 9, tzinfo=UTC)


def decimals(least: int, most: int, places: int = 0) -> st.SearchStrategy[Decimal]:
    """Numbers of so many decimal places, given without the point."""
    return st.integers(least, most).map(lambda digits: Decimal(f"{digits}e-{places}"))


def listed(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


ROUND, SMALLEST, LARGEST = decimals(1, 500), decimals(1, 300, 18), decimals(10**17, 9 * 10**17)
COINS, LONGEST = decimals(1, 10**10, 8), decimals(10**34, 10**36 - 1, 18)
# Quantities of one instrument, and the increment that they come in.
GRIDS = (
    (ROUND, "1"),
    (ROUND, "1e-8"),
    (COINS, "1e-8"),
    (SMALLEST, "1e-18"),
    (LARGEST, "1"),
    (LONGEST, "1e-18"),
    (SMALLEST | LARGEST, "1e-18"),
    (ROUND | COINS | SMALLEST | LARGEST | LONGEST, "1e-18"),
)
PRICES = listed("250.5", "3.333333333333", "65000.01", "0.0000126", "1e-12", "0")
UNITS = listed("1", "0.01", "50")
STATED_GROSS = listed("0", "1e-18", "333333.333333333333333333")
FEES = listed("0", "0", "1.25", "-0.5", "1e-18", "123456.789")
UNIT_FEES = listed("0", "0", "0", "0.001", "-0.001")
KNOWN_RATES = listed("0.9", "1.000000000001", "0.006666666667", "1234.5")
RATES: dict[str, list[Decimal | None]] = {"own": [ONE], "known": [*KNOWN_RATES], "some": [*KNOWN_RATES, *[None] * 4]}
THIRD = Decimal("0.333333333333333333")
# Fees in other currencies: in the trade's, and in the base currency.
OTHER_FEES = [*[(ZERO, ZERO)] * 6, (THIRD, -THIRD), (THIRD, ZERO), (ZERO, THIRD), (THIRD, None), (None, THIRD)]


class History(NamedTuple):
    """`events` are in the order in which they count."""

    rules: Rules
    events: list[Fill | Split]

    @property
    def fills(self) -> list[Fill]:
        return [event for event in self.events if isinstance(event, Fill)]

    @property
    def splits(self) -> list[Split]:
        return [event for event in self.events if isinstance(event, Split)]

    def held(self, rules: Rules | None = None) -> Holding:
        """What is left in the end, by its own rules or by others."""
        return held(rules or self.rules, self.fills, self.splits)

    def turns(self) -> Iterator["Turn"]:
        """Its trades one by one; each is to be looked at before the next."""
        holding = Holding(self.rules)
        for event in self.events:
            if isinstance(event, Split):
                holding.split(event)
                continue
            before, cost = signed(holding), holding.cost
            lots = [Standing(lot.trade, lot.remaining, lot.unit_cost, lot.cost) for lot in open_lots(holding)]
            already = len(holding.matches)
            opened = holding.record(event)
            yield Turn(event, before, cost, lots, holding, holding.matches[already:], opened)


class Standing(NamedTuple):
    """An open lot, as it was before a trade."""

    trade: str
    remaining: Decimal
    unit_cost: Decimal
    cost: Worth | None


class Turn(NamedTuple):
    """What a trade did: the signed position, its cost and its lots before; what it closed and opened."""

    fill: Fill
    before: Fraction
    cost: Worth
    lots: list[Standing]
    holding: Holding
    matches: list[Match]
    opened: Lot | None

    def sides(self, match: Match) -> tuple[Worth, Worth]:
        """What a match has of the trade's worth, and of the lot's."""
        return (match.proceeds, match.cost) if self.before > 0 else (match.cost, match.proceeds)


class Step(NamedTuple):
    """A trade to come: `aim` says what it makes of the position, `percent` and `quantity` how much of it.

    `unit_fee` is a part of the quantity; of the lots, `chosen` are to go first: which, and how many percent.
    """

    aim: str
    sign: int
    percent: int
    quantity: Decimal
    price: Decimal
    stated_gross: Decimal | None
    fees: Decimal
    unit_fee: Decimal
    other_fees: tuple[Decimal | None, Decimal | None]
    rate: Decimal | None
    minutes: int
    split: Ratio | None
    chosen: list[tuple[int, int]]


@cache
def steps(grid: int, rates: str, ratios: tuple[Ratio, ...]) -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        aim=st.sampled_from(["more", "more", "more", "part", "part", "flat", "under", "over", "cross"]),
        sign=st.sampled_from([BUY, SELL]),
        percent=st.integers(1, 99),
        quantity=GRIDS[grid][0],
        price=st.sampled_from(PRICES),
        stated_gross=st.sampled_from([*[None] * 9, *STATED_GROSS]),
        fees=st.sampled_from(FEES),
        unit_fee=st.sampled_from(UNIT_FEES),
        other_fees=st.sampled_from(OTHER_FEES),
        rate=st.sampled_from(RATES[rates]),
        minutes=st.sampled_from([0, 1, 600, 3000]),
        split=st.sampled_from([*[None] * 2 * len(ratios), *ratios]),
        chosen=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 100)), max_size=2),
    )


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    methods: tuple[str, ...] = METHODS,
    shorts: tuple[bool, ...] = (False, True),
    rates: tuple[str, ...] = tuple(RATES),
    ratios: tuple[Ratio, ...] = RATIOS,
) -> History:
    grid = draw(st.integers(0, len(GRIDS) - 1))
    method, policy, short = draw(st.sampled_from(list(product(methods, POLICIES, shorts))))
    rules = Rules(method, policy, short, Decimal(GRIDS[grid][1]))
    coming = draw(st.lists(steps(grid, draw(st.sampled_from(rates)), ratios), min_size=2, max_size=12))
    unit = draw(st.sampled_from(UNITS))
    history, holding, at = History(rules, []), Holding(rules), START
    for number, step in enumerate(coming):
        at += timedelta(minutes=step.minutes)
        if step.split:
            at += timedelta(days=1)
            split = Split(at.date(), *step.split)
            holding.split(split)
            history.events.append(split)
        fill = _fill(holding, step, f"T{number:02}", at, unit)
        holding.record(fill)
        history.events.append(fill)
    return history


def _fill(holding: Holding, step: Step, trade: str, at: datetime, unit: Decimal) -> Fill:
    with exact():
        sign, quantity = _aimed(holding, step)
        units = quantized(quantity * step.unit_fee)
        traded = quantity + sign * units
        gross = gross_amount(traded, step.price, unit) if step.stated_gross is None else step.stated_gross
        count = counted(sign, traded, gross, step.fees, units)
        chosen = tuple(_chosen(holding, step, sign, quantity))
    others, others_base = step.other_fees
    return Fill(trade, at, at.date(), sign, *count[:3], others, step.rate, others_base, chosen)


def _aimed(holding: Holding, step: Step) -> tuple[int, Decimal]:
    """On which side, and of how much, a trade makes of the position what the step aims at."""
    held, closing, increment = holding.quantity, -holding.sign, holding.rules.qty_increment
    little = quantized(increment * step.percent / 100)
    match step.aim:
        case _ if not held:
            return step.sign if holding.rules.allow_short else BUY, step.quantity
        case "more":
            return holding.sign, step.quantity
        case "part":
            return closing, quantized(held * step.percent / 100) or held
        case "under" if held > little:
            return closing, held - little
        case "over" if holding.rules.allow_short or little < increment / 2:
            return closing, held + little
        case "cross" if holding.rules.allow_short:
            return closing, held + step.quantity
    return closing, held


def _chosen(holding: Holding, step: Step, sign: int, traded: Decimal) -> Iterator[Selection]:
    """Parts of open lots, no more than the trade closes."""
    if holding.rules.method != "SPECIFIC" or sign != -holding.sign:
        return
    lots, left = open_lots(holding), min(traded, holding.quantity)
    for index, percent in {index % len(lots): percent for index, percent in step.chosen}.items():
        part = min(left, quantized(lots[index].remaining * percent / 100))
        if part:
            yield lots[index].trade, part
            left -= part


def open_lots(holding: Holding) -> list[Lot]:
    return [lot for lot in holding.lots if lot.remaining]


def state(holding: Holding) -> list[Any]:
    """All that a holding says, and all that is said of its lots."""
    lots = sorted(open_lots(holding), key=lambda lot: lot.trade)
    figures = [value for name, value in vars(holding).items() if name not in ("lots", "closed", "_dust", "_pooled")]
    return [*figures, *([getattr(lot, name) for name in OF_A_LOT] for lot in [*holding.closed, *lots])]


def signed(holding: Holding) -> Fraction:
    return holding.sign * Fraction(holding.quantity)


def summed(amounts: Iterable[Decimal]) -> Fraction:
    """The sum, whatever the precision of the context."""
    return sum(map(Fraction, amounts), Fraction(0))
