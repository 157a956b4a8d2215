import datetime

import django.db.models.deletion
from django.db import migrations, models

import trader.models.keys

DATES = (datetime.date(1800, 1, 1), datetime.date(9999, 12, 30))
TIMES = (datetime.datetime(1800, 1, 1, tzinfo=datetime.UTC), datetime.datetime(9999, 12, 30, tzinfo=datetime.UTC))


# review: several-tables-locked: the table is new and empty, so each lock is held for a moment
class Migration(migrations.Migration):
    dependencies = [("trader", "0014_order_rules")]

    operations = [
        # review: foreign-key-without-index: currencies and import rows are seldom deleted, and each execution would pay
        migrations.CreateModel(
            name="Execution",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=trader.models.keys.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="executions",
                        to="trader.order",
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="trader.account",
                    ),
                ),
                (
                    "instrument",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="trader.instrument"
                    ),
                ),
                (
                    "source",
                    models.CharField(help_text="Who numbers its ExecIDs: the broker, or manual.", max_length=32),
                ),
                ("exec_id", models.CharField(max_length=128, verbose_name="ExecID")),
                (
                    "exec_type",
                    models.CharField(
                        choices=[("F", "Trade"), ("G", "Trade correct"), ("H", "Trade cancel")],
                        default="F",
                        max_length=1,
                        verbose_name="type",
                    ),
                ),
                (
                    "exec_ref",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="successor",
                        to="trader.execution",
                    ),
                ),
                (
                    "trade",
                    models.ForeignKey(
                        db_constraint=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="trader.execution",
                    ),
                ),
                (
                    "side",
                    models.CharField(
                        choices=[("BUY", "Buy"), ("SELL", "Sell"), ("SELL_SHORT", "Sell short")], max_length=10
                    ),
                ),
                ("last_qty", models.DecimalField(decimal_places=18, max_digits=36, verbose_name="quantity")),
                ("last_px", models.DecimalField(decimal_places=12, max_digits=28, verbose_name="price")),
                (
                    "gross_trade_amt",
                    models.DecimalField(
                        blank=True, decimal_places=18, max_digits=38, null=True, verbose_name="gross amount"
                    ),
                ),
                ("last_mkt", models.CharField(blank=True, max_length=4, verbose_name="executed at")),
                ("transact_time", models.DateTimeField()),
                ("trade_date", models.DateField(help_text="In the venue's time zone.")),
                ("settl_date", models.DateField(blank=True, null=True, verbose_name="settlement date")),
                (
                    "settl_currency",
                    models.ForeignKey(
                        db_index=False,
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="trader.currency",
                    ),
                ),
                (
                    "settl_amount",
                    models.DecimalField(
                        blank=True, decimal_places=18, max_digits=38, null=True, verbose_name="settlement amount"
                    ),
                ),
                (
                    "fx_rate",
                    models.DecimalField(
                        blank=True,
                        decimal_places=12,
                        help_text="Units of the account's base currency per unit of the instrument's.",
                        max_digits=24,
                        null=True,
                        verbose_name="FX rate",
                    ),
                ),
                ("actor", models.CharField(max_length=254)),
                ("recorded_at", models.DateTimeField()),
                ("posted_xid", models.BigIntegerField(default=0, editable=False)),
                (
                    "import_row",
                    models.ForeignKey(
                        db_index=False,
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="trader.importrow",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["account", "instrument", "transact_time", "trade"], name="trader_execution_replay_index"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "source", "exec_id"), name="trader_execution_account_source_exec_id_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("side__in", ["BUY", "SELL", "SELL_SHORT"])),
                        name="trader_execution_side_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("exec_ref__isnull", True), ("exec_type", "F")),
                            models.Q(("exec_ref__isnull", False), ("exec_type__in", ["G", "H"])),
                            _connector="OR",
                        ),
                        name="trader_execution_exec_type_exec_ref_check",
                        violation_error_message="A correction or cancel refers to an execution, a trade to none.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                models.Q(("last_qty__gt", 0), ("last_qty__lt", 10**18)),
                                ("exec_type__in", ["F", "G"]),
                            ),
                            models.Q(
                                ("exec_type", "H"), ("gross_trade_amt__isnull", True), ("last_px", 0), ("last_qty", 0)
                            ),
                            _connector="OR",
                        ),
                        name="trader_execution_last_qty_check",
                        violation_error_message="A trade has a positive quantity; of a cancelled one nothing is left.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("last_px__gte", 0), ("last_px__lt", 10**20)),
                        name="trader_execution_last_px_check",
                        violation_error_message="A price is zero or more.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("gross_trade_amt__gte", 0), ("gross_trade_amt__lt", 10**20)),
                        name="trader_execution_gross_trade_amt_check",
                        violation_error_message="A gross amount is zero or more: the side gives it its sign.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("settl_amount__gte", 0), ("settl_amount__lt", 10**20)),
                        name="trader_execution_settl_amount_check",
                        violation_error_message="A settlement amount is zero or more: the side gives it its sign.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("settl_amount__isnull", True), ("settl_currency__isnull", False), _connector="OR"
                        ),
                        name="trader_execution_settl_amount_settl_currency_check",
                        violation_error_message="A settlement amount needs its currency.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fx_rate__gt", 0), ("fx_rate__lt", 10**18)),
                        name="trader_execution_fx_rate_check",
                        violation_error_message="A rate is positive.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("transact_time__range", TIMES),
                            ("recorded_at__range", TIMES),
                            ("trade_date__range", DATES),
                            ("settl_date__range", DATES),
                        ),
                        name="trader_execution_dates_check",
                        violation_error_message="A date lies in the years from 1800 to 9999.",
                    ),
                ],
            },
        ),
    ]
