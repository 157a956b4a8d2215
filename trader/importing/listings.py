"""The instruments and currencies that a file names: found in the book, or made."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Q, QuerySet

from trader.booking.numbers import plain
from trader.importing.activities import Details, InstrumentName
from trader.importing.problems import Refusal
from trader.models import Currency, Instrument, InstrumentIdentifier
from trader.operations.currencies import CurrencyUnusable, currency_named
from trader.operations.instruments import NO_MARKET, venue_named

ISIN, CUSIP = InstrumentIdentifier.Source.ISIN, InstrumentIdentifier.Source.CUSIP
TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('trader_instrument', 0))"
# A file of so many names that they would not fit: those looked up first are looked up again.
KEPT = 10_000


class Listing(NamedTuple):
    """What an import needs of an instrument; `unit` is multiplier x price quotation factor."""

    instrument: Instrument
    name: str
    unit: Decimal
    qty_increment: Decimal
    time_zone: ZoneInfo


def take_turns() -> None:
    """From here to the end of the transaction, no other import makes instruments, venues or coins.

    Two that made the same ones, each in the order of its file, would wait for each other.
    """
    with connection.cursor() as cursor:
        cursor.execute(TAKE_TURNS)


class Currencies:
    """Currencies by their codes; new coins are made."""

    def __init__(self) -> None:
        self._known = {currency.code: currency for currency in Currency.objects.all()}

    def named(self, code: str, column: str = "currency") -> Currency:
        """Raises Refusal."""
        currency = self._known.get(code)
        if currency is None:
            take_turns()
            try:
                currency = self._known[code] = currency_named(code)
            except CurrencyUnusable as error:
                raise Refusal(column, code, str(error)) from error
        return currency

    @property
    def minor_units(self) -> dict[str, int]:
        return {code: currency.minor_unit for code, currency in self._known.items()}


class Listings:
    """Instruments by what rows call them; new ones are made, with their venues. Each name is looked up once."""

    def __init__(self, currencies: Currencies) -> None:
        self._currencies = currencies
        self._found: dict[tuple[InstrumentName, date | None], Listing | Refusal] = {}

    def find(self, name: InstrumentName, day: date) -> Listing:
        """The instrument that has this name on the day. Raises Refusal."""
        found = self._found.get((name, None)) or self._found.get((name, day))
        if found is None:
            if len(self._found) >= KEPT:
                self._found.clear()
            found = self._look_up(name, day)
            self._found[name, day if name.isin and _is_dated(name) else None] = found
        if isinstance(found, Refusal):
            raise found
        return found

    def _look_up(self, name: InstrumentName, day: date) -> Listing | Refusal:
        try:
            if name.currency:
                self._currencies.named(name.currency)
            found = self._identified(name, day) if name.currency else _without_currency(name, day)
            _see_multiplier(found, name)
            return _listing(found)
        except Refusal as refusal:
            return refusal

    def _identified(self, name: InstrumentName, day: date) -> Instrument:
        """By symbol, MIC and currency; else by ISIN and currency; else a new one."""
        listed = _named(name).first() if name.symbol else None
        if not name.isin:
            return listed or self._create(name)
        owners = [owner for owner in _owners(name, day) if owner.currency.code == name.currency]
        if listed:
            _join(listed, name, owners, day)
            return listed
        return _only(owners, name) or self._create(name)

    def _create(self, name: InstrumentName) -> Instrument:
        take_turns()
        instrument, _ = Instrument.objects.get_or_create(
            symbol=name.symbol or name.isin,
            venue=venue_named(name.mic or NO_MARKET),
            currency=self._currencies.named(name.currency),
            defaults=_told(name.details),
        )
        if name.isin:
            _give(instrument, ISIN, name.isin)
        if name.details.cusip:
            _give(instrument, CUSIP, name.details.cusip)
        return instrument


def _told(details: Details) -> dict[str, Any]:
    """Fields of a new instrument; what the row does not tell has its default."""
    fields = details._asdict()
    del fields["cusip"]
    return {field: value for field, value in fields.items() if value not in ("", None)}


def _see_multiplier(instrument: Instrument, name: InstrumentName) -> None:
    told = name.details.multiplier
    if told is not None and told != instrument.multiplier:
        raise Refusal("multiplier", plain(told), f"{plain(instrument.multiplier)}, the multiplier of {instrument}")


def _listing(instrument: Instrument) -> Listing:
    return Listing(
        instrument,
        str(instrument),
        instrument.unit,
        instrument.qty_increment,
        ZoneInfo(instrument.venue.time_zone),
    )


def _named(name: InstrumentName) -> QuerySet[Instrument]:
    named = Instrument.objects.filter(symbol=name.symbol, venue__mic=name.mic or NO_MARKET)
    named = named.filter(currency__code=name.currency) if name.currency else named
    return named.select_related("venue", "currency").order_by("pk")


def _owners(name: InstrumentName, day: date) -> list[Instrument]:
    """The instruments that have the ISIN on the day, or for their symbol; at the MIC where the row has one."""
    identified = Q(identifiers__source=ISIN, identifiers__value=name.isin, identifiers__valid__contains=day)
    owners = Instrument.objects.filter(identified | Q(symbol=name.isin))
    owners = owners.filter(venue__mic=name.mic) if name.mic else owners
    return list(owners.select_related("venue", "currency").order_by("pk").distinct())


def _is_dated(name: InstrumentName) -> bool:
    """Whether it is a matter of days which instrument has the ISIN, or which ISIN the symbol's has."""
    concerned = InstrumentIdentifier.objects.filter(Q(value=name.isin) | Q(instrument__symbol=name.symbol), source=ISIN)
    return concerned.exclude(valid__lower_inf=True, valid__upper_inf=True).exists()


def _without_currency(name: InstrumentName, day: date) -> Instrument:
    found = list(_named(name)) if name.symbol else _owners(name, day)
    instrument = _only(found, name)
    if instrument is None:
        raise Refusal("currency", "", "the currency of an instrument that is not in the book yet")
    return instrument


def _only(found: list[Instrument], name: InstrumentName) -> Instrument | None:
    if len(found) > 1:
        column = "symbol" if name.symbol and not name.isin else "isin"
        value = name.symbol if column == "symbol" else name.isin
        raise Refusal(column, value, f"more of the name, for it is one of {_names(found)}")
    return found[0] if found else None


def _names(instruments: Iterable[Instrument]) -> str:
    return ", ".join(sorted(map(str, instruments)))


def _join(listed: Instrument, name: InstrumentName, owners: list[Instrument], day: date) -> None:
    """See that the ISIN is the listed instrument's, or give it the ISIN where neither has another."""
    if listed in owners:
        return
    if owners:
        raise Refusal("isin", name.isin, f"the ISIN of {listed}: this one is of {_names(owners)}")
    others = InstrumentIdentifier.objects.filter(instrument=listed, source=ISIN, valid__contains=day)
    other = others.order_by("pk").values_list("value", flat=True).first()
    if other:
        raise Refusal("isin", name.isin, f"{other}, which is the ISIN of {listed} on that day")
    _give(listed, ISIN, name.isin)


def _give(instrument: Instrument, source: str, value: str) -> None:
    """For all days, unless another instrument has it at that venue. Raises Refusal for a malformed one."""
    take_turns()
    mic = instrument.venue.mic
    if InstrumentIdentifier.objects.filter(source=source, value=value, mic=mic).exists():
        return
    identifier = InstrumentIdentifier(instrument=instrument, source=source, value=value, mic=mic, valid=(None, None))
    try:
        identifier.full_clean()
    except ValidationError as error:
        raise Refusal(
            source.lower(), value, f"{'an ISIN' if source == ISIN else 'a CUSIP'}. {' '.join(error.messages)}"
        ) from error
    identifier.save()
