from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0003_venue")]

    operations = [
        migrations.CreateModel(
            name="Instrument",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("symbol", models.CharField(max_length=64)),
                ("name", models.CharField(blank=True, max_length=200)),
                (
                    "security_type",
                    models.CharField(
                        choices=[
                            ("CS", "Common stock"),
                            ("PS", "Preferred stock"),
                            ("ETF", "Exchange-traded fund"),
                            ("MF", "Mutual fund"),
                            ("CORP", "Corporate bond"),
                            ("GOVT", "Government bond"),
                            ("FUT", "Future"),
                            ("OPT", "Option"),
                            ("WAR", "Warrant"),
                            ("FXSPOT", "FX spot"),
                            ("CRYPTO", "Crypto coin"),
                            ("NONE", "Not classified"),
                        ],
                        default="NONE",
                        max_length=8,
                    ),
                ),
                (
                    "multiplier",
                    models.DecimalField(
                        decimal_places=12,
                        default=Decimal("1"),
                        help_text="Units of the underlying in one contract.",
                        max_digits=28,
                    ),
                ),
                (
                    "price_quotation_factor",
                    models.DecimalField(
                        decimal_places=12,
                        default=Decimal("1"),
                        help_text="Worth of one quoted unit in the currency: 0.01 where London quotes pence of GBP.",
                        max_digits=28,
                    ),
                ),
                (
                    "qty_increment",
                    models.DecimalField(
                        decimal_places=18, default=Decimal("1E-8"), max_digits=36, verbose_name="quantity increment"
                    ),
                ),
                (
                    "price_increment",
                    models.DecimalField(
                        blank=True,
                        decimal_places=12,
                        help_text="The tick; empty where none is known.",
                        max_digits=28,
                        null=True,
                    ),
                ),
                ("active", models.BooleanField(default=True)),
                ("currency", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trader.currency")),
                ("venue", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trader.venue")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("venue", "symbol", "currency"), name="trader_instrument_venue_symbol_currency_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("multiplier__gt", 0), ("multiplier__lt", 10**18)),
                        name="trader_instrument_multiplier_check",
                        violation_error_message="A multiplier is positive.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("price_quotation_factor__gt", 0), ("price_quotation_factor__lt", 10**18)),
                        name="trader_instrument_price_quotation_factor_check",
                        violation_error_message="A price quotation factor is positive.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("qty_increment__gt", 0), ("qty_increment__lt", 10**18)),
                        name="trader_instrument_qty_increment_check",
                        violation_error_message="A quantity increment is positive.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("price_increment__gt", 0), ("price_increment__lt", 10**18)),
                        name="trader_instrument_price_increment_check",
                        violation_error_message="A price increment is positive.",
                    ),
                ],
            },
        ),
    ]
