import io
import json
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.factories import PriceBarFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    monkeypatch.setattr("trader.management.commands.price_partitions.timezone.now", lambda: now)


def run(*options: str) -> str:
    # What was written in this transaction is settled, as at the end of another one.
    connection.check_constraints()
    stdout = io.StringIO()
    call_command("price_partitions", *options, stdout=stdout)
    return stdout.getvalue()


def test_nothing_to_make_is_said() -> None:
    assert run() == "Nothing to make: 2026 to 2027 have their partitions, and the default one is empty.\n"
    assert json.loads(run("--json")) == {"made": []}


def test_years_up_to_one_and_years_of_bars_that_wait_are_made() -> None:
    PriceBarFactory.create(ts=datetime(1999, 12, 31, tzinfo=UTC))

    first, again = run("--until", "2029"), json.loads(run("--until", "2030", "--json"))

    assert first == (
        "Made trader_pricebar_1999. Bars moved into it: 1.\n"
        "Made trader_pricebar_2028. Bars moved into it: 0.\n"
        "Made trader_pricebar_2029. Bars moved into it: 0.\n"
    )
    assert again == {"made": [{"year": 2030, "partition": "trader_pricebar_2030", "moved": 0}]}


def test_what_cannot_be_made_exits_2() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE trader_pricebar_2028 (mine int)")

    with pytest.raises(CommandError, match=r"There is a table trader_pricebar_2028 .* run this again\.") as refusal:
        run("--until", "2028")

    assert refusal.value.returncode == 2


@pytest.mark.parametrize("year", ["28", "20280", "next", "²"])
def test_a_year_that_is_none_is_refused(year: str) -> None:
    with pytest.raises(CommandError, match="is no year from 1900 to 2200"):
        run("--until", year)
