"""What others say about worth: bars, rates and what companies do to their shares."""

from django.db import models
from django.db.models import F, Q

from trader.models.numbers import not_negative, positive
from trader.models.reference import Currency, Instrument


class CorporateAction(models.Model):
    """A split, which acts on all accounts before the first fill of its ex-date; or a dividend, as announced: its money
    comes by import or by hand."""

    class Type(models.TextChoices):
        SPLIT = "SPLIT", "Split"
        CASH_DIVIDEND = "CASH_DIVIDEND", "Cash dividend"

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    type = models.CharField(max_length=13, choices=Type)
    ex_date = models.DateField("ex-date", help_text="In the venue's time zone.")
    pay_date = models.DateField(null=True, blank=True)
    numerator = models.IntegerField(null=True, blank=True, help_text="New units: 4 of a split 4:1.")
    denominator = models.IntegerField(null=True, blank=True, help_text="Old units: 1 of a split 4:1.")
    cash_per_unit = models.DecimalField(max_digits=28, decimal_places=12, null=True, blank=True)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "ex_date"],
                condition=Q(type="SPLIT"),
                name="trader_corporateaction_instrument_ex_date_split_unique",
                violation_error_message="The instrument has a split on that day already.",
            ),
            models.CheckConstraint(
                condition=Q(
                    type="SPLIT",
                    numerator__isnull=False,
                    numerator__gt=0,
                    denominator__isnull=False,
                    denominator__gt=0,
                    cash_per_unit__isnull=True,
                    currency__isnull=True,
                )
                | Q(
                    positive("cash_per_unit"),
                    type="CASH_DIVIDEND",
                    cash_per_unit__isnull=False,
                    currency__isnull=False,
                    numerator__isnull=True,
                    denominator__isnull=True,
                ),
                name="trader_corporateaction_type_check",
                violation_error_message=(
                    "A split has a positive ratio and no cash, "
                    "a cash dividend has cash per unit, its currency and no ratio."
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_type_display()} {self.instrument} {self.ex_date}"


class FxRate(models.Model):
    """One unit of `base` is worth `rate` units of `quote`."""

    base = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    quote = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=32)
    at = models.DateTimeField()
    rate = models.DecimalField(max_digits=24, decimal_places=12)

    class Meta:
        verbose_name = "FX rate"
        constraints = [
            models.UniqueConstraint(
                fields=["base", "quote", "source", "at"], name="trader_fxrate_base_quote_source_at_unique"
            ),
            models.CheckConstraint(
                condition=positive("rate"),
                name="trader_fxrate_rate_check",
                violation_error_message="A rate is positive.",
            ),
            models.CheckConstraint(
                condition=~Q(base=F("quote")),
                name="trader_fxrate_base_quote_check",
                violation_error_message="A rate is between two currencies.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.base}/{self.quote} {self.at:%Y-%m-%d}"


class PriceBar(models.Model):
    """Prices of an instrument over one span, in its quotation units.

    The table is partitioned by year on `ts`; `id`, of a sequence, is what Django takes for its primary key, while the
    database's is (instrument, timeframe, source, ts).
    """

    id = models.BigAutoField(primary_key=True)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False)
    source = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=8, help_text="1d, 1h, 5m.")
    ts = models.DateTimeField("start", help_text="Of a 1d bar: its session's date at 00:00 UTC.")
    open = models.DecimalField(max_digits=28, decimal_places=12)
    high = models.DecimalField(max_digits=28, decimal_places=12)
    low = models.DecimalField(max_digits=28, decimal_places=12)
    close = models.DecimalField(max_digits=28, decimal_places=12)
    volume = models.DecimalField(max_digits=36, decimal_places=18, null=True, blank=True)
    split_adjusted = models.BooleanField(default=False, help_text="Whether the source restates prices after a split.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "timeframe", "source", "ts"],
                name="trader_pricebar_instrument_timeframe_source_ts_unique",
            ),
            models.CheckConstraint(
                condition=Q(
                    low__gte=0,
                    low__lte=F("open"),
                    high__gte=F("open"),
                    high__lt=10**20,
                )
                & Q(low__lte=F("close"), high__gte=F("close")),
                name="trader_pricebar_low_open_close_high_check",
                violation_error_message="Open and close lie between low and high.",
            ),
            models.CheckConstraint(condition=not_negative("volume"), name="trader_pricebar_volume_check"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument} {self.timeframe} {self.ts:%Y-%m-%d}"
