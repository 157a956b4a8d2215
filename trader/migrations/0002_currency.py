from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0001_user")]

    operations = [
        migrations.CreateModel(
            name="Currency",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(help_text="ISO 4217, or a coin: CHF, BTC.", max_length=10)),
                (
                    "minor_unit",
                    models.SmallIntegerField(
                        help_text="Decimal places of the smallest amount that is booked: 2 for CHF, 0 for JPY."
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "currencies",
                "constraints": [
                    models.UniqueConstraint(fields=("code",), name="trader_currency_code_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("code__regex", "^[A-Z][A-Z0-9]{2,9}$")),
                        name="trader_currency_code_check",
                        violation_error_message="A code has 3 to 10 capital letters and digits, a letter first.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("minor_unit__range", (0, 18))),
                        name="trader_currency_minor_unit_check",
                        violation_error_message="A minor unit is 0 to 18 decimal places.",
                    ),
                ],
            },
        ),
    ]
