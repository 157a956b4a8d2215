"""What holds for every history of trades and splits. Sums are fractions, which round nowhere."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from tests.trader.booking.histories import (
    METHODS,
    POLICIES,
    RATIOS,
    START,
    WHOLE_RATIOS,
    History,
    Ratio,
    Standing,
    Turn,
    histories,
    open_lots,
    signed,
    state,
    summed,
)
from trader.booking.fees import BUY
from trader.booking.holding import Fill, Holding, Split
from trader.booking.lots import Worth
from trader.booking.numbers import PLACE, ZERO, exact

IDENTIFIED = ("FIFO", "LIFO", "HIFO", "SPECIFIC")
RATED = ("own", "known")
LAST_PLACE = Fraction(PLACE)
Number = Decimal | Fraction
AFTERWARDS = START + timedelta(days=99)


class Sum(NamedTuple):
    """Worths together; `base` is None as soon as one of them is not known there."""

    amount: Fraction = Fraction(0)
    gross: Fraction = Fraction(0)
    base: Fraction | None = Fraction(0)

    def plus(self, worth: Worth | None, times: int = 1) -> "Sum":
        assert worth, "a lot of a pool has no worth of its own"
        base = None if self.base is None or worth.base is None else self.base + times * Fraction(worth.base)
        return Sum(self.amount + times * Fraction(worth.amount), self.gross + times * Fraction(worth.gross), base)


def together(worths: Iterable[Worth | None]) -> Sum:
    result = Sum()
    for worth in worths:
        result = result.plus(worth)
    return result


def worth_of(policy: str, fill: Fill) -> Worth:
    """What a trade counts with."""
    with exact():
        in_money = {"EXPENSED": ZERO, "IN_COST": fill.fees, "BUY_IN_COST": fill.fees if fill.sign == BUY else ZERO}
        amount = fill.gross + fill.sign * in_money[policy]
        if fill.rate is None:
            return Worth(amount, fill.gross, None if amount else ZERO)
        return Worth(amount, fill.gross, (amount * fill.rate).quantize(PLACE, ROUND_HALF_EVEN))


def taken(turn: Turn) -> list[tuple[str, Fraction]]:
    return [(match.opening_trade, Fraction(match.quantity)) for match in turn.matches]


def leaving(lots: list[Standing], turn: Turn) -> Iterator[tuple[str, Fraction]]:
    """Of which lots the trade closes how much, if they go in this order after those that it selects."""
    wanted = [*turn.fill.selections, *((lot.trade, lot.remaining) for lot in lots)]
    after = signed(turn.holding)
    left = abs(turn.before) if turn.before * after <= 0 else max(Fraction(0), abs(turn.before) - abs(after))
    remaining = {lot.trade: Fraction(lot.remaining) for lot in turn.lots}
    for trade, most in wanted:
        part = min(left, Fraction(most), remaining[trade])
        left, remaining[trade] = left - part, remaining[trade] - part
        if part:
            yield trade, part


def known(amounts: Iterable[Decimal | None]) -> Fraction | None:
    """The sum, if all are."""
    listed = list(amounts)
    return None if None in listed else summed(amount for amount in listed if amount is not None)


def net_result(sign: int, realized: Decimal | None, cost: Decimal | None, expensed: Decimal | None) -> Fraction | None:
    """Without the market value, which is the same for all."""
    if realized is None or cost is None or expensed is None:
        return None
    return Fraction(realized) - sign * Fraction(cost) - Fraction(expensed)


def is_near(amount: Number | None, other: Number | None, rounded: int) -> bool:
    """Equal, up to so many roundings at the last place; or both not known."""
    if amount is None or other is None:
        return amount is other
    return abs(Fraction(amount) - Fraction(other)) <= rounded * LAST_PLACE


def is_part(worth: Worth, ratio: Fraction, whole: Worth | None, rounded: int) -> bool:
    assert whole, "a lot of a pool has no worth of its own"
    parts = [None if amount is None else Fraction(amount) * ratio for amount in whole]
    return all(is_near(amount, part, rounded) for amount, part in zip(worth, parts, strict=True))


def is_kept(quantity: Fraction) -> bool:
    """It has no more places than a quantity is kept with."""
    return (quantity / LAST_PLACE).denominator == 1


@given(histories())
def test_a_trade_moves_the_position_by_its_quantity(history: History) -> None:
    """To the last digit; except that a reducing one that leaves less than half an increment leaves nothing."""
    dust = Fraction(history.rules.qty_increment) / 2
    for turn in history.turns():
        rest = turn.before + turn.fill.sign * Fraction(turn.fill.quantity)
        closes = turn.before * turn.fill.sign < 0 and abs(rest) < dust

        assert signed(turn.holding) == (0 if closes else rest)
        assert turn.holding.quantity == summed(lot.remaining for lot in open_lots(turn.holding))


@given(histories())
def test_quantities_are_conserved_through_splits(history: History) -> None:
    """To the last digit, as long as no split divides a lot beyond it: each that does rounds by one at most."""
    holding, expected, rounded = Holding(history.rules), Fraction(0), Fraction(0)
    for event in history.events:
        if isinstance(event, Split):
            ratio = Fraction(event.numerator, event.denominator)
            divided = sum(not is_kept(Fraction(lot.remaining) * ratio) for lot in open_lots(holding))
            expected, rounded = expected * ratio, rounded * ratio + divided * LAST_PLACE
            holding.split(event)
        else:
            expected += event.sign * Fraction(event.quantity)
            holding.record(event)
            if not holding.sign:
                expected = rounded = Fraction(0)

        assert abs(signed(holding) - expected) <= rounded


@given(histories(methods=("FIFO", "LIFO", "AVERAGE", "SPECIFIC")))
def test_lots_leave_by_their_age_or_as_selected(history: History) -> None:
    for turn in history.turns():
        lots = turn.lots[::-1] if history.rules.method == "LIFO" else turn.lots

        assert taken(turn) == list(leaving(lots, turn))


@given(histories(methods=("HIFO",)))
def test_the_dearest_lot_leaves_first_and_of_short_ones_the_cheapest(history: History) -> None:
    for turn in history.turns():
        lots = sorted(turn.lots, key=lambda lot: Fraction(lot.unit_cost), reverse=turn.before > 0)

        assert taken(turn) == list(leaving(lots, turn))


@given(histories(methods=IDENTIFIED))
def test_a_trade_counts_with_all_of_its_money(history: History) -> None:
    for turn in history.turns():
        closing = [turn.sides(match)[0] for match in turn.matches]
        opening = [turn.opened.cost] if turn.opened else []

        assert together(closing + opening) == together([worth_of(history.rules.fee_policy, turn.fill)])


@given(histories(methods=IDENTIFIED))
def test_a_match_has_its_share_of_the_trade_and_of_the_lot(history: History) -> None:
    """Up to the last place, at which each match of a trade rounds what is left to the next."""
    for turn in history.turns():
        lots = {lot.trade: lot for lot in turn.lots}
        closed = summed(match.quantity for match in turn.matches)
        whole = Fraction(turn.fill.quantity) if turn.opened else closed
        for match in turn.matches:
            lot, quantity, rounded = lots[match.opening_trade], Fraction(match.quantity), len(turn.matches)
            of_trade, of_lot = turn.sides(match)
            assert is_part(of_trade, quantity / whole, worth_of(history.rules.fee_policy, turn.fill), rounded)
            assert is_part(of_lot, quantity / Fraction(lot.remaining), lot.cost, rounded)


@given(histories(methods=IDENTIFIED))
def test_a_lot_gives_all_that_it_held_and_no_more(history: History) -> None:
    holding, opened = Holding(history.rules), dict[str, Worth | None]()
    gave = defaultdict[str, list[tuple[Decimal, Worth | None]]](list)
    for turn in history.turns():
        holding = turn.holding
        if turn.opened:
            opened[turn.fill.trade] = turn.opened.cost
        for match in turn.matches:
            assert match.quantity > 0
            gave[match.opening_trade].append((match.opened_quantity, turn.sides(match)[1]))

    for lot in holding.closed + open_lots(holding):
        quantities, worths = zip(*gave[lot.trade], (lot.unclosed, lot.cost), strict=True)
        assert summed(quantities) == lot.quantity
        assert min(quantities) >= 0
        assert together(worths) == together([opened[lot.trade]])
        assert lot.remaining or not lot.unclosed


@given(histories(rates=RATED))
def test_money_is_conserved(history: History) -> None:
    """What all trades brought in is what was realized, less what is still bound."""
    received = Sum()
    for fill in history.fills:
        received = received.plus(worth_of(history.rules.fee_policy, fill), -fill.sign)

    holding = history.held()

    realized = Sum()
    for match in holding.matches:
        realized = realized.plus(match.proceeds).plus(match.cost, -1)
    assert realized.plus(holding.cost, -holding.sign) == received
    assert realized.amount == holding.realized_pnl
    assert realized.base == holding.realized_pnl_base
    if history.rules.method != "AVERAGE":
        assert together(lot.cost for lot in open_lots(holding)) == together([holding.cost])


@given(histories(methods=("AVERAGE",)))
def test_a_closing_trade_leaves_the_average_as_it_was(history: History) -> None:
    for turn in history.turns():
        after = signed(turn.holding)
        if turn.matches and after * turn.before > 0:
            for was, left in zip(turn.cost[:2], turn.holding.cost[:2], strict=True):
                assert is_near(left, Fraction(was) * after / turn.before, len(turn.matches))


@given(histories(methods=("AVERAGE",)))
def test_quantities_leave_a_pool_as_they_leave_first_in_first_out(history: History) -> None:
    pooled, identified = history.held(), history.held(history.rules._replace(method="FIFO"))

    assert [match[:4] for match in pooled.matches] == [match[:4] for match in identified.matches]


@given(histories(ratios=WHOLE_RATIOS))
def test_when_all_is_sold_each_method_has_realized_the_same(history: History) -> None:
    held = history.held()
    gross, fees = Decimal("1234567.890123456789012345"), Decimal("7.7")
    sold = Fill("T99", AFTERWARDS, AFTERWARDS.date(), -held.sign, held.quantity, gross, fees)
    history = History(history.rules, [*history.events, *([sold] if held.sign else [])])

    results = [history.held(history.rules._replace(method=method)) for method in METHODS]

    assert {result.quantity for result in results} == {0}
    assert len({(result.realized_pnl, result.realized_pnl_base) for result in results}) == 1


@given(histories())
def test_the_net_result_is_the_same_under_each_policy(history: History) -> None:
    fees = known([*(fill.fees for fill in history.fills), *(fill.other_fees for fill in history.fills)])
    received = sum(-fill.sign * Fraction(fill.gross) for fill in history.fills)

    for policy in POLICIES:
        holding = history.held(history.rules._replace(allow_short=True, fee_policy=policy))

        assert holding.charges.all == fees
        net = net_result(holding.sign, holding.realized_pnl, holding.cost.amount, holding.charges.expensed)
        assert net == (None if fees is None else received - fees)


@given(histories(rates=RATED))
def test_the_net_result_in_base_currency_is_the_same_under_each_policy(history: History) -> None:
    """Up to the last place, at which each trade's money and fees are rounded on their own."""
    others = known(fill.other_fees_base for fill in history.fills)
    rates = [Fraction(fill.rate or 0) for fill in history.fills]
    own = sum(Fraction(fill.fees) * rate for fill, rate in zip(history.fills, rates, strict=True))
    received = sum(-fill.sign * Fraction(fill.gross) * rate for fill, rate in zip(history.fills, rates, strict=True))
    fees = None if others is None else own + others

    for policy in POLICIES:
        holding = history.held(history.rules._replace(allow_short=True, fee_policy=policy))

        charges = holding.charges
        net = net_result(holding.sign, holding.realized_pnl_base, holding.cost_base, charges.expensed_base)
        assert is_near(charges.all_base, fees, len(history.fills))
        assert is_near(net, None if fees is None else received - fees, len(history.fills))


@given(histories(rates=("some",)))
def test_what_a_rate_is_missing_for_is_not_known(history: History) -> None:
    """A result without one of either trade; what is open without one of what opened it; a pool until it is flat."""
    pooled, opened, hidden = history.rules.method == "AVERAGE", set[str](), False
    unknown = {fill.trade for fill in history.fills if worth_of(history.rules.fee_policy, fill).base is None}
    for turn in history.turns():
        holding = turn.holding
        for match in turn.matches:
            origins = opened if pooled else {match.opening_trade}
            hidden = hidden or bool((origins | {turn.fill.trade}) & unknown)
            of_trade, of_lot = turn.sides(match)
            assert (of_trade.base is None) == (turn.fill.trade in unknown)
            assert (of_lot.base is None) == bool(origins & unknown)
        if turn.before * signed(holding) <= 0:
            opened = set()
        opened |= {turn.fill.trade} if turn.opened else set()
        standing = opened if pooled else {lot.trade for lot in open_lots(holding)}

        assert (holding.cost_base is None) == bool(standing & unknown)
        assert (holding.realized_pnl_base is None) == hidden


@given(histories(), st.sampled_from(RATIOS))
def test_a_split_and_its_contrary_change_nothing(history: History, ratio: Ratio) -> None:
    """The cost by neither of them; quantities as long as the first does not divide them beyond the last place."""
    holding = history.held()
    cost, before = holding.cost, [(lot, Fraction(lot.remaining), lot.cost) for lot in open_lots(holding)]

    holding.split(Split(AFTERWARDS.date(), *ratio))
    between = [lot.remaining for lot, *_ in before]
    holding.split(Split(AFTERWARDS.date(), *ratio[::-1]))

    for (lot, remaining, worth), split in zip(before, between, strict=True):
        exactly = remaining * Fraction(*ratio)
        assert lot.cost == worth
        assert abs(Fraction(split) - exactly) <= LAST_PLACE * (not is_kept(exactly))
        assert lot.remaining == remaining or not is_kept(exactly)
    assert holding.cost == cost
    assert holding.quantity == summed(lot.remaining for lot in open_lots(holding))


@given(history=histories())
def test_lots_that_rest_between_trades_change_nothing(history: History) -> None:
    awake = state(history.held())

    with patch("trader.booking.holding.MOST_AWAKE", -1):
        assert state(history.held()) == awake
