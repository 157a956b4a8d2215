from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from trader.importing import values
from trader.importing.values import Ratio, Selection, Unreadable

ZURICH = ZoneInfo("Europe/Zurich")
NINES = "9" * 18
PLACES = "0." + "0" * 17 + "1"

Reader = Callable[[str], Any]


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (values.quantity, "1", Decimal(1)),
        (values.quantity, "+1.50", Decimal("1.5")),
        (values.quantity, "1.", Decimal(1)),
        (values.quantity, ".5", Decimal("0.5")),
        (values.quantity, "00012", Decimal(12)),
        (values.quantity, "1e3", Decimal(1000)),
        (values.quantity, "12E-1", Decimal("1.2")),
        (values.quantity, PLACES, Decimal("1e-18")),
        (values.quantity, f"{NINES}.{NINES}", Decimal(f"{NINES}.{NINES}")),
        (values.price, "0", Decimal(0)),
        (values.price, "0." + "1" * 90, Decimal("0." + "1" * 90)),
        (values.amount, "-0.00", Decimal(0)),
        (values.gross_amount, "0.0", Decimal(0)),
        (values.nonzero_amount, "-12.5", Decimal("-12.5")),
        (values.positive_amount, "99999999999999999999", Decimal("99999999999999999999")),
        (values.fee, "-0.25", Decimal("-0.25")),
        (values.rate, "0.000000000001", Decimal("1e-12")),
        (values.ratio, "4:1", Ratio(4, 1)),
        (values.ratio, "1:20", Ratio(1, 20)),
        (values.mic, "XSWX", "XSWX"),
        (values.mic, "3579", "3579"),
        (values.isin, "CH0038863350", "CH0038863350"),
        (values.currency, "CHF", "CHF"),
        (values.currency, "INCH1", "INCH1"),
        (values.symbol, "BRK.B", "BRK.B"),
        (values.symbol, "é" * 64, "é" * 64),
        (values.external_id, "x" * 128, "x" * 128),
        (values.selections, "T1:10", (Selection("T1", Decimal(10)),)),
        (values.selections, " a:b :1.5; c:2 ;", (Selection("a:b", Decimal("1.5")), Selection("c", Decimal(2)))),
    ],
)
def test_a_cell_is_read_exactly(read: Reader, text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1234.56", "1234.56"),
        ("1234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("-1.234.567,8", "-1234567.8"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1234,567", "1234.567"),
        ("0,123", "0.123"),
        ("12,6000", "12.6000"),
        ("7", "7"),
        (",5", ".5"),
    ],
)
def test_where_commas_may_be_decimal_what_can_be_meant_in_one_way_alone_is_read(text: str, plain: str) -> None:
    assert values.delocalized(text) == plain


@pytest.mark.parametrize(("text", "plain"), [("1,234", "1234, or 1.2340"), ("-12.345", "-12345, or -12.3450")])
def test_what_may_be_a_thousand_or_a_thousandth_is_refused(text: str, plain: str) -> None:
    with pytest.raises(Unreadable, match=f"^{plain}: which of the two is meant cannot be told$"):
        values.delocalized(text)


@pytest.mark.parametrize("text", ["1,2,3", "1.2,3.4", "1,23.4", "12,34,567", "1 234,5", "=1+1", ",", "."])
def test_what_is_no_number_stays_none(text: str) -> None:
    with pytest.raises(Unreadable):
        values.amount(values.delocalized(text))


@pytest.mark.parametrize("read", [values.quantity, values.price, values.amount, values.fee, values.rate])
@pytest.mark.parametrize(
    "text",
    [
        *(
            "NaN",
            "sNaN",
            "Infinity",
            "-inf",
            "1,000",
            "1'000",
            "1 000",
            "1_000",
            "0x10",
            "1..0",
            ".",
            "-",
            "1e",
            "1e1000",
        ),
        *("\uff11", "\u0663", "½", "1-", "(1)", "CHF 1", "1%", "=1+1", "1\x00", "1" * 101),
    ],
)
def test_what_is_no_plain_number_is_refused(read: Reader, text: str) -> None:
    with pytest.raises(Unreadable, match="a number such as"):
        read(text)


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (values.quantity, "0", "a number over 0"),
        (values.quantity, "-1", "a number over 0"),
        (values.quantity, "1e18", "a number under 1e18"),
        (values.quantity, f"{PLACES}1", "at most 18 decimal places"),
        (values.price, "-0.01", "a number without a sign"),
        (values.price, "1e16", "a number under 1e16"),
        (values.gross_amount, "-1", "a number without a sign"),
        (values.gross_amount, "1e20", "a number under 1e20"),
        (values.nonzero_amount, "0", "an amount other than 0"),
        (values.positive_amount, "0", "a number over 0"),
        (values.fee, "1e18", "a number under 1e18"),
        (values.fee, f"{PLACES}1", "at most 18 decimal places"),
        (values.rate, "0", "a number over 0"),
        (values.rate, "1e12", "a number under 1e12"),
        (values.rate, "0.0000000000001", "at most 12 decimal places"),
        (values.ratio, "4", "new units for old ones"),
        (values.ratio, "4:0", "new units for old ones"),
        (values.ratio, "4:1:1", "new units for old ones"),
        (values.ratio, "1.5:1", "new units for old ones"),
        (values.ratio, "-4:1", "new units for old ones"),
        (values.ratio, "4:1000000000", "new units for old ones"),
        (values.mic, "xswx", "a MIC"),
        (values.mic, "XSWX1", "a MIC"),
        (values.isin, "CH003886335", "an ISIN"),
        (values.isin, "CH003886335X", "an ISIN"),
        (values.currency, "chf", "a code of capital letters"),
        (values.currency, "CH", "a code of capital letters"),
        (values.currency, "1NCH", "a code of capital letters"),
        (values.currency, "ABCDEFGHIJK", "a code of capital letters"),
        (values.currency, "CHF\n", "a code of capital letters"),
        (values.symbol, "x" * 65, "at most 64 printable characters"),
        (values.symbol, "A\tB", "at most 64 printable"),
        (values.symbol, "A\u200bB", "at most 64 printable"),
        (values.external_id, "x" * 129, "at most 128 printable characters"),
        (values.selections, ";", "lots such as"),
        (values.selections, "T1", "lots such as"),
        (values.selections, ":5", "lots such as"),
        (values.selections, "T1:0", "a number over 0"),
        (values.selections, "T1:5;T1:5", "each lot once"),
        (values.selections, "T1:", "a number such as"),
    ],
)
def test_what_its_column_does_not_take_is_refused(read: Reader, text: str, expected: str) -> None:
    with pytest.raises(Unreadable, match=f"^{expected}"):
        read(text)


@pytest.mark.parametrize(
    ("text", "at", "is_date"),
    [
        ("2026-01-05", "2026-01-05T00:00:00", True),
        ("2026-01-05T09:30:00", "2026-01-05T09:30:00", False),
        ("2026-01-05 09:30:00.25", "2026-01-05T09:30:00.250000", False),
        ("2026-01-05T09:30:00.123456Z", "2026-01-05T09:30:00.123456+00:00", False),
        ("2026-01-05T09:30:00+01:00", "2026-01-05T09:30:00+01:00", False),
        ("2024-02-29", "2024-02-29T00:00:00", True),
    ],
)
def test_a_time_is_read_as_it_stands(text: str, at: str, is_date: bool) -> None:
    moment = values.moment(text)

    assert (moment.at.isoformat(), moment.is_date) == (at, is_date)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(
            (text, "a date or time such as")
            for text in ("05.01.2026", "01/05/2026", "2026-1-5", "20260105", "2026-W01")
        ),
        *((text, "a date or time such as") for text in ("2026-01-05T09", "2026-01-05T09:30", "2026-01-05T09:30:00,5")),
        *(
            (text, "a date or time such as")
            for text in ("2026-01-05T09:30:00 CET", "2026-01-05T09:30:00+0100", "\u0662\u0660\u0662\u0666-01-05")
        ),
        *((text, "a date and time that exist") for text in ("2026-02-29", "2026-13-01", "2026-00-10", "0000-01-01")),
        *((text, "a date and time that exist") for text in ("2026-01-05T24:00:00", "2026-01-05T23:59:60")),
        *((text, "a date and time that exist") for text in ("2026-01-05T09:30:00+24:00", "2026-01-05T09:30:00+99:99")),
        *((text, "a year from 1900 to 2200") for text in ("1899-12-31", "2201-01-01", "9999-12-31T23:59:59-23:59")),
    ],
)
def test_a_time_that_is_none_is_refused(text: str, expected: str) -> None:
    with pytest.raises(Unreadable, match=expected):
        values.moment(text)


@pytest.mark.parametrize(
    ("text", "instant", "day"),
    [
        ("2026-01-05", datetime(2026, 1, 4, 23, tzinfo=UTC), date(2026, 1, 5)),
        ("2026-07-05T00:30:00", datetime(2026, 7, 4, 22, 30, tzinfo=UTC), date(2026, 7, 5)),
        ("2026-01-04T23:30:00Z", datetime(2026, 1, 4, 23, 30, tzinfo=UTC), date(2026, 1, 5)),
        ("2026-10-25T02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), date(2026, 10, 25)),
        ("2026-10-25T02:30:00+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), date(2026, 10, 25)),
    ],
    ids=["a date is midnight", "local", "with an offset", "the first of an hour that comes twice", "the second of it"],
)
def test_a_time_without_an_offset_is_one_of_the_zone(text: str, instant: datetime, day: date) -> None:
    assert values.moment(text).placed(ZURICH) == (instant, day)


def test_a_time_that_the_clocks_skip_is_refused() -> None:
    skipped = values.moment("2026-03-29T02:30:00")

    with pytest.raises(Unreadable, match="a time that the clocks of Europe/Zurich show"):
        skipped.placed(ZURICH)


def test_a_date_whose_midnight_the_clocks_skip_is_the_start_of_that_day() -> None:
    skipped_midnight = values.moment("2018-11-04")

    assert skipped_midnight.placed(ZoneInfo("America/Sao_Paulo")) == (
        datetime(2018, 11, 4, 3, tzinfo=UTC),
        date(2018, 11, 4),
    )
