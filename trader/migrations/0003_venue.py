from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0002_currency")]

    operations = [
        migrations.CreateModel(
            name="Venue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mic", models.CharField(help_text="ISO 10383: XSWX, XNAS.", max_length=4, verbose_name="MIC")),
                ("name", models.CharField(max_length=200)),
                (
                    "time_zone",
                    models.CharField(
                        default="UTC",
                        help_text="Its trade dates are of this zone.",
                        max_length=64,
                    ),
                ),
                (
                    "calendar",
                    models.CharField(
                        blank=True,
                        help_text="The exchange_calendars name of its trading sessions, where it has one.",
                        max_length=32,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("mic",), name="trader_venue_mic_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("mic__regex", "^[A-Z0-9]{4}$")),
                        name="trader_venue_mic_check",
                        violation_error_message="A MIC has four capital letters and digits.",
                    ),
                ],
            },
        ),
    ]
