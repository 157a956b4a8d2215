"""Reference data: what the book counts in, where it trades and what."""

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.db import models

from trader.booking.numbers import CONTEXT, plain
from trader.models.numbers import positive


def validate_time_zone(name: str) -> None:
    """Raise ValidationError, for the field `time_zone`, unless the IANA database has that name."""
    if name not in available_timezones():
        raise ValidationError({"time_zone": f"{name} is no IANA time zone, such as Europe/Zurich."})


class CurrencyManager(models.Manager["Currency"]):
    natural_key_fields = ("code",)

    def get_by_natural_key(self, code: str) -> "Currency":
        return self.get(code=code)


class Currency(models.Model):
    """A currency by its ISO 4217 code, or a coin by its ticker."""

    code = models.CharField(max_length=10, help_text="ISO 4217, or a coin: CHF, BTC.")
    minor_unit = models.SmallIntegerField(
        help_text="Decimal places of the smallest amount that is booked: 2 for CHF, 0 for JPY."
    )

    objects: ClassVar[CurrencyManager] = CurrencyManager()

    class Meta:
        verbose_name_plural = "currencies"
        constraints = [
            models.UniqueConstraint(fields=["code"], name="trader_currency_code_unique"),
            models.CheckConstraint(
                condition=models.Q(code__regex=r"^[A-Z][A-Z0-9]{2,9}$"),
                name="trader_currency_code_check",
                violation_error_message="A code has 3 to 10 capital letters and digits, a letter first.",
            ),
            models.CheckConstraint(
                condition=models.Q(minor_unit__range=(0, 18)),
                name="trader_currency_minor_unit_check",
                violation_error_message="A minor unit is 0 to 18 decimal places.",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def natural_key(self) -> tuple[str]:
        return (self.code,)


class VenueManager(models.Manager["Venue"]):
    natural_key_fields = ("mic",)

    def get_by_natural_key(self, mic: str) -> "Venue":
        return self.get(mic=mic)


class Venue(models.Model):
    """Where instruments are listed, by its ISO 10383 market identifier code."""

    mic = models.CharField("MIC", max_length=4, help_text="ISO 10383: XSWX, XNAS.")
    name = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=64, default="UTC", help_text="Its trade dates are of this zone.")
    calendar = models.CharField(
        max_length=32, blank=True, help_text="The exchange_calendars name of its trading sessions, where it has one."
    )

    objects: ClassVar[VenueManager] = VenueManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mic"], name="trader_venue_mic_unique"),
            models.CheckConstraint(
                condition=models.Q(mic__regex=r"^[A-Z0-9]{4}$"),
                name="trader_venue_mic_check",
                violation_error_message="A MIC has four capital letters and digits.",
            ),
        ]

    def __str__(self) -> str:
        return self.mic

    def clean(self) -> None:
        validate_time_zone(self.time_zone)

    def natural_key(self) -> tuple[str]:
        return (self.mic,)

    def date_of(self, instant: datetime) -> date:
        """The trade date of an instant: its day in the venue's time zone."""
        return instant.astimezone(ZoneInfo(self.time_zone)).date()


class InstrumentManager(models.Manager["Instrument"]):
    natural_key_fields = ("symbol", "venue", "currency")

    def get_by_natural_key(self, symbol: str, mic: str, currency: str) -> "Instrument":
        return self.get(symbol=symbol, venue__mic=mic, currency__code=currency)


class Instrument(models.Model):
    """What is traded: one listing, in one currency, on one venue."""

    class SecurityType(models.TextChoices):
        """FIX SecurityType(167), as far as the book knows how to value them."""

        COMMON_STOCK = "CS", "Common stock"
        PREFERRED_STOCK = "PS", "Preferred stock"
        EXCHANGE_TRADED_FUND = "ETF", "Exchange-traded fund"
        MUTUAL_FUND = "MF", "Mutual fund"
        CORPORATE_BOND = "CORP", "Corporate bond"
        GOVERNMENT_BOND = "GOVT", "Government bond"
        FUTURE = "FUT", "Future"
        OPTION = "OPT", "Option"
        WARRANT = "WAR", "Warrant"
        FX_SPOT = "FXSPOT", "FX spot"
        CRYPTO = "CRYPTO", "Crypto coin"
        NONE = "NONE", "Not classified"

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    symbol = models.CharField(max_length=64)
    name = models.CharField(max_length=200, blank=True)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT)
    security_type = models.CharField(max_length=8, choices=SecurityType, default=SecurityType.NONE)
    multiplier = models.DecimalField(
        max_digits=28, decimal_places=12, default=Decimal(1), help_text="Units of the underlying in one contract."
    )
    price_quotation_factor = models.DecimalField(
        max_digits=28,
        decimal_places=12,
        default=Decimal(1),
        help_text="Worth of one quoted unit in the currency: 0.01 where London quotes pence of GBP.",
    )
    qty_increment = models.DecimalField(
        "quantity increment", max_digits=36, decimal_places=18, default=Decimal("0.00000001")
    )
    price_increment = models.DecimalField(
        max_digits=28, decimal_places=12, null=True, blank=True, help_text="The tick; empty where none is known."
    )
    active = models.BooleanField(default=True)

    objects: ClassVar[InstrumentManager] = InstrumentManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["venue", "symbol", "currency"], name="trader_instrument_venue_symbol_currency_unique"
            ),
            models.CheckConstraint(
                condition=positive("multiplier"),
                name="trader_instrument_multiplier_check",
                violation_error_message="A multiplier is positive.",
            ),
            models.CheckConstraint(
                condition=positive("price_quotation_factor"),
                name="trader_instrument_price_quotation_factor_check",
                violation_error_message="A price quotation factor is positive.",
            ),
            models.CheckConstraint(
                condition=positive("qty_increment"),
                name="trader_instrument_qty_increment_check",
                violation_error_message="A quantity increment is positive.",
            ),
            models.CheckConstraint(
                condition=positive("price_increment"),
                name="trader_instrument_price_increment_check",
                violation_error_message="A price increment is positive.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol}.{self.venue}:{self.currency}"

    def natural_key(self) -> tuple[str, str, str]:
        return (self.symbol, self.venue.mic, self.currency.code)

    @property
    def quoted_in(self) -> str:
        """What a price of 1 is: CHF, or 0.01 GBP."""
        factor = self.price_quotation_factor
        return self.currency.code if factor == 1 else f"{plain(factor)} {self.currency.code}"

    @property
    def unit(self) -> Decimal:
        """What one unit of quantity is worth, in the currency, at a price of 1: multiplier x price quotation factor."""
        return CONTEXT.multiply(self.multiplier, self.price_quotation_factor)
