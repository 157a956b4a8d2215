from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from tests.factories import PriceBarFactory
from tests.trader.conftest import Connect
from tests.trader.operations.threads import elsewhere, wait_until_blocked
from trader.models import PriceBar
from trader.operations.price_partitions import (
    PartitionNotMade,
    counted_in_default,
    due_years,
    make_partitions,
    missing_years,
    years_in_default,
)

LYING = "SELECT tableoid::regclass::text, count(*) FROM trader_pricebar GROUP BY 1 ORDER BY 1"
# Of a partition: what there is on it, under names that do not have its own.
SHAPE = """
    SELECT replace(pg_get_constraintdef(oid), %(year)s, 'Y') FROM pg_constraint WHERE conrelid = %(table)s::regclass
    UNION ALL
    SELECT replace(pg_get_indexdef(indexrelid), %(year)s, 'Y') FROM pg_index WHERE indrelid = %(table)s::regclass
    UNION ALL
    SELECT format('%%s %%s %%s', attname, attnotnull, pg_get_expr(adbin, adrelid))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = %(table)s::regclass AND attnum > 0
    UNION ALL
    SELECT tgname FROM pg_trigger WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal
    ORDER BY 1
"""
RIGHTS = "SELECT relacl::text FROM pg_class WHERE oid = 'trader_pricebar_{year}'::regclass"


def bar(year: int, **more: object) -> PriceBar:
    return PriceBarFactory.create(ts=datetime(year, 12, 31, 23, 59, tzinfo=UTC), timeframe="1m", **more)


def made(*years: int) -> list[tuple[int, int]]:
    # What was written in this transaction is settled, as at the end of another one.
    connection.check_constraints()
    return list(make_partitions(years))


def lying() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(LYING)
        return {name.removeprefix("trader_pricebar_"): count for name, count in cursor.fetchall()}


@pytest.mark.parametrize(
    ("now", "until", "years"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), 0, [2026, 2027]),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 2020, [2026, 2027]),
        (datetime(2027, 1, 1, tzinfo=UTC), 2030, [2027, 2028, 2029, 2030]),
    ],
)
def test_this_year_and_the_next_are_due(now: datetime, until: int, years: list[int]) -> None:
    assert list(due_years(now=now, until=until)) == years


@pytest.mark.django_db
def test_what_is_there_is_found_by_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    assert missing_years(range(2014, 2030)) == [2014, 2028, 2029]
    with django_assert_num_queries(1):
        assert list(make_partitions([2026, 2027])) == []


@pytest.mark.django_db
def test_a_partition_is_made_with_all_that_its_sisters_have(application_role: str) -> None:
    assert made(2028) == [(2028, 0)]

    bar(2028)
    with connection.cursor() as cursor:
        shapes = []
        for year in ("2027", "2028"):
            cursor.execute(SHAPE, {"year": year, "table": f"trader_pricebar_{year}"})
            shapes.append(cursor.fetchall())
        cursor.execute(RIGHTS.format(year=2028))
        (rights,) = cursor.fetchone()
    assert lying() == {"2028": 1}
    assert shapes[0] == shapes[1]
    assert f"{application_role}=arwd/" in rights
    assert made(2028) == []


@pytest.mark.django_db
def test_bars_move_from_the_default_partition_as_they_are() -> None:
    bars = [bar(2013), bar(2014), bar(2014), bar(2028)]
    assert (years_in_default(), counted_in_default()) == ([2013, 2014, 2028], {2013: 1, 2014: 2, 2028: 1})

    assert made(2014, 2028) == [(2014, 2), (2028, 1)]

    assert lying() == {"2014": 2, "2028": 1, "default": 1}
    assert list(PriceBar.objects.order_by("pk").values()) == [
        {field.attname: getattr(each, field.attname) for field in PriceBar._meta.concrete_fields} for each in bars
    ]
    assert years_in_default() == [2013]
    assert years_in_default(bars[1].instrument_id) == []


@pytest.mark.django_db
def test_a_table_in_its_place_stays_as_it_is() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE trader_pricebar_2028 (mine int)")

    with pytest.raises(PartitionNotMade, match=r"a table trader_pricebar_2028 that is no partition .* Rename it"):
        made(2028)

    assert missing_years([2028]) == [2028]


@pytest.mark.django_db
def test_a_year_that_a_wider_partition_holds_is_not_missing() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE old PARTITION OF trader_pricebar FOR VALUES FROM ('2001-01-01') TO ('2011-01-01')")

    assert missing_years([2000, 2001, 2010, 2011]) == [2000, 2011]


@pytest.mark.django_db
def test_the_last_year_that_a_bar_can_be_of_gets_one() -> None:
    bar(9999)

    assert made(9999) == [(9999, 1)]
    assert missing_years([9999]) == []


@contextmanager
def serving() -> Iterator[None]:
    """Django's connection is that of the role that serves."""
    owner = {key: connection.settings_dict[key] for key in settings.POSTGRES_APP}
    connection.close()
    connection.settings_dict.update(settings.POSTGRES_APP)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(owner)


def test_the_role_that_serves_is_told_who_can(committed: Connect) -> None:
    with serving():
        assert missing_years([2028]) == [2028]
        with pytest.raises(PartitionNotMade, match=r"does not own trader_pricebar, .* run it with the role of"):
            list(make_partitions([2028]))
        assert list(make_partitions([2027])) == []


@pytest.mark.parametrize("table", ["trader_pricebar_default", "trader_pricebar"])
def test_who_reads_or_writes_is_waited_for_a_moment_and_nothing_is_half_done(committed: Connect, table: str) -> None:
    bar(2028)
    session = committed("owner")
    session.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())

    with pytest.raises(PartitionNotMade, match=r"are being read or written, .* run it again"):
        list(make_partitions([2028]))

    session.execute("COMMIT")
    assert lying() == {"default": 1}
    assert list(make_partitions([2028])) == [(2028, 1)]


def test_a_report_that_is_read_meanwhile_is_not_kept_waiting_by_what_moves(committed: Connect) -> None:
    """It ends before the partition is attached, for which alone a reader of the default partition is waited for."""
    bar(2028)
    session = committed("application")
    session.execute("BEGIN; SET LOCAL lock_timeout = '1ms'; SELECT count(*) FROM trader_pricebar")

    with pytest.raises(PartitionNotMade):
        list(make_partitions([2028]))

    assert session.execute("SELECT count(*) FROM trader_pricebar").fetchone() == (1,)


def test_bars_that_are_written_meanwhile_are_not_lost(committed: Connect) -> None:
    first = bar(2028)
    session = committed("owner")
    session.execute("BEGIN")
    session.execute(
        "INSERT INTO trader_pricebar (instrument_id, source, timeframe, ts, open, high, low, close, split_adjusted)"
        " VALUES (%s, 'file', '1m', '2028-06-01 00:00+00', 1, 1, 1, 1, false)",
        [first.instrument_id],
    )

    with ThreadPoolExecutor(max_workers=1) as pool:
        making = elsewhere(pool, lambda: list(make_partitions([2028])))
        wait_until_blocked(committed("owner"))
        session.execute("COMMIT")
        assert making.result(timeout=30) == [(2028, 2)]

    assert lying() == {"2028": 2}


def test_makers_at_once_make_each_partition_once(committed: Connect) -> None:
    bar(2028)

    with ThreadPoolExecutor(max_workers=3) as pool:
        makers = [elsewhere(pool, lambda: list(make_partitions([2028, 2029, 2030]))) for _ in range(3)]
        done = [year for maker in makers for year in maker.result(timeout=30)]

    assert sorted(done) == [(2028, 1), (2029, 0), (2030, 0)]
