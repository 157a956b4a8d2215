from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.trader.book import open_account, said, take_in
from tests.trader.reporting.conftest import AddRate
from tests.trader.reporting.test_values import bar
from trader.booking.numbers import exact
from trader.models import Instrument

pytestmark = pytest.mark.django_db

ROWS = """2026-01-05,DEPOSIT,,,,,1000,CHF,,,
          2026-01-06,TRADE,AAA,BUY,10,50,,CHF,5,CHF,
          2026-01-07,DEPOSIT,,,,,500,CHF,,,
          2026-01-08,WITHDRAWAL,,,,,114.1,CHF,,,"""
RETURNS = ("twr", "mwr", "max_drawdown")
FIGURES = ("initial_value", "final_value", "transfers", "earnings", *RETURNS)


def performance(*arguments: str, to: str = "2026-01-08") -> dict[str, Any]:
    return said("performance", "--account", "A", "--to", to, *arguments)


@pytest.fixture
def account(tmp_path: Path) -> None:
    """1,000 on the 5th. On the 6th 505 of them buy ten, which close at 55: 495 + 550 = 1,045. On the 7th 500 come in,
    and 1,545 become 995 + 519.1 = 1,514.1. On the 8th 114.1 go out, and 1,400 become 880.9 + 589.1 = 1,470."""
    open_account("A", "CHF")
    take_in(tmp_path, "A", ROWS)
    for day, close in ((6, "55"), (7, "51.91"), (8, "58.91")):
        bar(Instrument.objects.get(), date(2026, 1, day), close)


def test_a_period_is_told_in_figures_and_day_by_day(account: None) -> None:
    report = performance()

    # 1,045 / 1,000 = 1.045; 1,514.1 / 1,545 = 0.98; 1,470 / 1,400 = 1.05: together 1.075305.
    growing = (1 + Decimal(report.pop("mwr"))) ** (Decimal(1) / 365)
    assert report.pop("series") == [
        {"date": "2026-01-05", "value": "1000", "transfers": "1000", "twr": "0"},
        {"date": "2026-01-06", "value": "1045", "transfers": "0", "twr": "0.045"},
        {"date": "2026-01-07", "value": "1514.1", "transfers": "500", "twr": "0.0241"},
        {"date": "2026-01-08", "value": "1470", "transfers": "-114.1", "twr": "0.075305"},
    ]
    assert report == {
        "account": "A",
        "base_currency": "CHF",
        "from": "2026-01-05",
        "to": "2026-01-08",
        "initial_value": "0",
        "final_value": "1470",
        "transfers": "1385.9",
        "earnings": "84.1",
        "twr": "0.075305",
        "max_drawdown": "-0.02",
        "missing_prices": [],
        "missing_rates": [],
    }
    # 1,000 of three days ago and 500 of yesterday have become 114.1 and 1,470.
    assert abs(1000 * growing**3 + 500 * growing - Decimal("1584.1")) < Decimal("1e-9")


def test_a_period_begins_with_the_value_of_the_evening_before(account: None) -> None:
    report = performance("--from", "2026-01-07")

    assert [report[name] for name in ("from", "initial_value", "transfers", "earnings")] == [
        "2026-01-07",
        "1045",
        "385.9",
        "39.1",
    ]
    assert report["twr"] == "0.029"
    assert [each["twr"] for each in report["series"]] == ["-0.02", "0.029"]


def test_the_returns_of_two_periods_are_linked_to_that_of_both(account: None) -> None:
    first, second = performance(to="2026-01-06"), performance("--from", "2026-01-07")

    with exact():
        assert (1 + Decimal(first["twr"])) * (1 + Decimal(second["twr"])) - 1 == Decimal(performance()["twr"])


def test_one_day_is_a_period_too(account: None) -> None:
    """From 1,045 to 1,514.1 with 500: the rate of a year is that of the flows of the 6th, the 7th and the 7th."""
    report = performance("--from", "2026-01-07", to="2026-01-07")

    assert (report["twr"], report["max_drawdown"], len(report["series"])) == ("-0.02", "-0.02", 1)
    with exact():
        assert abs(Decimal(report["mwr"]) - ((Decimal("1014.1") / 1045) ** 365 - 1)) < Decimal("1e-18")


def test_money_that_only_lies_there_earns_nothing(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", "2026-01-05,DEPOSIT,,,,,1000,CHF,,,\n2026-01-20,WITHDRAWAL,,,,,300,CHF,,,")

    report = performance(to="2026-02-28")

    assert [report[name] for name in FIGURES] == ["0", "700", "700", "0", "0", "0", "0"]


def test_a_year_at_a_tenth_is_a_tenth_by_both_measures(tmp_path: Path) -> None:
    """Interest of a hundred on a thousand, 365 days after it came in."""
    open_account("A", "CHF")
    take_in(tmp_path, "A", "2025-01-01,DEPOSIT,,,,,1000,CHF,,,\n2026-01-01,INTEREST,,,,,100,CHF,,,")

    report = performance(to="2026-01-01")

    assert [report[name] for name in FIGURES] == ["0", "1100", "1000", "100", "0.1", "0.1", "0"]


def test_fees_taxes_and_dividends_are_earned_and_lost(tmp_path: Path) -> None:
    open_account("A", "CHF")
    rows = """2026-01-05,DEPOSIT,,,,,1000,CHF,,,
              2026-01-06,DIVIDEND,AAA,,,,40,CHF,,,
              2026-01-06,WITHHOLDING_TAX,AAA,,,,14,CHF,,,
              2026-01-06,FEE,,,,,6,CHF,,,"""
    take_in(tmp_path, "A", rows)

    report = performance()

    assert (report["transfers"], report["earnings"], report["twr"]) == ("1000", "20", "0.02")


def test_a_withdrawal_is_no_drawdown(tmp_path: Path) -> None:
    open_account("A", "CHF")
    rows = """2026-01-05,DEPOSIT,,,,,1000,CHF,,,
              2026-01-06,INTEREST,,,,,10,CHF,,,
              2026-01-07,WITHDRAWAL,,,,,900,CHF,,,"""
    take_in(tmp_path, "A", rows)

    assert performance()["max_drawdown"] == "0"


def test_an_account_goes_on_after_all_was_withdrawn(tmp_path: Path) -> None:
    """1,000 and a tenth; nothing for a day; 500 and a fifth: 1.1 x 1.2 = 1.32."""
    open_account("A", "CHF")
    rows = """2026-01-04,DEPOSIT,,,,,1000,CHF,,,
              2026-01-05,INTEREST,,,,,100,CHF,,,
              2026-01-06,WITHDRAWAL,,,,,1100,CHF,,,
              2026-01-08,DEPOSIT,,,,,500,CHF,,,
              2026-01-08,INTEREST,,,,,100,CHF,,,"""
    take_in(tmp_path, "A", rows)

    report = performance()

    assert (report["twr"], report["earnings"], report["max_drawdown"]) == ("0.32", "200", "0")


@pytest.mark.parametrize(
    "rows",
    [
        "2026-01-05,INTEREST,,,,,10,CHF,,,",
        "2026-01-05,DEPOSIT,,,,,100,CHF,,,\n2026-01-06,FEE,,,,,150,CHF,,,",
        """2026-01-05,DEPOSIT,,,,,100,CHF,,,
           2026-01-06,INTEREST,,,,,10,CHF,,,
           2026-01-06,WITHDRAWAL,,,,,110,CHF,,,""",
    ],
)
def test_what_was_earned_on_nothing_has_no_return(rows: str, tmp_path: Path) -> None:
    """Earned without a deposit; more lost than was there; more taken out at a day's start than was there then."""
    open_account("A", "CHF")
    take_in(tmp_path, "A", rows)

    report = performance()

    assert (report["twr"], report["max_drawdown"]) == (None, None)
    assert report["series"][-1]["twr"] is None
    assert report["earnings"] is not None


def test_without_money_in_and_out_there_is_no_rate(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", "2026-01-05,DEPOSIT,,,,,100,CHF,,,\n2026-01-06,FEE,,,,,100,CHF,,,")

    report = performance()

    assert (report["twr"], report["mwr"], report["max_drawdown"]) == ("-1", None, "-1")


@pytest.mark.parametrize("arguments", [[], ["--from", "2025-11-01"]])
def test_before_its_first_entry_an_account_has_zeros(arguments: list[str], account: None) -> None:
    report = performance(*arguments, to="2025-12-31")

    assert [report[name] for name in FIGURES] == ["0"] * 7
    assert {tuple(each.values())[1:] for each in report["series"]} == {("0", "0", "0")}


def test_a_missing_price_leaves_open_what_needs_it_and_no_more(tmp_path: Path) -> None:
    """Bought on the 6th, and the first close is the 8th's."""
    open_account("A", "CHF")
    take_in(tmp_path, "A", ROWS)
    bar(Instrument.objects.get(), date(2026, 1, 8), "58.91")

    report = performance()

    assert [each["value"] for each in report["series"]] == ["1000", None, None, "1470"]
    assert [each["twr"] for each in report["series"]] == ["0", None, None, None]
    assert (report["twr"], report["max_drawdown"], report["earnings"]) == (None, None, "84.1")
    assert report["mwr"] is not None
    assert report["missing_prices"] == ["AAA.XXXX"]
    assert performance(to="2026-01-07")["mwr"] is None


def test_a_missing_rate_leaves_open_what_needs_it(tmp_path: Path, add_rate: AddRate) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", "2026-01-05,DEPOSIT,,,,,1000,USD,,,")
    add_rate("USD", "CHF", "0.9", date(2026, 1, 6))

    report = performance()

    assert (report["final_value"], report["transfers"], report["earnings"]) == ("900", None, None)
    assert [report[name] for name in RETURNS] == [None] * 3
    assert report["missing_rates"] == ["USD/CHF"]
    assert performance("--from", "2026-01-07")["twr"] == "0"


def test_currencies_earn_too(tmp_path: Path, add_rate: AddRate) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", "2026-01-05,DEPOSIT,,,,,1000,USD,,,")
    for rate, day in (("0.8", 5), ("0.84", 7)):
        add_rate("USD", "CHF", rate, date(2026, 1, day))

    report = performance()

    assert [report[name] for name in ("transfers", "final_value", "earnings", "twr")] == ["800", "840", "40", "0.05"]


def test_what_is_given_stands_in_for_what_the_book_does_not_know(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", "2026-01-05,DEPOSIT,,,,,1000,USD,,,\n2026-01-06,TRADE,AAA,BUY,10,50,,USD,,,")

    report = performance("--mark", "AAA.XXXX=60", "--fx", "USD/CHF=0.5")

    assert [report[name] for name in ("transfers", "final_value", "earnings", "twr")] == ["500", "550", "50", "0.1"]
    assert (report["missing_prices"], report["missing_rates"]) == ([], [])
