import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.trader.book import only_position, open_account, said, take_in
from trader.models import Currency, FxRate

pytestmark = pytest.mark.django_db

HEADER = "base,quote,at,rate\n"


def enter(folder: Path, text: str, *arguments: str) -> dict[str, Any]:
    path = folder / "rates.csv"
    path.write_text(text)
    return said("import_rates", str(path), *arguments)


def test_rates_are_entered_once(tmp_path: Path) -> None:
    text = f"{HEADER}USD,CHF,2026-01-05,0.91\nUSD,CHF,2026-01-06T16:00:00+01:00,0.92\nEUR,CHF,2026-01-05,0.95\n"

    first, again = enter(tmp_path, text), enter(tmp_path, f"{text}EUR,CHF,2026-01-06,0.96\n")

    assert first == {"rows": 3, "imported": 3, "skipped": 0, "errors": []}
    assert again == {"rows": 4, "imported": 1, "skipped": 3, "errors": []}
    rates = FxRate.objects.order_by("base__code", "at").values_list("base__code", "quote__code", "at", "rate")
    assert [(base, quote, f"{at:%d %H:%M}", str(rate.normalize())) for base, quote, at, rate in rates] == [
        ("EUR", "CHF", "05 00:00", "0.95"),
        ("EUR", "CHF", "06 00:00", "0.96"),
        ("USD", "CHF", "05 00:00", "0.91"),
        ("USD", "CHF", "06 15:00", "0.92"),
    ]


def test_figures_that_lacked_a_rate_are_filled_in(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", "2026-01-05,TRADE,AAA,BUY,10,100,,USD,,,")
    before = only_position("A")["cost_base"]

    enter(tmp_path, f"{HEADER}USD,CHF,2026-01-04,0.91\n")

    assert (before, only_position("A")["cost_base"]) == (None, "910")


def test_another_source_s_rate_stands_beside_it(tmp_path: Path) -> None:
    enter(tmp_path, f"{HEADER}USD,CHF,2026-01-05,0.91\n")

    other = enter(tmp_path, f"{HEADER}USD,CHF,2026-01-05,0.92\n", "--source", "ECB")

    assert other["imported"] == 1
    assert FxRate.objects.count() == 2


@pytest.mark.parametrize(
    ("row", "column", "value", "expected"),
    [
        ("USD,CHF,2026-01-05,0", "rate", "0", "a number over 0"),
        ("USD,CHF,2026-01-05,NaN", "rate", "NaN", "a number such as -1234.56, without thousands separators"),
        ("USD,CHF,2026-02-30,0.9", "at", "2026-02-30", "a date and time that exist"),
        ("USD,USD,2026-01-05,1", "quote", "USD", "another currency than USD"),
        ("usd,CHF,2026-01-05,1", "base", "usd", "a code of capital letters and digits, such as CHF or BTC"),
        ("XAU,CHF,2026-01-05,1", "base", "XAU", "a currency with a minor unit: ISO 4217 gives XAU none"),
        ("EUR,CHF,2026-01-05,0.96", "rate", "0.96", "0.95, which file gave for that time before"),
        ("EUR,CHF,2026-01-05", "rate", "2026-01-05", "4 columns: the line ends after 3 of 4 columns"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_entered(
    row: str, column: str, value: str, expected: str, tmp_path: Path
) -> None:
    enter(tmp_path, f"{HEADER}EUR,CHF,2026-01-05,0.95\n")
    currencies = set(Currency.objects.values_list("code", flat=True))

    refused = enter(tmp_path, f"{HEADER}NEW,CHF,2026-01-05,1\n{row}\n")

    assert refused == {
        "rows": 2,
        "imported": 0,
        "skipped": 0,
        "errors": [{"line": 3, "column": column, "value": value, "expected": expected}],
    }
    assert [rate.rate for rate in FxRate.objects.all()] == [Decimal("0.95")]
    assert set(Currency.objects.values_list("code", flat=True)) == currencies


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file") as refusal:
        call_command("import_rates", str(tmp_path / "none.csv"), stdout=io.StringIO())

    assert refusal.value.returncode == 2
