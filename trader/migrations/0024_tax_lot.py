import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0023_position")]

    operations = [
        migrations.CreateModel(
            name="TaxLot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "position",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="lots",
                        to="trader.position",
                    ),
                ),
                (
                    "trade",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="trader.execution",
                    ),
                ),
                ("acquired_at", models.DateTimeField()),
                ("quantity", models.DecimalField(decimal_places=18, max_digits=36)),
                ("unclosed", models.DecimalField(decimal_places=18, max_digits=36)),
                ("remaining", models.DecimalField(decimal_places=18, max_digits=36)),
                ("unit_cost", models.DecimalField(decimal_places=18, max_digits=38)),
                ("cost", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ("gross", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ("cost_base", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("remaining__gt", 0)),
                        fields=["position", "acquired_at", "trade"],
                        name="trader_taxlot_open_index",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("position", "trade"), name="trader_taxlot_position_trade_unique"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("quantity__gt", 0),
                            ("quantity__lt", 10**18),
                            ("remaining__gte", 0),
                            ("remaining__lt", 10**20),
                        ),
                        name="trader_taxlot_quantity_check",
                    ),
                ],
            },
        ),
    ]
