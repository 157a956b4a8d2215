from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connection

from tests.factories import InstrumentFactory, PriceBarFactory
from tests.trader.conftest import Connect
from tests.trader.importing.bar_files import (
    HEADER,
    ROW,
    bar_file,
    entered,
    kept,
    read_by_cell,
    refused,
    series,
    take_in,
)
from tests.trader.operations.threads import elsewhere, wait_until_blocked
from trader.importing.bars import TAKE_TURNS
from trader.models import PriceBar

OF = "SELECT tableoid::regclass::text FROM trader_pricebar ORDER BY ts"
both_ways = pytest.mark.parametrize("form", [bytes, read_by_cell], ids=["plain", "by cell"])


@pytest.mark.django_db
@both_ways
def test_bars_are_entered_once(form: type[bytes]) -> None:
    into = series()
    data = form(bar_file(ROW, "2026-01-06,0.000000000001,1,0,1,"))

    first, again = entered(data, into), entered(data, into)

    assert (first, again) == ((2, 0), (0, 2))
    assert kept(into) == [ROW, "2026-01-06,0.000000000001,1,0,1,"]
    assert {bar.split_adjusted for bar in PriceBar.objects.all()} == {False}


@pytest.mark.django_db
@both_ways
def test_a_longer_file_adds_what_is_new_in_it(form: type[bytes]) -> None:
    into = series()
    entered(bar_file(ROW), into)

    longer = entered(
        form(bar_file("2026-01-06,1,1,1,1,1", ROW.replace("100,", "100.00,"), "2026-01-02,1,1,1,1,1")), into
    )

    assert longer == (2, 1)
    assert kept(into) == ["2026-01-02,1,1,1,1,1", ROW, "2026-01-06,1,1,1,1,1"]


@pytest.mark.django_db
def test_a_dry_run_tells_the_same_and_keeps_nothing() -> None:
    into = series()

    tried = take_in(bar_file(ROW), into, dry_run=True)

    assert (tried.rows, tried.imported, tried.skipped) == (1, 1, 0)
    assert kept(into) == []
    assert entered(bar_file(ROW), into) == (1, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "row", "stored"),
    [
        ("close,low,ts,volume,open,high", "105,90,2026-01-05,1000,100,110", ROW),
        ("ts,open,high,low,close", "2026-01-05,100,110,90,105", ROW.removesuffix("1000")),
        (HEADER, "2026-01-05T00:00:00Z,100,110,90,105,1000", ROW),
        (HEADER, "2026-01-05 00:00:00,100,110,90,105,1000", ROW),
        (HEADER, "2026-01-05T01:00:00+01:00,100,110,90,105,1000", ROW),
        (HEADER, "2026-01-05,100.0,1.1e2,+90,0105,1000.50", ROW.replace("1000", "1000.5")),
        (HEADER, ' 2026-01-05 ,"100",110,90,105.0000000000000,1000', ROW),
        (HEADER, "2026-01-05,100,110,90,105,1000\r", ROW),
        (f"\ufeff{HEADER}", ROW, ROW),
        (HEADER, f"\n{ROW}", ROW),
    ],
)
def test_forms_of_a_row(header: str, row: str, stored: str) -> None:
    into = series()

    assert entered(bar_file(row, header=header), into) == (1, 0)
    assert kept(into) == [stored]


@pytest.mark.django_db
@both_ways
def test_a_file_without_a_last_newline_and_one_without_bars_are_read(form: type[bytes]) -> None:
    into = series()

    assert entered(form(bar_file()), into) == (0, 0)
    assert entered(form(bar_file(ROW).rstrip(b"\n")), into) == (1, 0)


@pytest.mark.django_db
@both_ways
def test_bars_of_a_minute_start_at_any_instant(form: type[bytes]) -> None:
    into = series("5m")
    rows = [
        f"{time},1,1,1,1," for time in ("2026-01-05T09:30:00+01:00", "2026-01-05T08:35:00", "2026-01-05 08:40:00.5Z")
    ]

    assert entered(form(bar_file(*rows)), into) == (3, 0)
    assert [row.partition(",")[0] for row in kept(into)] == [
        "2026-01-05T08:30:00Z",
        "2026-01-05T08:35:00Z",
        "2026-01-05T08:40:00.500000Z",
    ]


@pytest.mark.django_db
def test_another_source_timeframe_or_instrument_has_its_own_bars() -> None:
    into = series()
    entered(bar_file(ROW), into)

    for other in (into._replace(source='a "good", one\\'), into._replace(timeframe="1w"), series()):
        assert entered(bar_file(ROW.replace("105", "106")), other) == (1, 0)
        assert kept(other) == [ROW.replace("105", "106")]
    assert kept(into) == [ROW]


@pytest.mark.django_db
@both_ways
def test_bars_lie_in_the_partitions_of_their_years(form: type[bytes]) -> None:
    entered(form(bar_file(*(f"{year}-01-01,1,1,1,1,1" for year in (2014, 2015, 2026, 2099)))), series())

    with connection.cursor() as cursor:
        cursor.execute(OF)
        partitions = [partition.removeprefix("trader_pricebar_") for (partition,) in cursor.fetchall()]
    assert partitions == ["default", "2015", "2026", "default"]


@pytest.mark.django_db
@both_ways
def test_a_second_bar_of_a_time_is_refused_even_where_it_is_equal(form: type[bytes]) -> None:
    expected = "one bar for a time: line 2 has it"

    assert refused(form(bar_file(ROW, "2026-01-06,1,1,1,1,1", ROW, ROW)), series()) == [
        (4, "ts", "2026-01-05", expected),
        (5, "ts", "2026-01-05", expected),
    ]
    assert refused(
        form(bar_file("2026-01-05T08:00:00,1,1,1,1,1", "2026-01-05T09:00:00+01:00,2,2,2,2,2")), series("1h")
    ) == [(3, "ts", "2026-01-05T08:00:00+00:00", expected)]


@pytest.mark.django_db
@both_ways
@pytest.mark.parametrize(
    ("row", "column", "value", "expected"),
    [
        ("2026-01-05,101,110,90,105,1000", "open", "101", "100"),
        ("2026-01-05,100,110,90,104,1000", "close", "104", "105"),
        ("2026-01-05,100,110,90,105,1000.000000000000000001", "volume", "1000.000000000000000001", "1000"),
        ("2026-01-05,100,110,90,105,", "volume", "", "1000"),
    ],
)
def test_a_bar_that_the_book_has_with_other_values_is_refused(
    form: type[bytes], row: str, column: str, value: str, expected: str
) -> None:
    into = series()
    entered(bar_file(ROW), into)

    assert refused(form(bar_file("2026-01-02,1,1,1,1,1", row)), into) == [
        (3, column, value, f"{expected}, which file gave for that time before")
    ]


@pytest.mark.django_db
def test_a_volume_is_refused_where_the_book_has_none() -> None:
    into = series()
    entered(bar_file(ROW.removesuffix("1000")), into)

    assert refused(bar_file(ROW), into) == [(2, "volume", "1000", "nothing, which file gave for that time before")]


@pytest.mark.django_db
def test_bars_with_and_without_splits_in_them_do_not_mix() -> None:
    into = series(split_adjusted=True)
    entered(bar_file(ROW), into)

    assert PriceBar.objects.get().split_adjusted is True
    assert entered(bar_file(ROW), into) == (0, 1)
    assert refused(bar_file(ROW), into._replace(split_adjusted=False)) == [
        (2, "", "not split-adjusted", "split-adjusted bars, as file gave for that time before")
    ]


@pytest.mark.django_db
def test_a_bar_entered_by_hand_stands_beside_those_of_a_file() -> None:
    bar = PriceBarFactory.create()

    assert entered(bar_file(ROW), series(instrument=bar.instrument)) == (1, 0)


def test_one_file_twice_at_once_comes_in_once(transactional_db: Connect) -> None:
    into = series()
    data = bar_file(*(f"2026-{month:02}-{day:02},1,1,1,1,1" for month in range(1, 13) for day in range(1, 29)))
    session = transactional_db("owner")
    session.execute("BEGIN")
    session.execute(TAKE_TURNS, [into.instrument.pk])

    with ThreadPoolExecutor(max_workers=2) as pool:
        both = [elsewhere(pool, partial(take_in, data, into)) for _ in range(2)]
        with transactional_db("owner") as watching:
            wait_until_blocked(watching)
        session.execute("COMMIT")
        outcomes = [each.result(timeout=30) for each in both]

    assert sorted((outcome.imported, outcome.skipped) for outcome in outcomes) == [(0, 336), (336, 0)]
    assert len(kept(into)) == 336


def test_an_instrument_that_goes_meanwhile_refuses_the_file(transactional_db: Connect) -> None:
    into = series()
    session = transactional_db("owner")
    session.execute("BEGIN")
    session.execute(TAKE_TURNS, [into.instrument.pk])

    with ThreadPoolExecutor(max_workers=1) as pool:
        importing = elsewhere(pool, partial(take_in, bar_file(ROW), into))
        with transactional_db("owner") as watching:
            wait_until_blocked(watching)
        session.execute("DELETE FROM trader_instrument")
        session.execute("COMMIT")
        outcome = importing.result(timeout=30)

    assert [problem.value for problem in outcome.problems.kept] == ["trader_pricebar_instrument_id_fk"]
    assert PriceBar.objects.count() == 0


@pytest.mark.django_db
def test_what_is_done_and_how_much_of_the_file_is_told() -> None:
    told: list[tuple[str, int, float]] = []

    take_in(bar_file(ROW), series(instrument=InstrumentFactory.create()), watch=lambda *doing: told.append(doing))

    assert told == [("Copying", 1, 1.0), ("Checking", 1, 1)]
