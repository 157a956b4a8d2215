import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0006_loaded_fixture")]

    operations = [
        migrations.CreateModel(
            name="CorporateAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("instrument", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trader.instrument")),
                (
                    "type",
                    models.CharField(choices=[("SPLIT", "Split"), ("CASH_DIVIDEND", "Cash dividend")], max_length=13),
                ),
                ("ex_date", models.DateField(help_text="In the venue's time zone.", verbose_name="ex-date")),
                ("pay_date", models.DateField(blank=True, null=True)),
                ("numerator", models.IntegerField(blank=True, help_text="New units: 4 of a split 4:1.", null=True)),
                ("denominator", models.IntegerField(blank=True, help_text="Old units: 1 of a split 4:1.", null=True)),
                ("cash_per_unit", models.DecimalField(blank=True, decimal_places=12, max_digits=28, null=True)),
                (
                    "currency",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to="trader.currency"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("type", "SPLIT")),
                        fields=("instrument", "ex_date"),
                        name="trader_corporateaction_instrument_ex_date_split_unique",
                        violation_error_message="The instrument has a split on that day already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("cash_per_unit__isnull", True),
                                ("currency__isnull", True),
                                ("denominator__gt", 0),
                                ("denominator__isnull", False),
                                ("numerator__gt", 0),
                                ("numerator__isnull", False),
                                ("type", "SPLIT"),
                            ),
                            models.Q(
                                models.Q(("cash_per_unit__gt", 0), ("cash_per_unit__lt", 10**18)),
                                ("cash_per_unit__isnull", False),
                                ("currency__isnull", False),
                                ("denominator__isnull", True),
                                ("numerator__isnull", True),
                                ("type", "CASH_DIVIDEND"),
                            ),
                            _connector="OR",
                        ),
                        name="trader_corporateaction_type_check",
                        violation_error_message=(
                            "A split has a positive ratio and no cash, a cash dividend has cash per unit, "
                            "its currency and no ratio."
                        ),
                    ),
                ],
            },
        ),
    ]
