"""What `doctor` says of the partitions of price bars, on a day that the test chooses."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from config.partitions import examine
from migration_guard.doctor import State
from tests.factories import PriceBarFactory

pytestmark = pytest.mark.django_db

SUMMER = datetime(2026, 6, 1, tzinfo=UTC)


def told(now: datetime) -> list[tuple[State, str]]:
    lines = list(examine(now=now))
    assert all(line.mend.endswith("price_partitions") for line in lines if line.state == State.PROBLEM)
    return [(line.state, line.message) for line in lines]


def drop(year: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE trader_pricebar_{year}")


def test_all_is_well_with_an_empty_default_partition() -> None:
    assert told(SUMMER) == [(State.OK, "trader_pricebar has those that are needed, up to 2026")]


def test_bars_in_the_default_partition_are_told_with_their_years() -> None:
    for year in (1999, 2014, 2014):
        PriceBarFactory.create(ts=datetime(year, 3, 1, tzinfo=UTC))

    assert told(SUMMER) == [
        (State.PROBLEM, "in the default partition of trader_pricebar lie bars of 1999, 2014: 3"),
    ]


def test_many_bars_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trader.operations.price_partitions.MOST_COUNTED", 2)
    monkeypatch.setattr("config.partitions.MOST_COUNTED", 2)
    for _ in range(3):
        PriceBarFactory.create(ts=datetime(1999, 3, 1, tzinfo=UTC))

    assert told(SUMMER) == [
        (State.PROBLEM, "in the default partition of trader_pricebar lie bars of 1999: 2 and more"),
    ]


@pytest.mark.parametrize(
    ("now", "missing"),
    [
        (datetime(2027, 11, 1, tzinfo=UTC), None),
        (datetime(2027, 11, 2, tzinfo=UTC), "2028"),
        (datetime(2027, 12, 31, 23, 59, tzinfo=UTC), "2028"),
        (datetime(2028, 1, 1, tzinfo=UTC), "2028"),
        (datetime(2028, 12, 1, tzinfo=UTC), "2028, 2029"),
    ],
)
def test_a_year_without_a_partition_is_told_sixty_days_before_it_begins(now: datetime, missing: str | None) -> None:
    expected = (State.PROBLEM, f"trader_pricebar has none for {missing}")

    assert told(now) == [expected if missing else (State.OK, "trader_pricebar has those that are needed, up to 2027")]


def test_a_partition_that_is_gone_is_told_in_its_own_year() -> None:
    drop(2026)

    assert told(SUMMER) == [(State.PROBLEM, "trader_pricebar has none for 2026")]
