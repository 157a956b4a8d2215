import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0005_account")]

    operations = [
        migrations.CreateModel(
            name="LoadedFixture",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("model", models.CharField(help_text="The model's label: trader.currency.", max_length=100)),
                ("natural_key", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("loaded_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("model", "natural_key"), name="trader_loadedfixture_model_natural_key_unique"
                    )
                ],
            },
        ),
    ]
