from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from tests.factories import CurrencyFactory, InstrumentFactory, VenueFactory
from tests.trader.operations.books import figures
from trader.models import Currency, Instrument, Venue
from trader.operations.currencies import CurrencyUnusable, currency_named
from trader.operations.instruments import (
    InstrumentAmbiguous,
    InstrumentUnknown,
    create_instrument,
    find_instrument,
    venue_named,
)

pytestmark = pytest.mark.django_db


def listed(symbol: str, mic: str = "XSWX", code: str = "CHF") -> Instrument:
    return InstrumentFactory.create(
        symbol=symbol, venue=VenueFactory.create(mic=mic), currency=CurrencyFactory.create(code=code)
    )


def test_a_known_currency_stays_as_it_is() -> None:
    yen = CurrencyFactory.create(code="JPY", minor_unit=0)

    assert currency_named("JPY") == yen
    assert Currency.objects.get().minor_unit == 0


@pytest.mark.parametrize("code", ["BTC", "USDT", "PEPE2"])
def test_an_unknown_coin_is_made_with_eight_places(code: str) -> None:
    coin = currency_named(code)

    assert (coin.code, coin.minor_unit) == (code, 8)
    assert currency_named(code) == coin


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("XAU", "ISO 4217 gives XAU none"),
        ("XXX", "ISO 4217 gives XXX none"),
        ("GBX", "GBP: GBX is a hundredth of it"),
        ("ZAC", "ZAR: ZAC is a hundredth of it"),
        ("chf", "3 to 10 capital letters and digits"),
        ("1INCH", "3 to 10 capital letters and digits"),
        ("", "3 to 10 capital letters and digits"),
        ("TOOLONGACOIN", "3 to 10 capital letters and digits"),
    ],
)
def test_what_cannot_be_a_coin_is_refused(code: str, message: str) -> None:
    with pytest.raises(CurrencyUnusable, match=message):
        currency_named(code)

    assert not Currency.objects.exists()


@pytest.mark.parametrize("name", ["NESN.XSWX", "NESN.XSWX:CHF"])
def test_an_instrument_is_found_by_symbol_venue_and_currency(name: str) -> None:
    nestle = listed("NESN")
    listed("NESN", mic="XETR")
    listed("NESNE")

    assert find_instrument(name) == nestle


def test_a_symbol_may_have_dots_of_its_own() -> None:
    berkshire = listed("BRK.B", mic="XNYS", code="USD")
    listed("B", mic="XNYS", code="USD")

    assert find_instrument("BRK.B.XNYS") == berkshire


def test_a_name_of_several_listings_is_refused_until_the_currency_settles_it() -> None:
    dollars, francs = listed("ABBN", code="USD"), listed("ABBN")

    with pytest.raises(InstrumentAmbiguous, match=r"ABBN\.XSWX is one of ABBN\.XSWX:CHF, ABBN\.XSWX:USD"):
        find_instrument("ABBN.XSWX")
    assert find_instrument("ABBN.XSWX:CHF") == francs
    assert find_instrument("ABBN.XSWX:USD") == dollars


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NESN.XETR", "There is no instrument NESN.XETR"),
        ("NESN.XSWX:EUR", "There is no instrument NESN.XSWX:EUR"),
        ("NESN", "'NESN' is not of the form SYMBOL.MIC"),
        (".XSWX", "is not of the form SYMBOL.MIC"),
        ("NESN.xswx", "is not of the form SYMBOL.MIC"),
    ],
)
def test_an_unknown_instrument_is_refused(name: str, message: str) -> None:
    listed("NESN")

    with pytest.raises(InstrumentUnknown, match=message):
        find_instrument(name)


def test_an_instrument_is_made_with_its_venue_and_its_coin() -> None:
    instrument = create_instrument(symbol="BTC", mic="BINA", currency="USDT", qty_increment=Decimal("0.00001"))

    stored = Instrument.objects.get()
    assert instrument == stored
    assert str(stored) == "BTC.BINA:USDT"
    assert figures(stored, "qty_increment", "multiplier", "price_quotation_factor") == (Decimal("0.00001"), 1, 1)
    assert figures(stored.venue, "mic", "name", "time_zone") == ("BINA", "BINA", "UTC")
    assert stored.currency.minor_unit == 8


def test_an_instrument_without_a_venue_is_traded_nowhere_in_particular() -> None:
    assert str(create_instrument(symbol="BTC", mic="", currency="USDT")) == "BTC.XXXX:USDT"


def test_a_known_venue_stays_as_it_is() -> None:
    zurich = VenueFactory.create(mic="XSWX")

    assert venue_named("XSWX") == zurich
    assert Venue.objects.get().time_zone == "Europe/Zurich"


@pytest.mark.parametrize(
    ("symbol", "mic", "code", "multiplier", "refusal"),
    [
        ("NEW", "toolong", "USDT", 1, ValidationError),
        ("NEW", "QQQA", "GBX", 1, CurrencyUnusable),
        ("NEW", "QQQA", "USDT", 0, ValidationError),
        ("", "QQQA", "USDT", 1, ValidationError),
        ("NESN", "XSWX", "CHF", 1, ValidationError),
    ],
)
def test_an_instrument_that_is_refused_leaves_nothing_behind(
    symbol: str, mic: str, code: str, multiplier: int, refusal: type[Exception]
) -> None:
    listed("NESN")

    with pytest.raises(refusal):
        create_instrument(symbol=symbol, mic=mic, currency=code, multiplier=Decimal(multiplier))

    assert (Instrument.objects.count(), Venue.objects.count(), Currency.objects.count()) == (1, 1, 1)
