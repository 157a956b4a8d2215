"""What an account holds of one instrument, and what its trades made of it."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from trader.booking.fees import money
from trader.booking.lots import NOTHING, Lot, Lots, Match, OldestFirst, Selected, Selection, Worth, lots_of, per_unit
from trader.booking.numbers import ONE, ZERO, exact, in_base, plain, total

# Lots of one position beyond so many wait for their turn at rest.
MOST_AWAKE = 10_000


class Rules(NamedTuple):
    """By which rules an account's trades in an instrument are counted.

    `qty_increment`: a closing trade that leaves less than half of it, on either side of zero, closes all.
    """

    method: str
    fee_policy: str
    allow_short: bool
    qty_increment: Decimal


class Fill(NamedTuple):
    """A trade as it counts: its last report's figures, at the time of its first; `trade` is its key.

    `quantity`, `gross` and `fees` are those of `fees.counted`, in the instrument's currency. `other_fees` were paid in
    another one, and are None where no rate is known. `rate` is the base currency per unit of the instrument's.
    """

    trade: str
    at: datetime
    trade_date: date
    sign: int
    quantity: Decimal
    gross: Decimal
    fees: Decimal
    other_fees: Decimal | None = ZERO
    rate: Decimal | None = ONE
    other_fees_base: Decimal | None = ZERO
    selections: tuple[Selection, ...] = ()


class Split(NamedTuple):
    ex_date: date
    numerator: int
    denominator: int


class Charges(NamedTuple):
    """Fees, and those of them that neither cost nor proceeds count; None where a rate is missing."""

    all: Decimal | None = ZERO
    expensed: Decimal | None = ZERO
    all_base: Decimal | None = ZERO
    expensed_base: Decimal | None = ZERO


class Oversold(ValueError):
    """An account without short sales never holds less than nothing."""

    def __init__(self, fill: Fill, missing: Decimal) -> None:
        super().__init__(f"A sale of {plain(fill.quantity)} is {plain(missing)} more than the account holds.")
        self.trade = fill.trade
        self.missing = missing


class LotsExceeded(ValueError):
    """A selection takes no more from a lot than it holds, and no more from all of them than is closed."""

    def __init__(self, fill: Fill, message: str) -> None:
        super().__init__(message)
        self.trade = fill.trade


class Holding:
    """The state after some fills; quantities and costs are positive, `sign` says long (1), short (-1) or flat (0).

    `matches` gathers what closing fills did and `closed` the lots that they used up, for the caller to take away.
    Figures that a rate is missing for are None.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.sign = 0
        self.quantity = ZERO
        # Of the lots that a rate is known for, where it comes to the base currency.
        self.cost = NOTHING
        self.unrated_lots = 0
        self.lots: Lots = OldestFirst()
        self.charges = Charges()
        self.realized_pnl = ZERO
        self.realized_pnl_base: Decimal | None = ZERO
        self.matches: list[Match] = []
        self.closed: list[Lot] = []
        self._pooled = rules.method == "AVERAGE"
        self._dust = rules.qty_increment / 2

    @property
    def cost_base(self) -> Decimal | None:
        return None if self.unrated_lots else self.cost.base

    def record(self, fill: Fill) -> Lot | None:
        """Count one fill; returns the lot that it opened. Oversold and LotsExceeded leave the state undefined."""
        with exact():
            return self._record(fill)

    def replay(self, fills: Iterable[Fill], splits: Iterable[Split]) -> Iterator[Fill]:
        """Count fills, in their order, and each split before the first fill of its ex-date; yields each counted fill.

        Splits after the last fill are left to `split`.
        """
        pending = sorted(splits, reverse=True)
        for fill in fills:
            while pending and pending[-1].ex_date <= fill.trade_date:
                self.split(pending.pop())
            self.record(fill)
            yield fill

    def open_lots(self) -> Iterator[Lot]:
        """Those that something remains of; of many, each rests again once the next one is asked for."""
        for lot in self.lots:
            if lot.remaining:
                yield lot
            self._let_rest(lot)

    def split(self, split: Split) -> None:
        with exact():
            quantity = ZERO
            for lot in self.open_lots():
                lot.split(split.numerator, split.denominator)
                quantity += lot.remaining
            self.lots.reorder()
            self.quantity = quantity

    def _record(self, fill: Fill) -> Lot | None:
        amount = money(self.rules.fee_policy, fill.sign, fill.gross, fill.fees)
        worth = Worth(amount, fill.gross, in_base(amount, fill.rate))
        if fill.fees or fill.other_fees != ZERO or fill.other_fees_base != ZERO:
            self._charge(fill, expensed=fill.fees if amount == fill.gross else ZERO)
        if fill.sign != -self.sign:
            self._check_selections(fill, ZERO)
            return self._open(fill, fill.quantity, worth)
        rest = fill.quantity - self.quantity
        if rest < self._dust:
            self._close(fill, fill.quantity if rest <= -self._dust else self.quantity, worth)
            return None
        closing = worth.part(self.quantity, fill.quantity)
        self._close(fill, self.quantity, closing)
        return self._open(fill, rest, worth.less(closing))

    def _charge(self, fill: Fill, *, expensed: Decimal) -> None:
        """Count its fees, and which of them stand outside the money that it counts with."""
        fees, base = self.charges, in_base(expensed, fill.rate)
        self.charges = Charges(
            total(fees.all, fill.fees, fill.other_fees),
            total(fees.expensed, expensed, fill.other_fees),
            total(fees.all_base, in_base(fill.fees, fill.rate), fill.other_fees_base),
            total(fees.expensed_base, base, fill.other_fees_base),
        )

    def _open(self, fill: Fill, quantity: Decimal, worth: Worth) -> Lot:
        if not self.sign:
            self.sign = fill.sign
            self.lots = lots_of(self.rules.method, fill.sign)
        if self.sign < 0 and not self.rules.allow_short:
            raise Oversold(fill, quantity)
        if self._pooled:
            lot = Lot(fill.trade, fill.at, quantity, None, per_unit(worth, quantity))
        else:
            lot = Lot(fill.trade, fill.at, quantity, worth)
        self.lots.push(lot)
        self.quantity += quantity
        if worth.base is None:
            self.unrated_lots += 1
        self.cost = self.cost.plus(worth)
        self._let_rest(lot)
        return lot

    def _let_rest(self, lot: Lot) -> None:
        if len(self.lots) > MOST_AWAKE:
            lot.rest()

    def _close(self, fill: Fill, quantity: Decimal, worth: Worth) -> None:
        """Close lots of so many units together; the last of them takes what rounding left of the worth."""
        self._check_selections(fill, quantity)
        for lot, most in self.lots.picks(fill.selections):
            taken = min(most, quantity)
            part = worth.part(taken, quantity)
            self._match(fill, lot, taken, part)
            quantity, worth = quantity - taken, worth.less(part)
            if not quantity:
                break
        if not self.quantity:
            self.sign = self.unrated_lots = 0
            self.cost = NOTHING

    def _check_selections(self, fill: Fill, closed: Decimal) -> None:
        if self.rules.method == "SPECIFIC" and sum(part for _, part in fill.selections) > closed:
            raise LotsExceeded(fill, f"More is selected than the {plain(closed)} units that are closed.")
        if isinstance(self.lots, Selected):
            for trade, quantity in fill.selections:
                if (held := self.lots.held(trade)) < quantity:
                    message = f"{plain(quantity)} units are selected of a lot that holds {plain(held)}."
                    raise LotsExceeded(fill, message)

    def _match(self, fill: Fill, lot: Lot, taken: Decimal, proceeds: Worth) -> None:
        cost = self._take_cost(lot, taken)
        if self.sign < 0:
            proceeds, cost = cost, proceeds
        opened = lot.take(taken)
        self.quantity -= taken
        self.matches.append(Match(lot.trade, fill.trade, taken, opened, proceeds, cost, lot.acquired_at, fill.at))
        self.realized_pnl += proceeds.amount - cost.amount
        self.realized_pnl_base = total(self.realized_pnl_base, proceeds.base, None if cost.base is None else -cost.base)
        if not lot.remaining:
            self.closed.append(lot)

    def _take_cost(self, lot: Lot, taken: Decimal) -> Worth:
        """Take the cost of so many units from their lot, or from the pool."""
        if lot.cost is None:
            part = self.cost.part(taken, self.quantity)
            part = part._replace(base=None) if self.unrated_lots else part
        else:
            part = lot.cost.part(taken, lot.remaining)
            lot.spend(part)
            self.unrated_lots -= part.base is None and taken == lot.remaining
        self.cost = self.cost.less(part)
        return part
