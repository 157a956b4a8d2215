import django.db.models.deletion
from django.db import migrations, models

# The primary key has the column that the table is partitioned by, as it must; the index on `id` serves Django, which
# looks a row up by it. The sequence is no identity column: before version 17 partitions have none.
TABLE = """
CREATE SEQUENCE trader_pricebar_id_seq AS bigint;
CREATE TABLE trader_pricebar (
    id bigint NOT NULL DEFAULT nextval('trader_pricebar_id_seq'),
    instrument_id bigint NOT NULL,
    source varchar(32) NOT NULL,
    timeframe varchar(8) NOT NULL,
    ts timestamp with time zone NOT NULL,
    open numeric(28, 12) NOT NULL,
    high numeric(28, 12) NOT NULL,
    low numeric(28, 12) NOT NULL,
    close numeric(28, 12) NOT NULL,
    volume numeric(36, 18),
    split_adjusted boolean NOT NULL,
    CONSTRAINT trader_pricebar_instrument_timeframe_source_ts_unique
        PRIMARY KEY (instrument_id, timeframe, source, ts),
    CONSTRAINT trader_pricebar_instrument_id_fk FOREIGN KEY (instrument_id) REFERENCES trader_instrument (id)
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT trader_pricebar_low_open_close_high_check
        CHECK (high >= open AND high < 1e20 AND low >= 0 AND low <= open AND high >= close AND low <= close),
    CONSTRAINT trader_pricebar_volume_check CHECK (volume >= 0 AND volume < 1e20)
) PARTITION BY RANGE (ts);
ALTER SEQUENCE trader_pricebar_id_seq OWNED BY trader_pricebar.id;
CREATE INDEX trader_pricebar_id_index ON trader_pricebar (id);
"""
PARTITIONS = """
CREATE TABLE trader_pricebar_2015 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2015-01-01 00:00+00') TO ('2016-01-01 00:00+00');
CREATE TABLE trader_pricebar_2016 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2016-01-01 00:00+00') TO ('2017-01-01 00:00+00');
CREATE TABLE trader_pricebar_2017 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2017-01-01 00:00+00') TO ('2018-01-01 00:00+00');
CREATE TABLE trader_pricebar_2018 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2018-01-01 00:00+00') TO ('2019-01-01 00:00+00');
CREATE TABLE trader_pricebar_2019 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2019-01-01 00:00+00') TO ('2020-01-01 00:00+00');
CREATE TABLE trader_pricebar_2020 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2021-01-01 00:00+00');
CREATE TABLE trader_pricebar_2021 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2021-01-01 00:00+00') TO ('2022-01-01 00:00+00');
CREATE TABLE trader_pricebar_2022 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2022-01-01 00:00+00') TO ('2023-01-01 00:00+00');
CREATE TABLE trader_pricebar_2023 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2023-01-01 00:00+00') TO ('2024-01-01 00:00+00');
CREATE TABLE trader_pricebar_2024 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00');
CREATE TABLE trader_pricebar_2025 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2025-01-01 00:00+00') TO ('2026-01-01 00:00+00');
CREATE TABLE trader_pricebar_2026 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2027-01-01 00:00+00');
CREATE TABLE trader_pricebar_2027 PARTITION OF trader_pricebar
    FOR VALUES FROM ('2027-01-01 00:00+00') TO ('2028-01-01 00:00+00');
CREATE TABLE trader_pricebar_default PARTITION OF trader_pricebar DEFAULT;
"""


class Migration(migrations.Migration):
    dependencies = [("trader", "0008_fx_rate")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(TABLE, reverse_sql="DROP TABLE trader_pricebar"),
                migrations.RunSQL(PARTITIONS, reverse_sql=migrations.RunSQL.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="PriceBar",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "instrument",
                            models.ForeignKey(
                                db_index=False, on_delete=django.db.models.deletion.PROTECT, to="trader.instrument"
                            ),
                        ),
                        ("source", models.CharField(max_length=32)),
                        ("timeframe", models.CharField(help_text="1d, 1h, 5m.", max_length=8)),
                        (
                            "ts",
                            models.DateTimeField(
                                help_text="Of a 1d bar: its session's date at 00:00 UTC.", verbose_name="start"
                            ),
                        ),
                        ("open", models.DecimalField(decimal_places=12, max_digits=28)),
                        ("high", models.DecimalField(decimal_places=12, max_digits=28)),
                        ("low", models.DecimalField(decimal_places=12, max_digits=28)),
                        ("close", models.DecimalField(decimal_places=12, max_digits=28)),
                        ("volume", models.DecimalField(blank=True, decimal_places=18, max_digits=36, null=True)),
                        (
                            "split_adjusted",
                            models.BooleanField(
                                default=False, help_text="Whether the source restates prices after a split."
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("instrument", "timeframe", "source", "ts"),
                                name="trader_pricebar_instrument_timeframe_source_ts_unique",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("high__gte", models.F("open")),
                                    ("high__lt", 10**20),
                                    ("low__gte", 0),
                                    ("low__lte", models.F("open")),
                                    ("high__gte", models.F("close")),
                                    ("low__lte", models.F("close")),
                                ),
                                name="trader_pricebar_low_open_close_high_check",
                                violation_error_message="Open and close lie between low and high.",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("volume__gte", 0), ("volume__lt", 10**20)),
                                name="trader_pricebar_volume_check",
                            ),
                        ],
                    },
                ),
            ],
        ),
    ]
