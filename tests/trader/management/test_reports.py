"""What `positions` and `balances` print for a reader."""

from pathlib import Path

import pytest

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
