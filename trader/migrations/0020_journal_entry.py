import datetime

import django.db.models.deletion
from django.db import migrations, models

import trader.models.keys

DATES = (datetime.date(1800, 1, 1), datetime.date(9999, 12, 30))
TIMES = (datetime.datetime(1800, 1, 1, tzinfo=datetime.UTC), datetime.datetime(9999, 12, 30, tzinfo=datetime.UTC))


# review: several-tables-locked: the table is new and empty, so each lock is held for a moment
class Migration(migrations.Migration):
    dependencies = [("trader", "0019_ledger_account")]

    operations = [
        # review: foreign-key-without-index: instruments and import rows are seldom deleted, and each entry would pay
        migrations.CreateModel(
            name="JournalEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=trader.models.keys.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="trader.account"
                    ),
                ),
                (
                    "instrument",
                    models.ForeignKey(
                        db_index=False,
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="trader.instrument",
                    ),
                ),
                ("value_date", models.DateField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("TRADE", "Trade"),
                            ("DEPOSIT", "Deposit"),
                            ("WITHDRAWAL", "Withdrawal"),
                            ("DIVIDEND", "Dividend"),
                            ("WITHHOLDING_TAX", "Withholding tax"),
                            ("FEE", "Fee"),
                            ("INTEREST", "Interest"),
                            ("FX", "Currency exchange"),
                            ("REVERSAL", "Reversal"),
                        ],
                        max_length=15,
                    ),
                ),
                (
                    "execution",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="trader.execution",
                    ),
                ),
                (
                    "reverses",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reversal",
                        to="trader.journalentry",
                    ),
                ),
                (
                    "fx_rate",
                    models.DecimalField(
                        blank=True,
                        decimal_places=12,
                        help_text="Units of the account's base currency per unit of the entry's.",
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
                "verbose_name_plural": "journal entries",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "TRADE")),
                        fields=("execution",),
                        name="trader_journalentry_execution_trade_unique",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "kind__in",
                                [
                                    "TRADE",
                                    "DEPOSIT",
                                    "WITHDRAWAL",
                                    "DIVIDEND",
                                    "WITHHOLDING_TAX",
                                    "FEE",
                                    "INTEREST",
                                    "FX",
                                    "REVERSAL",
                                ],
                            )
                        ),
                        name="trader_journalentry_kind_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "REVERSAL"), ("reverses__isnull", False)),
                            models.Q(models.Q(("kind", "REVERSAL"), _negated=True), ("reverses__isnull", True)),
                            _connector="OR",
                        ),
                        name="trader_journalentry_kind_reverses_check",
                        violation_error_message="A reversal, and nothing else, names the entry that it takes back.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("execution__isnull", False), ("kind", "TRADE")),
                            models.Q(models.Q(("kind", "TRADE"), _negated=True), ("execution__isnull", True)),
                            _connector="OR",
                        ),
                        name="trader_journalentry_kind_execution_check",
                        violation_error_message="A trade's entry, and nothing else, names its execution.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fx_rate__gt", 0), ("fx_rate__lt", 10**18)),
                        name="trader_journalentry_fx_rate_check",
                        violation_error_message="A rate is positive.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("recorded_at__range", TIMES), ("value_date__range", DATES)),
                        name="trader_journalentry_dates_check",
                        violation_error_message="A date lies in the years from 1800 to 9999.",
                    ),
                ],
            },
        ),
    ]
