from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from tests.factories import CorporateActionFactory, FxRateFactory, PriceBarFactory
from tests.trader.models.plain_sql import PlainBook, Row, orm_refused, refused
from trader.models import PriceBar

pytestmark = pytest.mark.django_db

ACTION = "trader_corporateaction_type_check"
SPLITS = "trader_corporateaction_instrument_ex_date_split_unique"
OHLC = "trader_pricebar_low_open_close_high_check"
PARTITION = "SELECT tableoid::regclass::text FROM trader_pricebar WHERE id = %s"


@pytest.mark.parametrize(
    "changes",
    [
        {"numerator": 0},
        {"numerator": -4},
        {"denominator": 0},
        {"numerator": None},
        {"denominator": None},
        {"cash_per_unit": "1"},
        {"type": "CASH_DIVIDEND"},
        {"type": "MERGER"},
    ],
)
def test_a_split_has_a_positive_ratio_and_nothing_else(book: PlainBook, changes: Row) -> None:
    with refused(book.session, ACTION):
        book.split(**{"numerator": 4, "denominator": 1} | changes)
    with refused(book.session, ACTION):
        book.split(4, 1, currency_id=book.currency)


@pytest.mark.parametrize(
    "changes",
    [
        {"cash": "0"},
        {"cash": "-1"},
        {"cash": None},
        {"currency_id": None},
        {"numerator": 4},
        {"denominator": 1},
        {"type": "SPLIT"},
    ],
)
def test_a_dividend_has_cash_of_a_currency_and_nothing_else(book: PlainBook, changes: Row) -> None:
    with refused(book.session, ACTION):
        book.dividend(**{"cash": "1.5"} | changes)


def test_a_second_split_on_a_day_is_refused_and_a_dividend_is_not(book: PlainBook) -> None:
    book.split(4, 1)
    book.split(4, 1, instrument_id=book.another_instrument("BBB"))
    book.dividend("1.5")
    book.dividend("0.5")
    later = book.split(2, 1, ex_date="2026-01-06")

    with refused(book.session, SPLITS):
        book.split(2, 1)
    with refused(book.session, SPLITS):
        book.execute("UPDATE trader_corporateaction SET ex_date = '2026-01-05' WHERE id = %s", later)


def test_the_orm_cannot_split_twice_on_a_day() -> None:
    split = CorporateActionFactory.create()

    with orm_refused(SPLITS):
        CorporateActionFactory.create(instrument=split.instrument, numerator=2)


def test_validation_says_what_an_action_lacks() -> None:
    split = CorporateActionFactory.create()
    split.denominator = None

    with pytest.raises(ValidationError, match="A split has a positive ratio and no cash"):
        split.full_clean()


@pytest.mark.parametrize("rate", ["0", "-0.91"])
def test_a_rate_is_positive(book: PlainBook, rate: str) -> None:
    quote = book.another_currency()

    with refused(book.session, "trader_fxrate_rate_check"):
        book.rate(quote, rate)


def test_a_rate_is_between_two_currencies(book: PlainBook) -> None:
    with refused(book.session, "trader_fxrate_base_quote_check"):
        book.rate(book.currency)


def test_a_second_rate_of_a_pair_source_and_time_is_refused(book: PlainBook) -> None:
    quote = book.another_currency()
    book.rate(quote)
    book.rate(quote, source="ECB")
    book.rate(quote, at="2026-01-05 15:31+00")
    book.rate(book.currency, base_id=quote)

    with refused(book.session, "trader_fxrate_base_quote_source_at_unique"):
        book.rate(quote, "0.92")


def test_the_orm_cannot_write_a_rate_twice() -> None:
    FxRateFactory.create()

    with orm_refused("trader_fxrate_base_quote_source_at_unique"):
        FxRateFactory.create(rate=Decimal("0.92"))


@pytest.mark.parametrize(
    "changes",
    [
        {"low": "100.000000000001"},
        {"low": "101", "open": "102", "close": "100"},
        {"high": "104"},
        {"high": "104", "open": "105", "close": "100"},
        {"low": "-1"},
    ],
)
def test_open_and_close_lie_between_low_and_high(book: PlainBook, changes: Row) -> None:
    with refused(book.session, OHLC):
        book.bar(**changes)


@pytest.mark.parametrize("changes", [dict.fromkeys(("open", "high", "low", "close"), "0"), {"volume": "0"}])
def test_a_bar_without_a_move_or_a_trade_is_accepted(book: PlainBook, changes: Row) -> None:
    book.bar(**changes)


def test_no_volume_is_negative(book: PlainBook) -> None:
    with refused(book.session, "trader_pricebar_volume_check"):
        book.bar(volume="-1")


@pytest.mark.parametrize(
    ("ts", "partition"),
    [
        ("2026-01-01 00:00+00", "trader_pricebar_2026"),
        ("2026-12-31 23:59:59.999999+00", "trader_pricebar_2026"),
        ("2027-01-01 00:00+01", "trader_pricebar_2026"),
        ("2027-01-01 00:00+00", "trader_pricebar_2027"),
        ("2015-01-01 00:00+00", "trader_pricebar_2015"),
        ("2014-12-31 00:00+00", "trader_pricebar_default"),
        ("2099-01-01 00:00+00", "trader_pricebar_default"),
    ],
)
def test_a_bar_lies_in_its_years_partition(book: PlainBook, ts: str, partition: str) -> None:
    book.execute("SET LOCAL TIME ZONE 'Pacific/Kiritimati'")

    assert book.value(PARTITION, book.bar(ts=ts)) == partition


@pytest.mark.parametrize(
    ("ts", "rule"),
    [
        ("2026-01-05 00:00+00", "trader_pricebar_2026_pkey"),
        ("2099-01-05 00:00+00", "trader_pricebar_default_pkey"),
    ],
)
def test_a_second_bar_of_an_instrument_timeframe_source_and_time_is_refused(
    book: PlainBook, ts: str, rule: str
) -> None:
    book.bar(ts=ts)
    book.bar(ts=ts, timeframe="1h")
    book.bar(ts=ts, source="ECB")
    book.bar(ts=ts, instrument_id=book.another_instrument("BBB"))

    with refused(book.session, rule):
        book.bar(ts=ts, close="104")


def test_the_orm_writes_reads_changes_moves_and_deletes_a_bar_by_its_id() -> None:
    bar, other = PriceBarFactory.create(), PriceBarFactory.create()
    assert bar.pk != other.pk

    bar.close, bar.ts = Decimal(99), datetime(2025, 3, 1, tzinfo=UTC)
    bar.save()
    read = PriceBar.objects.get(pk=bar.pk)
    deleted = read.delete()

    assert (read.close, read.ts) == (Decimal(99), datetime(2025, 3, 1, tzinfo=UTC))
    assert deleted == (1, {"trader.PriceBar": 1})
    assert PriceBar.objects.get() == other


def test_the_orm_cannot_write_a_bar_twice() -> None:
    bar = PriceBarFactory.create()

    with orm_refused("trader_pricebar_2026_pkey"):
        PriceBarFactory.create(instrument=bar.instrument)


def test_validation_says_what_is_wrong_with_a_bar() -> None:
    bar = PriceBarFactory.create()
    second = PriceBarFactory.build(instrument=bar.instrument, high=Decimal(1))

    with pytest.raises(ValidationError) as refusal:
        second.full_clean()

    assert refusal.value.messages == [
        "Price bar with this Instrument, Timeframe, Source and Start already exists.",
        "Open and close lie between low and high.",
    ]
