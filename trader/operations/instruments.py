"""Instruments by their names, and new ones."""

import re
from typing import Any

from django.db import transaction

from trader.models import Instrument, Venue
from trader.operations.currencies import currency_named

# The MIC of what is traded nowhere in particular (ISO 10383: "no market").
NO_MARKET = "XXXX"
NAME = re.compile(r"(?P<symbol>.+)\.(?P<mic>[A-Z0-9]{4})(?::(?P<currency>[A-Z][A-Z0-9]{2,9}))?")


class InstrumentUnknown(LookupError):
    """The book has an instrument of that name."""


class InstrumentAmbiguous(LookupError):
    """A name is of one instrument alone."""


def find_instrument(name: str) -> Instrument:
    """The instrument called SYMBOL.MIC, or SYMBOL.MIC:CUR where it is listed in several currencies; the symbol may have
    dots of its own. Raises InstrumentUnknown and InstrumentAmbiguous."""
    parts = NAME.fullmatch(name)
    if not parts:
        raise InstrumentUnknown(f"{name!r} is not of the form SYMBOL.MIC or SYMBOL.MIC:CUR, such as NESN.XSWX:CHF.")
    found = Instrument.objects.filter(symbol=parts["symbol"], venue__mic=parts["mic"])
    if parts["currency"]:
        found = found.filter(currency__code=parts["currency"])
    instruments = list(found.select_related("venue", "currency").order_by("currency__code"))
    if not instruments:
        raise InstrumentUnknown(f"There is no instrument {name}.")
    if len(instruments) > 1:
        raise InstrumentAmbiguous(f"{name} is one of {', '.join(map(str, instruments))}: name its currency too.")
    return instruments[0]


@transaction.atomic
def create_instrument(*, symbol: str, mic: str, currency: str, **attributes: Any) -> Instrument:
    """A new instrument, with its venue and its coin where they are new too; `attributes` are more of its fields.

    Raises ValidationError, and CurrencyUnusable.
    """
    instrument = Instrument(
        symbol=symbol, venue=venue_named(mic or NO_MARKET), currency=currency_named(currency), **attributes
    )
    instrument.full_clean()
    instrument.save()
    return instrument


def venue_named(mic: str) -> Venue:
    """The venue, or a new one of that MIC, in UTC until somebody says better."""
    venue = Venue.objects.filter(mic=mic).first()
    if venue is None:
        Venue(mic=mic, name=mic).full_clean(validate_unique=False)
        venue = Venue.objects.get_or_create(mic=mic, defaults={"name": mic})[0]
    return venue
