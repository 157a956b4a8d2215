import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0022_ledger_rules")]

    operations = [
        migrations.CreateModel(
            name="Position",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "account",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="trader.account"),
                ),
                ("instrument", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trader.instrument")),
                ("quantity", models.DecimalField(decimal_places=18, default=0, max_digits=36)),
                ("cost", models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ("gross", models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                (
                    "realized_pnl",
                    models.DecimalField(decimal_places=18, default=0, max_digits=38, verbose_name="realized P&L"),
                ),
                ("fees", models.DecimalField(decimal_places=18, default=0, max_digits=38, null=True)),
                ("fees_expensed", models.DecimalField(decimal_places=18, default=0, max_digits=38, null=True)),
                ("rated_cost_base", models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ("unrated_lots", models.IntegerField(default=0)),
                ("realized_pnl_base", models.DecimalField(decimal_places=18, default=0, max_digits=38, null=True)),
                ("fees_base", models.DecimalField(decimal_places=18, default=0, max_digits=38, null=True)),
                ("fees_expensed_base", models.DecimalField(decimal_places=18, default=0, max_digits=38, null=True)),
                (
                    "as_of_execution",
                    models.ForeignKey(
                        db_index=False,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="trader.execution",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "instrument"), name="trader_position_account_instrument_unique"
                    )
                ],
            },
        ),
    ]
