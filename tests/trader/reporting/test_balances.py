from datetime import date
from pathlib import Path

import pytest

from tests.trader.book import open_account, said, take_in
from tests.trader.reporting.conftest import AddRate

pytestmark = pytest.mark.django_db

ROWS = """2026-01-05,DEPOSIT,,,,,1000,CHF,,,
          2026-01-06,TRADE,AAA,BUY,10,20,,CHF,1.5,CHF,
          2026-01-07,DIVIDEND,AAA,,,,7,USD,,,"""


def test_the_trial_balance_names_every_ledger_account(tmp_path: Path, add_rate: AddRate) -> None:
    add_rate("USD", "CHF", "0.9", date(2026, 1, 1))
    open_account("A", "CHF")
    take_in(tmp_path, "A", ROWS)

    report = said("balances", "--account", "A", "--as-of", "2026-01-31")

    assert [tuple(each.values()) for each in report.pop("balances")] == [
        ("CASH", "CHF", "798.5", "798.5"),
        ("CASH", "USD", "7", "6.3"),
        ("SECURITIES", "CHF", "200", "200"),
        ("INCOME", "USD", "-7", "-6.3"),
        ("EXPENSE", "CHF", "1.5", "1.5"),
        ("EQUITY", "CHF", "-1000", "-1000"),
    ]
    assert report == {"account": "A", "as_of": "2026-01-31", "base_currency": "CHF", "missing_rates": []}


def test_as_of_includes_its_day_and_nothing_later(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", ROWS)

    report = said("balances", "--account", "A", "--as-of", "2026-01-06")

    assert {each["kind"]: each["amount"] for each in report["balances"]} == {
        "CASH": "798.5",
        "SECURITIES": "200",
        "EXPENSE": "1.5",
        "EQUITY": "-1000",
    }


def test_what_no_rate_is_known_for_is_left_open_and_named(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", ROWS)

    report = said("balances", "--account", "A", "--as-of", "2026-01-31")
    given = said("balances", "--account", "A", "--as-of", "2026-01-31", "--fx", "USD/CHF=0.8")

    assert [each["amount_base"] for each in report["balances"] if each["currency"] == "USD"] == [None, None]
    assert report["missing_rates"] == ["USD/CHF"]
    assert [each["amount_base"] for each in given["balances"] if each["currency"] == "USD"] == ["5.6", "-5.6"]
    assert given["missing_rates"] == []
