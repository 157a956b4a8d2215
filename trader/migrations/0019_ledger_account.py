import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0018_execution_rules")]

    operations = [
        migrations.CreateModel(
            name="LedgerAccount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "account",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="trader.account"),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("CASH", "Cash"),
                            ("SECURITIES", "Securities"),
                            ("FX_TRADING", "Currency trading"),
                            ("INCOME", "Income"),
                            ("EXPENSE", "Expense"),
                            ("EQUITY", "Equity"),
                        ],
                        max_length=10,
                    ),
                ),
                ("currency", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trader.currency")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "kind", "currency"), name="trader_ledgeraccount_account_kind_currency_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["CASH", "SECURITIES", "FX_TRADING", "INCOME", "EXPENSE", "EQUITY"])
                        ),
                        name="trader_ledgeraccount_kind_check",
                    ),
                ],
            },
        ),
    ]
