"""The book at 1,000,000 executions over 200 accounts: all positions written anew, and those of one account read.

Needs a server: uv run python manage.py db start, then

    uv run python -m benchmarks.positions [EXECUTIONS]

The peers, in the same run: for the rebuilding what PostgreSQL alone takes to write the same lots and matches, table to
table under the same rules; for the positions what the facts themselves would cost, a sum of the account's executions by
instrument in SQL.
"""

import os
import resource
import sys
import time
from datetime import date

from django.db import connection

from benchmarks.book import make_book, own_database
from benchmarks.measure import compared, interleaved, machine
from trader.models import Account
from trader.operations.rebuilding import each_account, rebuild
from trader.reporting.holdings import Question
from trader.reporting.positions import report_positions
from trader.reporting.valuation import Given

ACCOUNTS, LARGEST = 200, 50_000
ROUNDS = 15
MEGABYTE = 1024
SUM = """
    SELECT instrument_id, sum(CASE side WHEN 'BUY' THEN last_qty ELSE -last_qty END), sum(last_qty * last_px)
    FROM trader_execution WHERE account_id = %s GROUP BY instrument_id
"""


WRITTEN_AGAIN = """
    CREATE TEMPORARY TABLE lot AS TABLE trader_taxlot;
    CREATE TEMPORARY TABLE match AS TABLE trader_lotmatch;
    DELETE FROM trader_lotmatch;
    DELETE FROM trader_taxlot;
    INSERT INTO trader_taxlot OVERRIDING SYSTEM VALUE TABLE lot;
    INSERT INTO trader_lotmatch (position_id, opening_trade_id, closing_trade_id, quantity, opened_quantity, proceeds,
        cost, gross_proceeds, gross_cost, proceeds_base, cost_base)
    SELECT position_id, opening_trade_id, closing_trade_id, quantity, opened_quantity, proceeds,
        cost, gross_proceeds, gross_cost, proceeds_base, cost_base FROM match;
"""


def main() -> None:
    executions = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    print(machine())
    with own_database("positions_benchmark"):
        account = make_book(executions=executions, accounts=ACCOUNTS, largest=min(LARGEST, executions // 10))
        rebuilt()
        read(account)


def rebuilt() -> None:
    accounts = list(Account.objects.order_by("pk").values_list("pk", flat=True))
    connection.close()
    for processes in (os.cpu_count() or 1, 1):
        started = time.perf_counter()
        counted = sum(done.counted for done in each_account(rebuild, accounts, processes=processes))
        seconds = time.perf_counter() - started
        who = resource.RUSAGE_CHILDREN if processes > 1 else resource.RUSAGE_SELF
        memory = resource.getrusage(who).ru_maxrss // MEGABYTE
        print(
            f"rebuilt {counted:,} executions with {processes} processes in {seconds:.1f} s: "
            f"{counted / seconds:,.0f}/s; the largest process {memory} MB"
        )

    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN_AGAIN)
    seconds = time.perf_counter() - started
    print(f"the lots and matches of {counted:,} executions written by PostgreSQL alone in {seconds:.1f} s")


def read(account: Account) -> None:
    question = Question(account=account, as_of=date(2026, 12, 31))
    seconds = interleaved(
        {"positions": lambda: report_positions(question, Given()), "sum": lambda: summed(account.pk)}, rounds=ROUNDS
    )
    print(f"positions of {account}: {compared(seconds, 'positions', 'sum')}; slowest {max(seconds['positions']):.3f} s")


def summed(account: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SUM, [account])
        cursor.fetchall()


if __name__ == "__main__":
    main()
