"""What else an instrument is called, and when: a rename is a new row."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, DateRangeField
from django.db import models
from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import Cast, Concat

from trader.models.reference import Instrument

# The database's own function, made by a migration: the form that the source gives to the value, its check digit too.
IS_VALID = Func(
    Cast("source", TextField()),
    Cast("value", TextField()),
    function="trader_identifier_is_valid",
    output_field=models.BooleanField(),
)
# A range of one hash stands for its owner's name: PostgreSQL excludes equal texts only with an extension.
HASH = Func(
    Concat("source", Value(" "), "mic", Value(" "), "value", output_field=TextField()),
    Value(0),
    function="hashtextextended",
    output_field=models.BigIntegerField(),
)
NAME = Func(HASH, HASH, Value("[]"), function="int8range", output_field=BigIntegerRangeField())


class InstrumentIdentifier(models.Model):
    """A name that somebody gave to an instrument, for the days on which it was its own."""

    class Source(models.TextChoices):
        ISIN = "ISIN", "ISIN (ISO 6166)"
        FIGI = "FIGI", "FIGI"
        CUSIP = "CUSIP", "CUSIP"
        SEDOL = "SEDOL", "SEDOL"
        TICKER = "TICKER", "Ticker"

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="identifiers")
    source = models.CharField(max_length=6, choices=Source)
    value = models.CharField(max_length=64)
    mic = models.CharField("MIC", max_length=4, blank=True, help_text="The listing's venue; empty where it has none.")
    valid = DateRangeField(help_text="From its first day to the day after its last; an end that is empty is open.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=IS_VALID,
                name="trader_instrumentidentifier_source_value_check",
                violation_error_message="The source gives no such value: the form or the check digit is wrong.",
            ),
            models.CheckConstraint(
                condition=Q(mic="") | Q(mic__regex=r"^[A-Z0-9]{4}$"),
                name="trader_instrumentidentifier_mic_check",
                violation_error_message="A MIC has four capital letters and digits.",
            ),
            models.CheckConstraint(
                condition=Q(valid__isempty=False),
                name="trader_instrumentidentifier_valid_check",
                violation_error_message="The days have a first one before their end.",
            ),
            ExclusionConstraint(
                name="trader_instrumentidentifier_source_value_mic_valid_excl",
                expressions=[(NAME, "&&"), (F("valid"), "&&")],
                violation_error_message="On some of those days the name has an owner already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.value}"
