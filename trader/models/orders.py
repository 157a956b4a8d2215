"""Orders, and what became of them: executions, which are facts and never change."""

from decimal import Decimal

from django.db import models
from django.db.models import Case, F, Q, Value, When

from trader.booking.numbers import plain
from trader.models.accounts import Account
from trader.models.dates import OUT_OF_BOUNDS, dates_within_bounds, times_within_bounds
from trader.models.imports import ImportRow
from trader.models.keys import uuid7
from trader.models.numbers import a_number, not_negative, positive
from trader.models.reference import Currency, Instrument


class Side(models.TextChoices):
    """FIX Side(54), by its words."""

    BUY = "BUY", "Buy"
    SELL = "SELL", "Sell"
    SELL_SHORT = "SELL_SHORT", "Sell short"


class Order(models.Model):
    """One order to one broker. A replace is a new order that names its predecessor."""

    class OrdType(models.TextChoices):
        """FIX OrdType(40), by its words."""

        MARKET = "MARKET", "Market"
        LIMIT = "LIMIT", "Limit"
        STOP = "STOP", "Stop"
        STOP_LIMIT = "STOP_LIMIT", "Stop limit"

    class TimeInForce(models.TextChoices):
        """FIX TimeInForce(59), by its words."""

        DAY = "DAY", "Day"
        GTC = "GTC", "Good till cancel"
        IOC = "IOC", "Immediate or cancel"
        FOK = "FOK", "Fill or kill"
        GTD = "GTD", "Good till date"

    class Lifecycle(models.TextChoices):
        """What has been agreed about the order, its fills left aside; FIX OrdStatus(39)."""

        PENDING_NEW = "A", "Pending new"
        NEW = "0", "New"
        DONE_FOR_DAY = "3", "Done for day"
        CANCELED = "4", "Canceled"
        REPLACED = "5", "Replaced"
        PENDING_CANCEL = "6", "Pending cancel"
        REJECTED = "8", "Rejected"
        SUSPENDED = "9", "Suspended"
        EXPIRED = "C", "Expired"
        PENDING_REPLACE = "E", "Pending replace"

    class OrdStatus(models.TextChoices):
        """FIX OrdStatus(39): the lifecycle, and the fills where they weigh more."""

        PENDING_NEW = "A", "Pending new"
        NEW = "0", "New"
        PARTIALLY_FILLED = "1", "Partially filled"
        FILLED = "2", "Filled"
        DONE_FOR_DAY = "3", "Done for day"
        CANCELED = "4", "Canceled"
        REPLACED = "5", "Replaced"
        PENDING_CANCEL = "6", "Pending cancel"
        REJECTED = "8", "Rejected"
        SUSPENDED = "9", "Suspended"
        EXPIRED = "C", "Expired"
        PENDING_REPLACE = "E", "Pending replace"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    cl_ord_id = models.CharField("ClOrdID", max_length=64)
    orig_order = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="successors")
    side = models.CharField(max_length=10, choices=Side)
    ord_type = models.CharField("type", max_length=10, choices=OrdType)
    time_in_force = models.CharField(max_length=3, choices=TimeInForce, default=TimeInForce.DAY)
    order_qty = models.DecimalField("quantity", max_digits=36, decimal_places=18)
    price = models.DecimalField("limit price", max_digits=28, decimal_places=12, null=True, blank=True)
    stop_px = models.DecimalField("stop price", max_digits=28, decimal_places=12, null=True, blank=True)
    expire_time = models.DateTimeField(null=True, blank=True)
    lifecycle = models.CharField(max_length=1, choices=Lifecycle, default=Lifecycle.PENDING_NEW)
    transact_time = models.DateTimeField()
    # Written by the trigger of the order's executions, and by nothing else.
    cum_qty = models.DecimalField("filled", max_digits=36, decimal_places=18, default=0, editable=False)
    avg_px = models.DecimalField("average price", max_digits=38, decimal_places=18, default=0, editable=False)
    notional = models.DecimalField(max_digits=38, decimal_places=18, default=0, editable=False)
    ord_status = models.GeneratedField(
        expression=Case(
            When(lifecycle__in=["6", "E", "3"], then=F("lifecycle")),
            When(cum_qty=F("order_qty"), then=Value("2")),
            When(lifecycle__in=["9", "4", "5", "8", "C"], then=F("lifecycle")),
            When(cum_qty__gt=0, then=Value("1")),
            default=F("lifecycle"),
        ),
        output_field=models.CharField("status", max_length=1, choices=OrdStatus),
        db_persist=True,
    )
    leaves_qty = models.GeneratedField(
        expression=Case(
            When(lifecycle__in=["3", "4", "5", "8", "C"], then=Value(Decimal(0))),
            default=F("order_qty") - F("cum_qty"),
        ),
        output_field=models.DecimalField("open quantity", max_digits=36, decimal_places=18),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "cl_ord_id"], name="trader_order_account_cl_ord_id_unique"),
            models.CheckConstraint(condition=Q(side__in=Side.values), name="trader_order_side_check"),
            models.CheckConstraint(
                condition=Q(ord_type__in=["MARKET", "LIMIT", "STOP", "STOP_LIMIT"]), name="trader_order_ord_type_check"
            ),
            models.CheckConstraint(
                condition=Q(time_in_force__in=["DAY", "GTC", "IOC", "FOK", "GTD"]),
                name="trader_order_time_in_force_check",
            ),
            models.CheckConstraint(
                condition=Q(lifecycle__in=["A", "0", "3", "4", "5", "6", "8", "9", "C", "E"]),
                name="trader_order_lifecycle_check",
            ),
            models.CheckConstraint(
                condition=positive("order_qty"),
                name="trader_order_order_qty_check",
                violation_error_message="A quantity is positive.",
            ),
            models.CheckConstraint(
                condition=Q(ord_type__in=["LIMIT", "STOP_LIMIT"], price__isnull=False)
                | Q(~Q(ord_type__in=["LIMIT", "STOP_LIMIT"]), price__isnull=True),
                name="trader_order_ord_type_price_check",
                violation_error_message="A limit order has a limit price, any other has none.",
            ),
            models.CheckConstraint(
                condition=Q(ord_type__in=["STOP", "STOP_LIMIT"], stop_px__isnull=False)
                | Q(~Q(ord_type__in=["STOP", "STOP_LIMIT"]), stop_px__isnull=True),
                name="trader_order_ord_type_stop_px_check",
                violation_error_message="A stop order has a stop price, any other has none.",
            ),
            models.CheckConstraint(
                condition=Q(time_in_force="GTD", expire_time__isnull=False)
                | Q(~Q(time_in_force="GTD"), expire_time__isnull=True),
                name="trader_order_time_in_force_expire_time_check",
                violation_error_message="An order good till date has an expiry, any other has none.",
            ),
            models.CheckConstraint(
                condition=not_negative("price"),
                name="trader_order_price_check",
                violation_error_message="A price is zero or more.",
            ),
            models.CheckConstraint(
                condition=not_negative("stop_px"),
                name="trader_order_stop_px_check",
                violation_error_message="A price is zero or more.",
            ),
            models.CheckConstraint(
                condition=Q(cum_qty__gte=0, cum_qty__lte=F("order_qty")),
                name="trader_order_cum_qty_check",
                violation_error_message="An order is not filled beyond its quantity.",
            ),
            models.CheckConstraint(
                condition=~Q(lifecycle="8") | Q(cum_qty=0),
                name="trader_order_lifecycle_cum_qty_check",
                violation_error_message="A rejected order has no fill.",
            ),
            models.CheckConstraint(
                condition=times_within_bounds("expire_time", "transact_time"),
                name="trader_order_dates_check",
                violation_error_message=OUT_OF_BOUNDS,
            ),
        ]
        indexes = [
            models.Index(fields=["account", "id"], condition=Q(leaves_qty__gt=0), name="trader_order_open_index"),
        ]

    # FIX's order state changes; 4, 5, 8 and C end an order.
    STEPS = {"A": "0468CE", "0": "345689CE", "6": "04CE", "E": "0456C", "9": "046C", "3": "04C"}

    def __str__(self) -> str:
        return self.cl_ord_id

    @property
    def next_states(self) -> "list[Order.Lifecycle]":
        """What the order's lifecycle may become; nothing where it has ended."""
        return [self.Lifecycle(state) for state in self.STEPS.get(self.lifecycle, "")]


class OrderEvent(models.Model):
    """A step of an order's life, a fact: who asked for it, when, and what was said."""

    class ExecType(models.TextChoices):
        """FIX ExecType(150)."""

        PENDING_NEW = "A", "Pending new"
        NEW = "0", "New"
        DONE_FOR_DAY = "3", "Done for day"
        CANCELED = "4", "Canceled"
        REPLACED = "5", "Replaced"
        PENDING_CANCEL = "6", "Pending cancel"
        REJECTED = "8", "Rejected"
        SUSPENDED = "9", "Suspended"
        EXPIRED = "C", "Expired"
        PENDING_REPLACE = "E", "Pending replace"
        TRADE = "F", "Trade"
        TRADE_CORRECT = "G", "Trade correct"
        TRADE_CANCEL = "H", "Trade cancel"

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    exec_type = models.CharField(max_length=1, choices=ExecType)
    actor = models.CharField(max_length=254)
    at = models.DateTimeField()
    payload = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(exec_type__in=["A", "0", "3", "4", "5", "6", "8", "9", "C", "E", "F", "G", "H"]),
                name="trader_orderevent_exec_type_check",
            ),
            models.CheckConstraint(
                condition=times_within_bounds("at"),
                name="trader_orderevent_at_check",
                violation_error_message=OUT_OF_BOUNDS,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order} {self.get_exec_type_display()}"


class Execution(models.Model):
    """One report of a trade, a fact: the trade itself (F), what corrects it (G) or takes it back (H).

    The reports of one trade are a chain by `exec_ref`; `trade` is its first one. A trade counts as its chain's last
    report says, at the time and the place in line of its first.

    What the rules of the book's facts look up and lock anyway, and let nobody delete, has no foreign key that would
    look it up once more for each row.
    """

    class ExecType(models.TextChoices):
        """FIX ExecType(150), as far as it moves quantities."""

        TRADE = "F", "Trade"
        TRADE_CORRECT = "G", "Trade correct"
        TRADE_CANCEL = "H", "Trade cancel"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="executions")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_constraint=False)
    source = models.CharField(max_length=32, help_text="Who numbers its ExecIDs: the broker, or manual.")
    exec_id = models.CharField("ExecID", max_length=128)
    exec_type = models.CharField("type", max_length=1, choices=ExecType, default=ExecType.TRADE)
    exec_ref = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="successor")
    # Filled in by the database: the chain's first report, this row itself for a trade.
    trade = models.ForeignKey("self", on_delete=models.PROTECT, db_constraint=False, related_name="+", editable=False)
    side = models.CharField(max_length=10, choices=Side)
    last_qty = models.DecimalField("quantity", max_digits=36, decimal_places=18)
    last_px = models.DecimalField("price", max_digits=28, decimal_places=12)
    gross_trade_amt = models.DecimalField("gross amount", max_digits=38, decimal_places=18, null=True, blank=True)
    last_mkt = models.CharField("executed at", max_length=4, blank=True)
    transact_time = models.DateTimeField()
    trade_date = models.DateField(help_text="In the venue's time zone.")
    settl_date = models.DateField("settlement date", null=True, blank=True)
    settl_currency = models.ForeignKey(Currency, on_delete=models.PROTECT, db_index=False, null=True, blank=True)
    settl_amount = models.DecimalField("settlement amount", max_digits=38, decimal_places=18, null=True, blank=True)
    fx_rate = models.DecimalField(
        "FX rate",
        max_digits=24,
        decimal_places=12,
        null=True,
        blank=True,
        help_text="Units of the account's base currency per unit of the instrument's.",
    )
    actor = models.CharField(max_length=254)
    recorded_at = models.DateTimeField()
    # Filled in by the database: the transaction that wrote the row, in which its fees and selections join it.
    posted_xid = models.BigIntegerField(default=0, editable=False)
    import_row = models.ForeignKey(ImportRow, on_delete=models.PROTECT, db_index=False, null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "source", "exec_id"], name="trader_execution_account_source_exec_id_unique"
            ),
            models.CheckConstraint(condition=Q(side__in=Side.values), name="trader_execution_side_check"),
            models.CheckConstraint(
                condition=Q(exec_type="F", exec_ref__isnull=True) | Q(exec_type__in=["G", "H"], exec_ref__isnull=False),
                name="trader_execution_exec_type_exec_ref_check",
                violation_error_message="A correction or cancel refers to an execution, a trade to none.",
            ),
            models.CheckConstraint(
                condition=Q(positive("last_qty"), exec_type__in=["F", "G"])
                | Q(exec_type="H", last_qty=0, last_px=0, gross_trade_amt__isnull=True),
                name="trader_execution_last_qty_check",
                violation_error_message="A trade has a positive quantity; of a cancelled one nothing is left.",
            ),
            models.CheckConstraint(
                condition=not_negative("last_px"),
                name="trader_execution_last_px_check",
                violation_error_message="A price is zero or more.",
            ),
            models.CheckConstraint(
                condition=not_negative("gross_trade_amt"),
                name="trader_execution_gross_trade_amt_check",
                violation_error_message="A gross amount is zero or more: the side gives it its sign.",
            ),
            models.CheckConstraint(
                condition=not_negative("settl_amount"),
                name="trader_execution_settl_amount_check",
                violation_error_message="A settlement amount is zero or more: the side gives it its sign.",
            ),
            models.CheckConstraint(
                condition=Q(settl_amount__isnull=True) | Q(settl_currency__isnull=False),
                name="trader_execution_settl_amount_settl_currency_check",
                violation_error_message="A settlement amount needs its currency.",
            ),
            models.CheckConstraint(
                condition=positive("fx_rate"),
                name="trader_execution_fx_rate_check",
                violation_error_message="A rate is positive.",
            ),
            models.CheckConstraint(
                condition=times_within_bounds("transact_time", "recorded_at")
                & dates_within_bounds("trade_date", "settl_date"),
                name="trader_execution_dates_check",
                violation_error_message=OUT_OF_BOUNDS,
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "instrument", "transact_time", "trade"], name="trader_execution_replay_index"
            ),
        ]

    def __str__(self) -> str:
        return self.exec_id


class ExecutionFee(models.Model):
    """What an execution cost, a fact that belongs to it."""

    class Type(models.TextChoices):
        """FIX MiscFeeType(139), by its words, as far as brokers tell them apart."""

        COMMISSION = "COMMISSION", "Commission"
        EXCHANGE = "EXCHANGE", "Exchange fee"
        REGULATORY = "REGULATORY", "Regulatory fee"
        TAX = "TAX", "Transaction tax"
        OTHER = "OTHER", "Other"

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, db_constraint=False, related_name="fees")
    type = models.CharField(max_length=10, choices=Type, default=Type.COMMISSION)
    amount = models.DecimalField(
        max_digits=36, decimal_places=18, help_text="Negative where the venue pays for the trade."
    )
    currency = models.ForeignKey(
        Currency,
        on_delete=models.PROTECT,
        db_index=False,
        null=True,
        blank=True,
        help_text="Empty for units of the instrument.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(type__in=["COMMISSION", "EXCHANGE", "REGULATORY", "TAX", "OTHER"]),
                name="trader_executionfee_type_check",
            ),
            models.CheckConstraint(condition=a_number("amount"), name="trader_executionfee_amount_check"),
        ]

    def __str__(self) -> str:
        return f"{self.get_type_display()} {plain(self.amount)}"


class LotSelection(models.Model):
    """Which lot a closing execution was meant to close, a fact that belongs to it."""

    closing_execution = models.ForeignKey(
        Execution, on_delete=models.PROTECT, db_index=False, related_name="selections"
    )
    opening_execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(max_digits=36, decimal_places=18)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["closing_execution", "opening_execution"],
                name="trader_lotselection_closing_opening_execution_unique",
            ),
            models.CheckConstraint(
                condition=positive("quantity"),
                name="trader_lotselection_quantity_check",
                violation_error_message="A quantity is positive.",
            ),
        ]

    def __str__(self) -> str:
        return f"{plain(self.quantity)} of {self.opening_execution}"
