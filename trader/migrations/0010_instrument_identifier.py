import django.db.models.deletion
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, DateRangeField
from django.db import migrations, models
from django.db.models.functions import Cast, Concat

# In all of these a letter counts as 10 to 35, and the check digit makes the sum end in 0.
ISIN_CHECK_DIGIT = """
CREATE FUNCTION trader_isin_check_digit(value text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    WITH expanded AS (
        SELECT string_agg((strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', letter) - 1)::text, '' ORDER BY place) AS all
        FROM string_to_table(left(value, -1), NULL) WITH ORDINALITY AS letters (letter, place)
    ), doubled AS (
        SELECT digit::integer * (1 + place % 2) AS number
        FROM expanded, string_to_table(reverse(expanded.all), NULL) WITH ORDINALITY AS digits (digit, place)
    )
    SELECT ((10 - sum(number / 10 + number % 10) % 10) % 10)::text FROM doubled
$$
"""
CUSIP_CHECK_DIGIT = """
CREATE FUNCTION trader_cusip_check_digit(value text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    WITH doubled AS (
        SELECT (strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#', letter) - 1) * (2 - place % 2) AS number
        FROM string_to_table(left(value, -1), NULL) WITH ORDINALITY AS letters (letter, place)
    )
    SELECT ((10 - sum(number / 10 + number % 10) % 10) % 10)::text FROM doubled
$$
"""
SEDOL_CHECK_DIGIT = """
CREATE FUNCTION trader_sedol_check_digit(value text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT ((10 - sum(
        (strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', letter) - 1) * (ARRAY[1, 3, 1, 7, 3, 9])[place]
    ) % 10) % 10)::text
    FROM string_to_table(left(value, -1), NULL) WITH ORDINALITY AS letters (letter, place)
$$
"""
# A FIGI has CUSIP's check digit, no vowels, and none of the country codes with which an ISIN could begin.
# A ticker is of printable characters, with blanks inside alone.
IDENTIFIER_IS_VALID = r"""
CREATE FUNCTION trader_identifier_is_valid(source text, value text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT CASE source
        WHEN 'ISIN' THEN value ~ '^[A-Z]{2}[A-Z0-9]{9}[0-9]$'
            AND right(value, 1) = trader_isin_check_digit(value)
        WHEN 'FIGI' THEN value ~ '^(?!BS|BM|GG|GB|GH|KY|VG)[B-DF-HJ-NP-TV-Z]{2}G[B-DF-HJ-NP-TV-Z0-9]{8}[0-9]$'
            AND right(value, 1) = trader_cusip_check_digit(value)
        WHEN 'CUSIP' THEN value ~ '^[A-Z0-9*@#]{8}[0-9]$'
            AND right(value, 1) = trader_cusip_check_digit(value)
        WHEN 'SEDOL' THEN value ~ '^[B-DF-HJ-NP-TV-Z0-9]{6}[0-9]$'
            AND right(value, 1) = trader_sedol_check_digit(value)
        WHEN 'TICKER' THEN value ~ '^[^\u0001-\u0020\u007F-\u00A0\u2000-\u200F\u2028-\u202F\u3000\uFEFF]'
            AND value ~ '[^\u0001-\u0020\u007F-\u00A0\u2000-\u200F\u2028-\u202F\u3000\uFEFF]$'
            AND value !~ '[\u0001-\u001F\u007F-\u009F]'
        ELSE false
    END
$$
"""
HASH = models.Func(
    Concat(
        "source",
        models.Value(" "),
        "mic",
        models.Value(" "),
        "value",
        output_field=models.TextField(),
    ),
    models.Value(0),
    function="hashtextextended",
    output_field=models.BigIntegerField(),
)


class Migration(migrations.Migration):
    dependencies = [("trader", "0009_price_bar")]

    operations = [
        migrations.RunSQL(ISIN_CHECK_DIGIT, reverse_sql="DROP FUNCTION trader_isin_check_digit(text)"),
        migrations.RunSQL(CUSIP_CHECK_DIGIT, reverse_sql="DROP FUNCTION trader_cusip_check_digit(text)"),
        migrations.RunSQL(SEDOL_CHECK_DIGIT, reverse_sql="DROP FUNCTION trader_sedol_check_digit(text)"),
        migrations.RunSQL(IDENTIFIER_IS_VALID, reverse_sql="DROP FUNCTION trader_identifier_is_valid(text, text)"),
        migrations.CreateModel(
            name="InstrumentIdentifier",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "instrument",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="identifiers", to="trader.instrument"
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("ISIN", "ISIN (ISO 6166)"),
                            ("FIGI", "FIGI"),
                            ("CUSIP", "CUSIP"),
                            ("SEDOL", "SEDOL"),
                            ("TICKER", "Ticker"),
                        ],
                        max_length=6,
                    ),
                ),
                ("value", models.CharField(max_length=64)),
                (
                    "mic",
                    models.CharField(
                        blank=True,
                        help_text="The listing's venue; empty where it has none.",
                        max_length=4,
                        verbose_name="MIC",
                    ),
                ),
                (
                    "valid",
                    DateRangeField(
                        help_text="From its first day to the day after its last; an end that is empty is open."
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Func(
                            Cast("source", models.TextField()),
                            Cast("value", models.TextField()),
                            function="trader_identifier_is_valid",
                            output_field=models.BooleanField(),
                        ),
                        name="trader_instrumentidentifier_source_value_check",
                        violation_error_message="The source gives no such value: the form or the check digit is wrong.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("mic", ""), ("mic__regex", "^[A-Z0-9]{4}$"), _connector="OR"),
                        name="trader_instrumentidentifier_mic_check",
                        violation_error_message="A MIC has four capital letters and digits.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("valid__isempty", False)),
                        name="trader_instrumentidentifier_valid_check",
                        violation_error_message="The days have a first one before their end.",
                    ),
                    ExclusionConstraint(
                        expressions=[
                            (
                                models.Func(
                                    HASH,
                                    HASH,
                                    models.Value("[]"),
                                    function="int8range",
                                    output_field=BigIntegerRangeField(),
                                ),
                                "&&",
                            ),
                            (models.F("valid"), "&&"),
                        ],
                        name="trader_instrumentidentifier_source_value_mic_valid_excl",
                        violation_error_message="On some of those days the name has an owner already.",
                    ),
                ],
            },
        ),
    ]
