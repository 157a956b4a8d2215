import django.db.models.deletion
from django.db import migrations, models
from django.db.models.expressions import CombinedExpression


class Migration(migrations.Migration):
    dependencies = [("trader", "0024_tax_lot")]

    operations = [
        migrations.CreateModel(
            name="LotMatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "position",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="matches",
                        to="trader.position",
                    ),
                ),
                (
                    "opening_trade",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="trader.execution",
                    ),
                ),
                (
                    "closing_trade",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="trader.execution",
                    ),
                ),
                ("quantity", models.DecimalField(decimal_places=18, max_digits=36)),
                ("opened_quantity", models.DecimalField(decimal_places=18, max_digits=36)),
                ("proceeds", models.DecimalField(decimal_places=18, max_digits=38)),
                ("cost", models.DecimalField(decimal_places=18, max_digits=38)),
                (
                    "realized_pnl",
                    models.GeneratedField(
                        db_persist=True,
                        expression=CombinedExpression(models.F("proceeds"), "-", models.F("cost")),
                        output_field=models.DecimalField(decimal_places=18, max_digits=38, verbose_name="realized P&L"),
                    ),
                ),
                ("gross_proceeds", models.DecimalField(decimal_places=18, max_digits=38)),
                ("gross_cost", models.DecimalField(decimal_places=18, max_digits=38)),
                ("proceeds_base", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ("cost_base", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                (
                    "realized_pnl_base",
                    models.GeneratedField(
                        db_persist=True,
                        expression=CombinedExpression(models.F("proceeds_base"), "-", models.F("cost_base")),
                        output_field=models.DecimalField(
                            decimal_places=18, max_digits=38, null=True, verbose_name="realized P&L in base currency"
                        ),
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "lot matches",
                "indexes": [models.Index(fields=["position", "opening_trade"], name="trader_lotmatch_opening_index")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("quantity__gte", 0),
                            ("quantity__lt", 10**20),
                            ("opened_quantity__gte", 0),
                            ("opened_quantity__lt", 10**20),
                        ),
                        name="trader_lotmatch_quantity_check",
                    )
                ],
            },
        ),
    ]
