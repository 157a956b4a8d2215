import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0016_execution_fee")]

    operations = [
        migrations.CreateModel(
            name="LotSelection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "closing_execution",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="selections",
                        to="trader.execution",
                    ),
                ),
                (
                    "opening_execution",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="trader.execution"
                    ),
                ),
                ("quantity", models.DecimalField(decimal_places=18, max_digits=36)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("closing_execution", "opening_execution"),
                        name="trader_lotselection_closing_opening_execution_unique",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quantity__gt", 0), ("quantity__lt", 10**18)),
                        name="trader_lotselection_quantity_check",
                        violation_error_message="A quantity is positive.",
                    ),
                ],
            },
        ),
    ]
