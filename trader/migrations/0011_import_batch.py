import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trader", "0010_instrument_identifier")]

    operations = [
        migrations.CreateModel(
            name="ImportBatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="trader.account")),
                ("source", models.CharField(help_text="The format that the file was read as.", max_length=32)),
                ("file_name", models.CharField(max_length=255)),
                ("sha256", models.CharField(max_length=64, verbose_name="SHA-256")),
                ("actor", models.CharField(max_length=254)),
                ("imported_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "import batches",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="trader_importbatch_sha256_check"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="rows", to="trader.importbatch"
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="trader.account"),
                ),
                ("source", models.CharField(max_length=32)),
                ("row_number", models.IntegerField(help_text="Of the file, the header being 1.", verbose_name="line")),
                ("raw", models.TextField()),
                ("external_id", models.CharField(blank=True, max_length=128, verbose_name="external ID")),
                ("row_hash", models.CharField(help_text="BLAKE2b of what was read, the note left out.", max_length=32)),
                ("ordinal", models.IntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[("IMPORTED", "Imported"), ("KNOWN", "Known already")],
                        default="IMPORTED",
                        help_text="Known: the book held what the row says.",
                        max_length=8,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("external_id", ""), _negated=True),
                        fields=("account", "source", "external_id"),
                        name="trader_importrow_account_source_external_id_unique",
                    ),
                    models.UniqueConstraint(
                        fields=("account", "source", "row_hash", "ordinal"),
                        name="trader_importrow_account_source_row_hash_ordinal_unique",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["IMPORTED", "KNOWN"])), name="trader_importrow_state_check"
                    ),
                ],
            },
        ),
    ]
