import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0004_instrument")]

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=32)),
                ("name", models.CharField(max_length=200)),
                (
                    "time_zone",
                    models.CharField(default="UTC", max_length=64),
                ),
                (
                    "cost_basis_method",
                    models.CharField(
                        choices=[
                            ("FIFO", "First in, first out"),
                            ("LIFO", "Last in, first out"),
                            ("HIFO", "Highest cost first"),
                            ("AVERAGE", "Average cost"),
                            ("SPECIFIC", "Chosen lots"),
                        ],
                        default="FIFO",
                        max_length=8,
                    ),
                ),
                (
                    "fee_policy",
                    models.CharField(
                        choices=[
                            ("EXPENSED", "Expensed"),
                            ("IN_COST", "In cost and proceeds"),
                            ("BUY_IN_COST", "Bought: in cost; sold: expensed"),
                        ],
                        default="EXPENSED",
                        max_length=11,
                    ),
                ),
                ("allow_short", models.BooleanField(default=False, verbose_name="short sales allowed")),
                ("broker", models.CharField(blank=True, max_length=200)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("base_currency", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trader.currency")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("code",), name="trader_account_code_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("cost_basis_method__in", ["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"])),
                        name="trader_account_cost_basis_method_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fee_policy__in", ["EXPENSED", "IN_COST", "BUY_IN_COST"])),
                        name="trader_account_fee_policy_check",
                    ),
                ],
            },
        ),
    ]
