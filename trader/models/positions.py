"""What is derived from the executions: positions, lots and what closed them. `rebuild_positions` writes them anew.

They stand as they were after the position's last execution; splits since then are applied by who reads. Their
references to executions are not enforced: an execution is never deleted, and millions of rows are written at once.
"""

from django.db import models
from django.db.models import F, Q

from trader.booking.holding import Charges, Holding, Rules
from trader.booking.lots import Lot, Lots, Worth
from trader.booking.numbers import ZERO, exact, plain
from trader.models.accounts import Account
from trader.models.numbers import not_negative, positive
from trader.models.orders import Execution
from trader.models.reference import Instrument


class Position(models.Model):
    """What an account holds of an instrument. Quantity and cost are negative when short.

    `cost` counts fees as the account's policy says, `gross` leaves them out. Figures in the base currency, and fees
    that were paid in a third one, are null where a rate is not known.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    quantity = models.DecimalField(max_digits=36, decimal_places=18, default=0)
    cost = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    gross = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    realized_pnl = models.DecimalField("realized P&L", max_digits=38, decimal_places=18, default=0)
    fees = models.DecimalField(max_digits=38, decimal_places=18, null=True, default=0)
    fees_expensed = models.DecimalField(max_digits=38, decimal_places=18, null=True, default=0)
    # Of the open lots that a rate is known for, and how many it is not known for.
    rated_cost_base = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    unrated_lots = models.IntegerField(default=0)
    realized_pnl_base = models.DecimalField(max_digits=38, decimal_places=18, null=True, default=0)
    fees_base = models.DecimalField(max_digits=38, decimal_places=18, null=True, default=0)
    fees_expensed_base = models.DecimalField(max_digits=38, decimal_places=18, null=True, default=0)
    as_of_execution = models.ForeignKey(
        Execution, on_delete=models.PROTECT, db_index=False, null=True, related_name="+", db_constraint=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "instrument"], name="trader_position_account_instrument_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.instrument}"

    def restored(self, rules: Rules, lots: Lots) -> Holding:
        """The holding as it was after the last execution, with these of its open lots, in the order of their going."""
        holding = Holding(rules)
        holding.sign = sign = (self.quantity > 0) - (self.quantity < 0)
        with exact():
            holding.quantity = sign * self.quantity
            # Not abs(): rebates may bring a cost below nothing.
            holding.cost = Worth(sign * self.cost, sign * self.gross, sign * self.rated_cost_base)
        holding.unrated_lots = self.unrated_lots
        holding.lots = lots
        holding.charges = Charges(self.fees, self.fees_expensed, self.fees_base, self.fees_expensed_base)
        holding.realized_pnl = self.realized_pnl
        holding.realized_pnl_base = self.realized_pnl_base
        return holding

    def take_over(self, holding: Holding, as_of: str | None) -> None:
        """Say what the holding says after that trade; not saved."""
        sign, cost = holding.sign, holding.cost
        with exact():
            self.quantity = sign * holding.quantity
            self.cost, self.gross = sign * cost.amount, sign * cost.gross
            self.rated_cost_base = sign * (cost.base or ZERO)
        self.unrated_lots = holding.unrated_lots
        self.fees, self.fees_expensed, self.fees_base, self.fees_expensed_base = holding.charges
        self.realized_pnl = holding.realized_pnl
        self.realized_pnl_base = holding.realized_pnl_base
        self.as_of_execution_id = as_of


class TaxLot(models.Model):
    """What one trade opened. `quantity` and what is `unclosed` of it are in the units of that day, `remaining` in those
    of the position: they part when there is a split.

    With average cost, the cost of what remains stands in the position's one pool, and is null here.
    """

    position = models.ForeignKey(Position, on_delete=models.CASCADE, db_index=False, related_name="lots")
    trade = models.ForeignKey(
        Execution, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    acquired_at = models.DateTimeField()
    quantity = models.DecimalField(max_digits=36, decimal_places=18)
    unclosed = models.DecimalField(max_digits=36, decimal_places=18)
    remaining = models.DecimalField(max_digits=36, decimal_places=18)
    unit_cost = models.DecimalField(max_digits=38, decimal_places=18)
    cost = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    gross = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    cost_base = models.DecimalField(max_digits=38, decimal_places=18, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["position", "trade"], name="trader_taxlot_position_trade_unique"),
            models.CheckConstraint(
                condition=positive("quantity") & not_negative("remaining"), name="trader_taxlot_quantity_check"
            ),
        ]
        indexes = [
            models.Index(
                fields=["position", "acquired_at", "trade"],
                condition=Q(remaining__gt=0),
                name="trader_taxlot_open_index",
            ),
        ]

    def __str__(self) -> str:
        return f"{plain(self.remaining)} of {self.acquired_at:%Y-%m-%d}"

    def restored(self) -> Lot:
        cost = None if self.cost is None or self.gross is None else Worth(self.cost, self.gross, self.cost_base)
        lot = Lot(str(self.trade_id), self.acquired_at, self.quantity, cost, self.unit_cost)
        lot.unclosed, lot.remaining = self.unclosed, self.remaining
        return lot


class LotMatch(models.Model):
    """The part of a lot that one trade closed. `quantity` is in the units of the closing trade's day,
    `opened_quantity` in those of the lot's."""

    position = models.ForeignKey(Position, on_delete=models.CASCADE, db_index=False, related_name="matches")
    opening_trade = models.ForeignKey(
        Execution, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    closing_trade = models.ForeignKey(
        Execution, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    quantity = models.DecimalField(max_digits=36, decimal_places=18)
    opened_quantity = models.DecimalField(max_digits=36, decimal_places=18)
    proceeds = models.DecimalField(max_digits=38, decimal_places=18)
    cost = models.DecimalField(max_digits=38, decimal_places=18)
    realized_pnl = models.GeneratedField(
        expression=F("proceeds") - F("cost"),
        output_field=models.DecimalField("realized P&L", max_digits=38, decimal_places=18),
        db_persist=True,
    )
    gross_proceeds = models.DecimalField(max_digits=38, decimal_places=18)
    gross_cost = models.DecimalField(max_digits=38, decimal_places=18)
    proceeds_base = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    cost_base = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    realized_pnl_base = models.GeneratedField(
        expression=F("proceeds_base") - F("cost_base"),
        output_field=models.DecimalField("realized P&L in base currency", max_digits=38, decimal_places=18, null=True),
        db_persist=True,
    )

    class Meta:
        verbose_name_plural = "lot matches"
        constraints = [
            models.CheckConstraint(
                condition=not_negative("quantity") & not_negative("opened_quantity"),
                name="trader_lotmatch_quantity_check",
            ),
        ]
        indexes = [
            models.Index(fields=["position", "opening_trade"], name="trader_lotmatch_opening_index"),
            models.Index(fields=["position", "closing_trade"], name="trader_lotmatch_closing_index"),
        ]

    def __str__(self) -> str:
        return f"{plain(self.quantity)} of {self.opening_trade}"
