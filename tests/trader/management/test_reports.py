"""What `positions`, `balances` and `performance` print for a reader."""

from pathlib import Path

import pytest
from django.core.management import CommandError

from tests.trader.book import open_account, take_in
from tests.trader.management.test_names import run

pytestmark = pytest.mark.django_db

ROWS = """2026-01-05,DEPOSIT,,,,,1000,CHF,,,
          2026-01-06,TRADE,AAA,BUY,3,20.5,,CHF,1.5,CHF,
          2026-01-07,TRADE,BBB,BUY,1000,1.23456789,,USD,,,"""


def test_positions_are_a_table_with_totals(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", ROWS)

    printed = run("positions", "--account", "A", "--as-of", "2026-01-31", "--mark", "AAA.XXXX=22")

    assert printed == (
        "A on 2026-01-31: FIFO, fees EXPENSED\n"
        "\n"
        "Position       Quantity     Average      Cost  Value  Unrealized  Realized  Fees   Net\n"
        "AAA.XXXX  CHF         3        20.5     61.50  66.00        4.50      0.00  1.50  3.00\n"
        "BBB.XXXX  USD      1000  1.23456789  1,234.57      -           -      0.00  0.00     -\n"
        "Total     CHF                               -      -           -      0.00  1.50     -\n"
        "\n"
        "Cash      Amount  In CHF\n"
        "CHF       937.00  937.00\n"
        "USD    -1,234.57       -\n"
        "Total                  -\n"
        "\n"
        "No rate is known for USD/CHF: figures that need one are left open.\n"
    )


def test_balances_are_a_table(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", ROWS)

    printed = run("balances", "--account", "A", "--as-of", "2026-01-31", "--fx", "USD/CHF=0.5")

    assert printed == (
        "A on 2026-01-31\n"
        "\n"
        "Ledger account          Amount     In CHF\n"
        "CASH            CHF     937.00     937.00\n"
        "CASH            USD  -1,234.57    -617.28\n"
        "SECURITIES      CHF      61.50      61.50\n"
        "SECURITIES      USD   1,234.57     617.28\n"
        "EXPENSE         CHF       1.50       1.50\n"
        "EQUITY          CHF  -1,000.00  -1,000.00\n"
    )


def test_a_short_performance_is_told_day_by_day(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", ROWS)

    marks = ("--mark", "AAA.XXXX=22", "--mark", "BBB.XXXX=1.5", "--fx", "USD/CHF=0.5")
    printed = run("performance", "--account", "A", "--to", "2026-01-08", *marks)

    assert printed == (
        "A from 2026-01-05 to 2026-01-08, in CHF\n"
        "\n"
        "                                            CHF\n"
        "Initial value                              0.00\n"
        "Transfers                              1,000.00\n"
        "Earnings                                 135.72\n"
        "Final value                            1,135.72\n"
        "Time-weighted return                    13.57 %\n"
        "Money-weighted return, a year  530,258,963.96 %\n"
        "Largest drawdown                         0.00 %\n"
        "\n"
        "Until       Transfers     Value      TWR\n"
        "2026-01-05   1,000.00  1,000.00   0.00 %\n"
        "2026-01-06       0.00  1,003.00   0.30 %\n"
        "2026-01-07       0.00  1,135.72  13.57 %\n"
        "2026-01-08       0.00  1,135.72  13.57 %\n"
    )


def test_a_long_performance_is_told_month_by_month_with_what_is_missing(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", f"{ROWS}\n2026-02-02,DEPOSIT,,,,,50,CHF,,,\n2026-02-03,WITHDRAWAL,,,,,20,CHF,,,")

    printed = run("performance", "--account", "A", "--to", "2026-03-02", "--mark", "AAA.XXXX=22")

    assert printed.partition("\n\nUntil")[2] == (
        "       Transfers  Value  TWR\n"
        "2026-01-31   1,000.00      -    -\n"
        "2026-02-28      30.00      -    -\n"
        "2026-03-02       0.00      -    -\n"
        "\n"
        "No price is known for BBB.XXXX on some of these days: figures that need it are open.\n"
        "\n"
        "No rate is known for USD/CHF on some of these days: figures that need it are open.\n"
    )


def test_where_there_is_no_return_a_performance_says_since_when(tmp_path: Path) -> None:
    open_account("A", "CHF")
    take_in(tmp_path, "A", "2026-01-05,DEPOSIT,,,,,1000,CHF,,,\n2026-01-07,FEE,,,,,1001,CHF,,,")

    printed = run("performance", "--account", "A", "--to", "2026-01-08")

    assert printed.endswith(
        "2026-01-06       0.00  1,000.00  0.00 %\n"
        "2026-01-07       0.00     -1.00       -\n"
        "2026-01-08       0.00     -1.00       -\n"
        "\n"
        "No return is told from 2026-01-07 on: there was nothing to earn it on, or less than nothing was left.\n"
    )


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-02-01", "2026-01-31", "would begin on 2026-02-01, after its end on 2026-01-31"),
        ("0001-01-01", "2026-01-31", "A date lies in the years from 1800 to 9999"),
        ("9999-12-30", "9999-12-31", "A date lies in the years from 1800 to 9999"),
    ],
)
def test_a_period_that_cannot_be_is_refused(start: str, end: str, said: str) -> None:
    open_account("A", "CHF")

    with pytest.raises(CommandError, match=said) as refusal:
        run("performance", "--account", "A", "--from", start, "--to", end)

    assert refusal.value.returncode == 2
