import datetime

import django.db.models.deletion
from django.db import migrations, models

TIMES = (datetime.datetime(1800, 1, 1, tzinfo=datetime.UTC), datetime.datetime(9999, 12, 30, tzinfo=datetime.UTC))


class Migration(migrations.Migration):
    dependencies = [("trader", "0012_order")]

    operations = [
        migrations.CreateModel(
            name="OrderEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="events", to="trader.order"
                    ),
                ),
                (
                    "exec_type",
                    models.CharField(
                        choices=[
                            ("A", "Pending new"),
                            ("0", "New"),
                            ("3", "Done for day"),
                            ("4", "Canceled"),
                            ("5", "Replaced"),
                            ("6", "Pending cancel"),
                            ("8", "Rejected"),
                            ("9", "Suspended"),
                            ("C", "Expired"),
                            ("E", "Pending replace"),
                            ("F", "Trade"),
                            ("G", "Trade correct"),
                            ("H", "Trade cancel"),
                        ],
                        max_length=1,
                    ),
                ),
                ("actor", models.CharField(max_length=254)),
                ("at", models.DateTimeField()),
                ("payload", models.JSONField(default=dict)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("exec_type__in", ["A", "0", "3", "4", "5", "6", "8", "9", "C", "E", "F", "G", "H"])
                        ),
                        name="trader_orderevent_exec_type_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("at__range", TIMES)),
                        name="trader_orderevent_at_check",
                        violation_error_message="A date lies in the years from 1800 to 9999.",
                    ),
                ],
            },
        ),
    ]
