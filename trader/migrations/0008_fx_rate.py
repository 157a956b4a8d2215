import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0007_corporate_action")]

    operations = [
        migrations.CreateModel(
            name="FxRate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "base",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="trader.currency"
                    ),
                ),
                (
                    "quote",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="trader.currency"
                    ),
                ),
                ("source", models.CharField(max_length=32)),
                ("at", models.DateTimeField()),
                ("rate", models.DecimalField(decimal_places=12, max_digits=24)),
            ],
            options={
                "verbose_name": "FX rate",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("base", "quote", "source", "at"), name="trader_fxrate_base_quote_source_at_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("rate__gt", 0), ("rate__lt", 10**18)),
                        name="trader_fxrate_rate_check",
                        violation_error_message="A rate is positive.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("base", models.F("quote")), _negated=True),
                        name="trader_fxrate_base_quote_check",
                        violation_error_message="A rate is between two currencies.",
                    ),
                ],
            },
        ),
    ]
