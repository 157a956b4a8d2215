import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest
from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.core.serializers.base import DeserializationError
from django.db import IntegrityError
from pytest_django import DjangoAssertNumQueries

from tests.factories import CurrencyFactory
from trader.models import Account, Currency, Instrument, LoadedFixture, Venue
from trader.operations.fixtures import deliver_fixtures

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LATER = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
FIXTURES = settings.BASE_DIR / "trader" / "fixtures"

Entry = dict[str, Any]
Deliver = Callable[..., int]

FRANC = {"model": "trader.currency", "fields": {"code": "CHF", "minor_unit": 2}}
YEN = {"model": "trader.currency", "fields": {"code": "JPY", "minor_unit": 0}}
ZURICH = {"model": "trader.venue", "fields": {"mic": "XSWX", "name": "SIX", "time_zone": "Europe/Zurich"}}
NESTLE = {"model": "trader.instrument", "fields": {"symbol": "NESN", "venue": ["XSWX"], "currency": ["CHF"]}}


@pytest.fixture
def deliver(tmp_path: Path) -> Deliver:
    """Deliver the entries as one file of a folder."""

    def deliver(*entries: Entry, now: datetime = NOW) -> int:
        (tmp_path / "entries.json").write_text(json.dumps(entries))
        return deliver_fixtures(folders=[tmp_path], now=now)

    return deliver


def codes() -> list[str]:
    return sorted(Currency.objects.values_list("code", flat=True))


def recorded() -> list[list[str]]:
    return sorted(LoadedFixture.objects.values_list("natural_key", flat=True))


def test_rows_are_delivered_and_recorded_with_their_keys_and_the_time(deliver: Deliver) -> None:
    delivered = deliver(FRANC, ZURICH, NESTLE)

    assert delivered == 3
    assert str(Instrument.objects.get()) == "NESN.XSWX:CHF"
    assert set(LoadedFixture.objects.values_list("model", "loaded_at")) == {
        ("trader.currency", NOW),
        ("trader.venue", NOW),
        ("trader.instrument", NOW),
    }
    assert recorded() == [["CHF"], ["NESN", "XSWX", "CHF"], ["XSWX"]]


def test_a_second_delivery_brings_only_what_is_new(deliver: Deliver) -> None:
    deliver(FRANC)

    assert deliver(FRANC, YEN, now=LATER) == 1
    assert list(LoadedFixture.objects.order_by("loaded_at").values_list("loaded_at", flat=True)) == [NOW, LATER]


def test_nothing_new_costs_a_query(deliver: Deliver, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    deliver(FRANC, YEN, ZURICH, NESTLE)

    with django_assert_max_num_queries(5):
        assert deliver(FRANC, YEN, ZURICH, NESTLE) == 0


def test_what_a_person_edited_renamed_or_deleted_stays_so(deliver: Deliver) -> None:
    dinar = {"model": "trader.currency", "fields": {"code": "KWD", "minor_unit": 3}}
    deliver(FRANC, YEN, dinar)
    Currency.objects.filter(code="CHF").update(minor_unit=5)
    Currency.objects.filter(code="JPY").update(code="YEN")
    Currency.objects.filter(code="KWD").delete()

    delivered = deliver(FRANC, YEN, dinar)

    assert delivered == 0
    assert set(Currency.objects.values_list("code", "minor_unit")) == {("CHF", 5), ("YEN", 0)}


def test_what_changed_in_the_file_since_is_not_delivered(deliver: Deliver) -> None:
    deliver(FRANC)

    deliver({"model": "trader.currency", "fields": {"code": "CHF", "minor_unit": 4}})

    assert Currency.objects.get().minor_unit == 2


def test_a_row_that_somebody_made_under_the_key_is_not_overwritten_and_counts_as_delivered(deliver: Deliver) -> None:
    CurrencyFactory.create(code="CHF", minor_unit=7)

    deliver(FRANC)

    assert Currency.objects.get().minor_unit == 7
    assert recorded() == [["CHF"]]


def test_a_row_whose_reference_was_renamed_waits_until_that_is_back(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(FRANC, ZURICH)
    Venue.objects.update(mic="XXXX")

    skipped = deliver(FRANC, ZURICH, NESTLE, YEN)

    assert skipped == 1
    assert recorded() == [["CHF"], ["JPY"], ["XSWX"]]
    assert "fixture skipped: trader.instrument NESN, XSWX, CHF" in caplog.text

    Venue.objects.update(mic="XSWX")

    assert deliver(FRANC, ZURICH, NESTLE, YEN) == 1
    assert Instrument.objects.get().symbol == "NESN"


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"model": "trader.currency", "fields": {"code": "bad", "minor_unit": 2}}, IntegrityError),
        ({"model": "trader.currency", "fields": {"code": "BAD", "minor_unit": "two"}}, DeserializationError),
        ({"model": "trader.currency", "fields": {"code": "BAD", "minor_unit": 2, "nature": "bad"}}, FieldDoesNotExist),
    ],
    ids=["refused by the database", "malformed", "unknown field"],
)
def test_a_bad_row_stops_all_of_the_delivery(deliver: Deliver, bad: Entry, error: type[Exception]) -> None:
    with pytest.raises(error):
        deliver(FRANC, bad, YEN)

    assert codes() == []
    assert recorded() == []


def test_folders_are_delivered_in_their_order_and_files_by_their_names(tmp_path: Path) -> None:
    for path, entries in {"1/b.json": [NESTLE], "1/a.json": [ZURICH, FRANC], "2/a.json": [YEN]}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(json.dumps(entries))

    assert deliver_fixtures(folders=[tmp_path / "1", tmp_path / "2"], now=NOW) == 4


def test_the_reference_data_is_whole() -> None:
    delivered = deliver_fixtures(folders=[FIXTURES / "reference"], now=NOW)

    minor_units = dict(Currency.objects.values_list("code", "minor_unit"))
    time_zones = set(Venue.objects.values_list("time_zone", flat=True))
    assert delivered == 165 + 74
    assert len(minor_units) == 165
    assert {code: minor_units[code] for code in ("JPY", "KWD", "CHF")} == {"JPY": 0, "KWD": 3, "CHF": 2}
    assert Venue.objects.count() == 74
    assert time_zones <= available_timezones()
    assert not Account.objects.exists()


def test_the_demonstration_stands_on_the_reference_data(caplog: pytest.LogCaptureFixture) -> None:
    deliver_fixtures(folders=[FIXTURES / "reference", FIXTURES / "demo"], now=NOW)

    entries = [entry for path in (FIXTURES / "demo").glob("*.json") for entry in json.loads(path.read_text())]
    assert Account.objects.get().code == "DEMO"
    assert Instrument.objects.count() == sum(entry["model"] == "trader.instrument" for entry in entries)
    assert "skipped" not in caplog.text
