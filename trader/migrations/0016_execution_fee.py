import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0015_execution")]

    operations = [
        # review: foreign-key-without-index: currencies are hardly ever deleted, and each fee would pay
        migrations.CreateModel(
            name="ExecutionFee",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "execution",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="fees",
                        to="trader.execution",
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("COMMISSION", "Commission"),
                            ("EXCHANGE", "Exchange fee"),
                            ("REGULATORY", "Regulatory fee"),
                            ("TAX", "Transaction tax"),
                            ("OTHER", "Other"),
                        ],
                        default="COMMISSION",
                        max_length=10,
                    ),
                ),
                (
                    "amount",
                    models.DecimalField(
                        decimal_places=18, help_text="Negative where the venue pays for the trade.", max_digits=36
                    ),
                ),
                (
                    "currency",
                    models.ForeignKey(
                        db_index=False,
                        blank=True,
                        help_text="Empty for units of the instrument.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="trader.currency",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("type__in", ["COMMISSION", "EXCHANGE", "REGULATORY", "TAX", "OTHER"])),
                        name="trader_executionfee_type_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__lt", 10**20)),
                        name="trader_executionfee_amount_check",
                    ),
                ],
            },
        ),
    ]
