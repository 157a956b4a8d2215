from datetime import date

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db.backends.postgresql.psycopg_any import DateRange

from tests.factories import InstrumentFactory, InstrumentIdentifierFactory
from tests.trader.models.plain_sql import PlainBook, Row, orm_refused, refused
from trader.models import InstrumentIdentifier

pytestmark = pytest.mark.django_db

VALUE = "trader_instrumentidentifier_source_value_check"
OWNER = "trader_instrumentidentifier_source_value_mic_valid_excl"

# Apple, Nestlé, BAE Systems, SAP, a loan of Victoria, Shell, Alphabet, a fund, a US Treasury bond, a Eurobond, IBM, ...
REAL = {
    "ISIN": "US0378331005 CH0038863350 GB0002634946 DE0007164600 AU0000XVGZA3 GB00B03MLX29 US38259P5089 IE00B4L5Y983"
    " US912810TM09 XS0971721963",
    "CUSIP": "037833100 38259P508 17275R102 594918104 68389X105 G0177J108 459200101 912810TM0 H1467J104",
    "SEDOL": "0263494 2046251 B03MLX2 0989529 BH4HKS3 B0WNLY7 7110388 B1YW440",
    "FIGI": "BBG000B9XRY4 BBG000BLNNH6 BBG000BPH459 BBG000MM2P62 BBG009S39JX6 NRG92C84SB39",
}
VALID = "SELECT given FROM unnest(%s::text[]) AS given WHERE trader_identifier_is_valid(%s, given)"


def with_another_digit(value: str) -> list[str]:
    return [
        value[:place] + digit + value[place + 1 :]
        for place, former in enumerate(value)
        if former.isdigit()
        for digit in "0123456789"
        if digit != former
    ]


@pytest.mark.parametrize("source", REAL)
def test_real_identifiers_are_accepted_and_none_with_another_digit(book: PlainBook, source: str) -> None:
    for value in REAL[source].split():
        book.identifier(source, value)
        wrong = with_another_digit(value)

        assert book.execute(VALID, [value, *wrong], source).fetchall() == [(value,)]
        with refused(book.session, VALUE):
            book.identifier(source, wrong[-1])


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("ISIN", ""),
        ("ISIN", "us0378331005"),
        ("ISIN", "US037833100"),
        ("ISIN", "US03783310050"),
        ("ISIN", "US0378331005\n"),
        ("ISIN", "U10378331009"),
        ("ISIN", "US037833100A"),
        ("CUSIP", "03783310"),
        ("CUSIP", "0378331000"),
        ("CUSIP", "38259p508"),
        ("CUSIP", "0378-3100"),
        ("SEDOL", "026349"),
        ("SEDOL", "02634940"),
        ("SEDOL", "A263494"),
        ("SEDOL", "b03mlx2"),
        ("FIGI", "BBG000B9XRY"),
        ("FIGI", "1BG000B9XRY5"),
        ("FIGI", "BBX000B9XRY5"),
        ("FIGI", "BBG000A9XRY5"),
        ("FIGI", "bbg000b9xry4"),
        ("TICKER", ""),
        ("TICKER", " NESN"),
        ("TICKER", "NESN "),
        ("TICKER", "NESN\u00a0"),
        ("TICKER", "NE\tSN"),
        ("WKN", "710000"),
        ("isin", "US0378331005"),
    ],
)
def test_a_value_that_the_source_does_not_give_is_refused(book: PlainBook, source: str, value: str) -> None:
    with refused(book.session, VALUE):
        book.identifier(source, value)


@pytest.mark.parametrize("country", ["BS", "BM", "GG", "GB", "GH", "KY", "VG"])
def test_a_figi_does_not_begin_as_an_isin_could(book: PlainBook, country: str) -> None:
    values = [f"{country}G000B9XRY{digit}" for digit in range(10)]

    assert book.execute(VALID, values, "FIGI").fetchall() == []
    assert len(book.execute(VALID, [f"QQ{value[2:]}" for value in values], "FIGI").fetchall()) == 1


@pytest.mark.parametrize("ticker", ["NESN", "BRK.B", "BF B", "7203", "^GSPC", "ÖMV"])
def test_a_ticker_is_of_any_printable_characters(book: PlainBook, ticker: str) -> None:
    book.identifier("TICKER", ticker)


@pytest.mark.parametrize("mic", ["xswx", "XSW", "XSWX\n"])
def test_a_malformed_mic_is_refused(book: PlainBook, mic: str) -> None:
    with pytest.raises((psycopg.IntegrityError, psycopg.DataError)), book.session.transaction():
        book.identifier("TICKER", "NESN", mic=mic)

    book.identifier("TICKER", "NESN", mic="XSWX")


@pytest.mark.parametrize("valid", ["empty", "[2026-01-05,2026-01-05)", "(2026-01-04,2026-01-05)"])
def test_a_name_is_somebodys_for_a_day_or_more(book: PlainBook, valid: str) -> None:
    with refused(book.session, "trader_instrumentidentifier_valid_check"):
        book.identifier("TICKER", "NESN", valid)


@pytest.mark.parametrize("valid", ["[2026-01-05,)", "[2026-01-20,2026-01-21)", "(,2026-01-06)", "(,)"])
def test_a_name_has_one_owner_at_a_time(book: PlainBook, valid: str) -> None:
    other = book.another_instrument("BBB")
    book.identifier("TICKER", "NESN", "[2026-01-05,2026-02-01)")

    for owner in (book.instrument, other):
        with refused(book.session, OWNER):
            book.identifier("TICKER", "NESN", valid, instrument_id=owner)


def test_a_name_is_another_ones_when_the_former_owner_has_left_it(book: PlainBook) -> None:
    other = book.another_instrument("BBB")
    book.identifier("TICKER", "FB", "[2012-05-18,2022-06-09)")

    book.identifier("TICKER", "META", "[2022-06-09,)")
    later = book.identifier("TICKER", "FB", "[2022-06-09,)", instrument_id=other)
    book.identifier("TICKER", "FB", "(,2012-05-18)", instrument_id=other)

    with refused(book.session, OWNER):
        book.execute("UPDATE trader_instrumentidentifier SET valid = '[2022-06-08,)' WHERE id = %s", later)


@pytest.mark.parametrize("changes", [{"source": "TICKER", "mic": "XSWX"}, {"source": "SEDOL"}])
def test_names_of_other_sources_and_venues_are_others(book: PlainBook, changes: Row) -> None:
    book.identifier("TICKER", "0263494")

    book.identifier(**changes | {"value": "0263494", "instrument_id": book.another_instrument("BBB")})


def test_the_orm_cannot_give_a_name_twice() -> None:
    InstrumentIdentifierFactory.create(value="NESN")

    with orm_refused(OWNER):
        InstrumentIdentifierFactory.create(value="NESN")


def test_validation_says_what_is_wrong_with_a_name() -> None:
    InstrumentIdentifierFactory.create(value="NESN")
    name = InstrumentIdentifier(
        instrument=InstrumentFactory.create(), source="TICKER", value="NESN", valid=DateRange(date(2026, 2, 1), None)
    )

    with pytest.raises(ValidationError, match="the name has an owner already"):
        name.full_clean()
    name.source, name.value = InstrumentIdentifier.Source.ISIN, "US0378331006"
    with pytest.raises(ValidationError, match="the check digit is wrong"):
        name.full_clean()
