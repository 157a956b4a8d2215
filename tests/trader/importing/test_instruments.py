from datetime import date
from decimal import Decimal

import pytest
from django.db.backends.postgresql.psycopg_any import DateRange

from tests.factories import (
    AccountFactory,
    CurrencyFactory,
    InstrumentFactory,
    InstrumentIdentifierFactory,
    VenueFactory,
)
from tests.trader.importing.intake import imported, refused
from tests.trader.importing.sheets import Row, cash, exchange, split, trade
from trader.importing.problems import Problem
from trader.models import Account, Currency, Execution, Instrument, InstrumentIdentifier, Venue

pytestmark = pytest.mark.django_db

NESTLE, ROCHE = "CH0038863350", "CH0012032048"


@pytest.fixture
def account() -> Account:
    CurrencyFactory.create(code="USD")
    return AccountFactory.create()


def traded() -> list[str]:
    """The instruments of the trades, by their names, in the order of the file."""
    rows = Execution.objects.order_by("import_row__row_number").select_related(
        "instrument__venue", "instrument__currency"
    )
    return [str(row.instrument) for row in rows]


def instruments() -> list[str]:
    return sorted(map(str, Instrument.objects.select_related("venue", "currency")))


def test_an_unknown_instrument_is_made_with_its_venue(account: Account) -> None:
    imported(account, trade(mic="XOFF"), trade())

    made = Instrument.objects.get(venue__mic="XOFF")
    assert instruments() == ["AAA.XOFF:CHF", "AAA.XXXX:CHF"]
    assert (made.security_type, made.unit, made.qty_increment) == ("NONE", Decimal(1), Decimal("0.00000001"))
    assert list(Venue.objects.order_by("mic").values_list("mic", "name", "time_zone")) == [
        ("XOFF", "XOFF", "UTC"),
        ("XXXX", "XXXX", "UTC"),
    ]


def test_a_known_instrument_is_found(account: Account) -> None:
    known = InstrumentFactory.create(symbol="AAA")

    imported(account, trade(mic="XSWX"), trade(mic="XSWX", price="101"), cash("DIVIDEND", symbol="AAA", mic="XSWX"))

    assert Instrument.objects.get() == known
    assert Venue.objects.count() == 1


def test_symbol_market_and_currency_tell_instruments_apart(account: Account) -> None:
    imported(
        account, trade(mic="XSWX"), trade(mic="XNAS"), trade(mic="XSWX", currency="USD"), trade(mic="XXXX"), trade()
    )

    assert traded() == ["AAA.XSWX:CHF", "AAA.XNAS:CHF", "AAA.XSWX:USD", "AAA.XXXX:CHF", "AAA.XXXX:CHF"]


def test_an_isin_is_remembered(account: Account) -> None:
    imported(
        account,
        trade(isin=NESTLE, mic="XSWX"),
        trade(symbol="", isin=NESTLE),
        trade(symbol="", isin=NESTLE, mic="XSWX"),
    )

    identifier = InstrumentIdentifier.objects.get()
    assert traded() == ["AAA.XSWX:CHF"] * 3
    assert (identifier.source, identifier.value, identifier.mic) == ("ISIN", NESTLE, "XSWX")
    assert (identifier.valid.lower, identifier.valid.upper) == (None, None)


def test_an_instrument_that_only_an_isin_names_takes_it_as_its_symbol(account: Account) -> None:
    imported(account, trade(symbol="", isin=NESTLE), trade(symbol="", isin=NESTLE, price="101"))

    assert traded() == [f"{NESTLE}.XXXX:CHF"] * 2


def test_a_symbol_joins_an_instrument_that_is_known_by_its_isin_alone(account: Account) -> None:
    imported(account, trade(symbol="", isin=NESTLE, mic="XSWX"))

    imported(account, trade(isin=NESTLE, mic="XSWX", price="101"))

    assert traded() == [f"{NESTLE}.XSWX:CHF"] * 2


def test_an_isin_joins_an_instrument_that_is_known_by_its_symbol_alone(account: Account) -> None:
    imported(account, trade(), trade(isin=NESTLE), trade(symbol="", isin=NESTLE))

    assert traded() == ["AAA.XXXX:CHF"] * 3


def test_one_isin_in_two_currencies_or_markets_names_two_instruments(account: Account) -> None:
    imported(
        account,
        trade(isin=NESTLE, mic="XSWX"),
        trade(isin=NESTLE, mic="XETR"),
        trade(isin=NESTLE, mic="XSWX", currency="USD"),
        trade(symbol="", isin=NESTLE, mic="XETR"),
        trade(symbol="", isin=NESTLE, mic="XSWX"),
    )

    assert traded() == ["AAA.XSWX:CHF", "AAA.XETR:CHF", "AAA.XSWX:USD", "AAA.XETR:CHF", "AAA.XSWX:CHF"]


def test_an_isin_names_whose_it_was_on_the_day(account: Account) -> None:
    """By the date that is written, whichever row comes first."""
    for symbol, valid in (("OLD", DateRange(None, date(2026, 1, 6))), ("NEW", DateRange(date(2026, 1, 6), None))):
        instrument = InstrumentFactory.create(symbol=symbol)
        InstrumentIdentifierFactory.create(instrument=instrument, source="ISIN", value=NESTLE, valid=valid, mic="XSWX")
    days = ["2026-01-06", "2026-01-05", "2026-01-07", "2026-01-05"]

    imported(account, *(trade(symbol="", isin=NESTLE, transact_time=day) for day in days))

    assert traded() == ["NEW.XSWX:CHF", "OLD.XSWX:CHF", "NEW.XSWX:CHF", "OLD.XSWX:CHF"]


def test_an_instrument_that_the_currency_leaves_open_is_named_more_closely(account: Account) -> None:
    for code in ("CHF", "USD"):
        InstrumentFactory.create(
            symbol="AAA", currency=CurrencyFactory.create(code=code), venue=VenueFactory.create(mic="XXXX")
        )

    (ambiguous,) = refused(account, split())
    settled = imported(account, split(currency="USD"))

    assert ambiguous == Problem(2, "symbol", "AAA", "more of the name, for it is one of AAA.XXXX:CHF, AAA.XXXX:USD")
    assert settled == (1, 0)


@pytest.mark.parametrize(
    ("row", "column", "value", "expected"),
    [
        (
            trade(symbol="", isin=NESTLE),
            "isin",
            NESTLE,
            "more of the name, for it is one of AAA.XNAS:CHF, AAA.XSWX:CHF",
        ),
        (
            trade(symbol="BBB", isin=NESTLE),
            "isin",
            NESTLE,
            "more of the name, for it is one of AAA.XNAS:CHF, AAA.XSWX:CHF",
        ),
        (trade(mic="XSWX", isin=ROCHE), "isin", ROCHE, f"{NESTLE}, which is the ISIN of AAA.XSWX:CHF on that day"),
        (
            trade(symbol="CCC", mic="XSWX", isin=NESTLE),
            "isin",
            NESTLE,
            "the ISIN of CCC.XSWX:CHF: this one is of AAA.XSWX:CHF",
        ),
        (trade(symbol="NEW", isin="CH0038863351"), "isin", "CH0038863351", "an ISIN. The source gives no such value"),
        (split(symbol="NEW"), "currency", "", "the currency of an instrument that is not in the book yet"),
        (split(symbol="", isin=ROCHE), "currency", "", "the currency of an instrument that is not in the book yet"),
        (
            split(symbol="", isin=NESTLE),
            "isin",
            NESTLE,
            "more of the name, for it is one of AAA.XNAS:CHF, AAA.XSWX:CHF",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    account: Account, row: Row, column: str, value: str, expected: str
) -> None:
    imported(account, trade(isin=NESTLE, mic="XSWX"), trade(isin=NESTLE, mic="XNAS"), trade(symbol="CCC", mic="XSWX"))

    (problem,) = refused(account, cash(), row)

    assert problem[:3] == (3, column, value)
    assert problem.expected.startswith(expected)


HINT = "{}: {} is a hundredth of it, which a price quotation factor of 0.01 says"


@pytest.mark.parametrize(
    ("row", "column", "code", "expected"),
    [
        (trade(currency="GBX"), "currency", "GBX", HINT.format("GBP", "GBX")),
        (trade(currency="ILA"), "currency", "ILA", HINT.format("ILS", "ILA")),
        (trade(fee="1", fee_currency="ZAC"), "fee_currency", "ZAC", HINT.format("ZAR", "ZAC")),
        (trade(settl_currency="GBX", settl_amount="1"), "settl_currency", "GBX", HINT.format("GBP", "GBX")),
        (cash(currency="XAU"), "currency", "XAU", "a currency with a minor unit: ISO 4217 gives XAU none"),
        (exchange(currency="XXX"), "currency", "XXX", "a currency with a minor unit: ISO 4217 gives XXX none"),
        (
            exchange(settl_currency="XDR"),
            "settl_currency",
            "XDR",
            "a currency with a minor unit: ISO 4217 gives XDR none",
        ),
        (split(currency="GBX"), "currency", "GBX", HINT.format("GBP", "GBX")),
    ],
)
def test_what_is_no_currency_is_refused_with_a_hint(
    account: Account, row: Row, column: str, code: str, expected: str
) -> None:
    assert refused(account, row) == [Problem(2, column, code, expected)]


def test_an_unknown_coin_is_made_with_eight_places(account: Account) -> None:
    imported(account, trade(fee="0.1", fee_currency="BNB"), exchange(currency="SHIB"), cash(currency="A1B2C3D4E5"))

    assert list(
        Currency.objects.exclude(code__in=["CHF", "USD"]).order_by("code").values_list("code", "minor_unit")
    ) == [
        ("A1B2C3D4E5", 8),
        ("BNB", 8),
        ("SHIB", 8),
    ]


def test_a_coin_that_pays_its_own_fee_pays_in_units(account: Account) -> None:
    imported(account, trade(symbol="BTC", currency="USD", quantity="1", fee="0.001", fee_currency="BTC"))

    execution = Execution.objects.get()
    assert execution.fees.get().currency is None
    assert not Currency.objects.filter(code="BTC").exists()
