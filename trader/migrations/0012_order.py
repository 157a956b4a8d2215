import datetime
from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.expressions import CombinedExpression

import trader.models.keys

TIMES = (datetime.datetime(1800, 1, 1, tzinfo=datetime.UTC), datetime.datetime(9999, 12, 30, tzinfo=datetime.UTC))


class Migration(migrations.Migration):
    dependencies = [("trader", "0011_import_batch")]

    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=trader.models.keys.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="trader.account"),
                ),
                ("instrument", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trader.instrument")),
                ("cl_ord_id", models.CharField(max_length=64, verbose_name="ClOrdID")),
                (
                    "orig_order",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="successors",
                        to="trader.order",
                    ),
                ),
                (
                    "side",
                    models.CharField(
                        choices=[("BUY", "Buy"), ("SELL", "Sell"), ("SELL_SHORT", "Sell short")], max_length=10
                    ),
                ),
                (
                    "ord_type",
                    models.CharField(
                        choices=[
                            ("MARKET", "Market"),
                            ("LIMIT", "Limit"),
                            ("STOP", "Stop"),
                            ("STOP_LIMIT", "Stop limit"),
                        ],
                        max_length=10,
                        verbose_name="type",
                    ),
                ),
                (
                    "time_in_force",
                    models.CharField(
                        choices=[
                            ("DAY", "Day"),
                            ("GTC", "Good till cancel"),
                            ("IOC", "Immediate or cancel"),
                            ("FOK", "Fill or kill"),
                            ("GTD", "Good till date"),
                        ],
                        default="DAY",
                        max_length=3,
                    ),
                ),
                ("order_qty", models.DecimalField(decimal_places=18, max_digits=36, verbose_name="quantity")),
                (
                    "price",
                    models.DecimalField(
                        blank=True, decimal_places=12, max_digits=28, null=True, verbose_name="limit price"
                    ),
                ),
                (
                    "stop_px",
                    models.DecimalField(
                        blank=True, decimal_places=12, max_digits=28, null=True, verbose_name="stop price"
                    ),
                ),
                ("expire_time", models.DateTimeField(blank=True, null=True)),
                (
                    "lifecycle",
                    models.CharField(
                        choices=[
                            ("A", "Pending new"),
                            ("0", "New"),
                            ("3", "Done for day"),
                            ("4", "Canceled"),
                            ("5", "Replaced"),
                            ("6", "Pending cancel"),
                            ("8", "Rejected"),
                            ("9", "Suspended"),
                            ("C", "Expired"),
                            ("E", "Pending replace"),
                        ],
                        default="A",
                        max_length=1,
                    ),
                ),
                ("transact_time", models.DateTimeField()),
                (
                    "cum_qty",
                    models.DecimalField(
                        decimal_places=18, default=0, editable=False, max_digits=36, verbose_name="filled"
                    ),
                ),
                (
                    "avg_px",
                    models.DecimalField(
                        decimal_places=18, default=0, editable=False, max_digits=38, verbose_name="average price"
                    ),
                ),
                ("notional", models.DecimalField(decimal_places=18, default=0, editable=False, max_digits=38)),
                (
                    "ord_status",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(lifecycle__in=["6", "E", "3"], then=models.F("lifecycle")),
                            models.When(cum_qty=models.F("order_qty"), then=models.Value("2")),
                            models.When(lifecycle__in=["9", "4", "5", "8", "C"], then=models.F("lifecycle")),
                            models.When(cum_qty__gt=0, then=models.Value("1")),
                            default=models.F("lifecycle"),
                        ),
                        output_field=models.CharField(
                            choices=[
                                ("A", "Pending new"),
                                ("0", "New"),
                                ("1", "Partially filled"),
                                ("2", "Filled"),
                                ("3", "Done for day"),
                                ("4", "Canceled"),
                                ("5", "Replaced"),
                                ("6", "Pending cancel"),
                                ("8", "Rejected"),
                                ("9", "Suspended"),
                                ("C", "Expired"),
                                ("E", "Pending replace"),
                            ],
                            max_length=1,
                            verbose_name="status",
                        ),
                    ),
                ),
                (
                    "leaves_qty",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(lifecycle__in=["3", "4", "5", "8", "C"], then=models.Value(Decimal("0"))),
                            default=CombinedExpression(models.F("order_qty"), "-", models.F("cum_qty")),
                        ),
                        output_field=models.DecimalField(
                            decimal_places=18, max_digits=36, verbose_name="open quantity"
                        ),
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "cl_ord_id"), name="trader_order_account_cl_ord_id_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("side__in", ["BUY", "SELL", "SELL_SHORT"])), name="trader_order_side_check"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ord_type__in", ["MARKET", "LIMIT", "STOP", "STOP_LIMIT"])),
                        name="trader_order_ord_type_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("time_in_force__in", ["DAY", "GTC", "IOC", "FOK", "GTD"])),
                        name="trader_order_time_in_force_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("lifecycle__in", ["A", "0", "3", "4", "5", "6", "8", "9", "C", "E"])),
                        name="trader_order_lifecycle_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("order_qty__gt", 0), ("order_qty__lt", 10**18)),
                        name="trader_order_order_qty_check",
                        violation_error_message="A quantity is positive.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ord_type__in", ["LIMIT", "STOP_LIMIT"]), ("price__isnull", False)),
                            models.Q(
                                models.Q(("ord_type__in", ["LIMIT", "STOP_LIMIT"]), _negated=True),
                                ("price__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="trader_order_ord_type_price_check",
                        violation_error_message="A limit order has a limit price, any other has none.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ord_type__in", ["STOP", "STOP_LIMIT"]), ("stop_px__isnull", False)),
                            models.Q(
                                models.Q(("ord_type__in", ["STOP", "STOP_LIMIT"]), _negated=True),
                                ("stop_px__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="trader_order_ord_type_stop_px_check",
                        violation_error_message="A stop order has a stop price, any other has none.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("expire_time__isnull", False), ("time_in_force", "GTD")),
                            models.Q(models.Q(("time_in_force", "GTD"), _negated=True), ("expire_time__isnull", True)),
                            _connector="OR",
                        ),
                        name="trader_order_time_in_force_expire_time_check",
                        violation_error_message="An order good till date has an expiry, any other has none.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("price__gte", 0), ("price__lt", 10**20)),
                        name="trader_order_price_check",
                        violation_error_message="A price is zero or more.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("stop_px__gte", 0), ("stop_px__lt", 10**20)),
                        name="trader_order_stop_px_check",
                        violation_error_message="A price is zero or more.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("cum_qty__gte", 0), ("cum_qty__lte", models.F("order_qty"))),
                        name="trader_order_cum_qty_check",
                        violation_error_message="An order is not filled beyond its quantity.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lifecycle", "8"), _negated=True), ("cum_qty", 0), _connector="OR"
                        ),
                        name="trader_order_lifecycle_cum_qty_check",
                        violation_error_message="A rejected order has no fill.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expire_time__range", TIMES), ("transact_time__range", TIMES)),
                        name="trader_order_dates_check",
                        violation_error_message="A date lies in the years from 1800 to 9999.",
                    ),
                ],
            },
        ),
    ]
