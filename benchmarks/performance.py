"""The worth of an account with 50,000 executions in 200 instruments over two years: for a chart, and day by day.

Needs a server on this machine: uv run python manage.py db start, then

    uv run python -m benchmarks.performance [EXECUTIONS]

Processor time is counted here and in the server's process, as what waits for a busy machine is no work. The peers, in
the same run: `positions` of one day, and the sums in SQL that any way to the same figures begins with: of executions by
instrument and day, of cash by day, and a count of the bars.
"""

import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.book import ANALYZE, SEED, START, make_book, own_database
from benchmarks.measure import machine
from trader.models import Account, Position
from trader.operations.ledger import record_cash
from trader.operations.rebuilding import each_account, rebuild
from trader.reporting.holdings import Question
from trader.reporting.performance import report_performance
from trader.reporting.positions import report_positions
from trader.reporting.valuation import Given
from trader.reporting.values import values

EXECUTIONS, INSTRUMENTS, DAYS = 50_000, 200, 731
POINTS = 130
ROUNDS = 15
COPY_BARS = """
    COPY trader_pricebar (instrument_id, source, timeframe, ts, open, high, low, close, split_adjusted) FROM STDIN
"""
SUMS = """
    SELECT count(*) FROM (
        SELECT sum(last_qty) FROM trader_execution WHERE account_id = %(account)s GROUP BY instrument_id, trade_date
        UNION ALL
        SELECT sum(amount) FROM trader_posting JOIN trader_ledgeraccount ledger ON ledger.id = ledger_account_id
        WHERE account_id = %(account)s AND kind = 'CASH' GROUP BY value_date
        UNION ALL
        SELECT count(close) FROM trader_pricebar
        WHERE instrument_id IN (SELECT instrument_id FROM trader_position WHERE account_id = %(account)s)
    ) sums
"""


def main() -> None:
    executions = int(sys.argv[1]) if sys.argv[1:] else EXECUTIONS
    print(machine())
    with own_database("performance_benchmark"):
        account = make_account(executions)
        end = START.date() + timedelta(days=DAYS - 1)
        question = Question(account=account, as_of=end)
        work: dict[str, Callable[[], object]] = {
            f"at most {POINTS} points": lambda: values(account, None, end, Given(), most=POINTS),
            "each day": lambda: values(account, None, end, Given()),
            "report": lambda: report_performance(account, None, end, Given()),
            "positions of one day": lambda: report_positions(question, Given()),
            "sums in SQL": lambda: summed(account),
        }
        for name, queries in {name: queries_of(each) for name, each in work.items()}.items():
            print(f"{name}: {queries} queries")
        measure(work)


def make_account(executions: int) -> Account:
    """With its lots and matches, what it was begun with, and a close on each weekday; beside it 100 others."""
    apart = (DAYS - 1) * 24 * 60 * 60 // executions
    account = make_book(
        executions=2 * executions, accounts=101, largest=executions, traded_each=INSTRUMENTS, seconds_apart=apart
    )
    accounts = list(Account.objects.order_by("pk").values_list("pk", flat=True))
    connection.close()
    for done in each_account(rebuild, accounts, processes=os.cpu_count() or 1):
        assert not done.findings
    record_cash(
        account=account,
        kind="DEPOSIT",
        currency=account.base_currency,
        amount=Decimal(10_000_000),
        value_date=START.date(),
        actor="benchmark",
        now=timezone.now(),
    )
    traded = list(Position.objects.filter(account=account).order_by("pk").values_list("instrument", flat=True))
    with connection.cursor() as cursor:
        with cursor.copy(COPY_BARS) as copy:
            for line in bars(traded):
                copy.write(line)
        cursor.execute(ANALYZE)
    return account


def bars(instruments: list[int]) -> Iterator[str]:
    chance = random.Random(SEED)
    for instrument in instruments:
        cents = chance.randint(1_000, 50_000)
        for day in weekdays():
            cents = max(cents + chance.randint(-50, 50), 100)
            price = Decimal(cents).scaleb(-2)
            yield f"{instrument}\tbenchmark\t1d\t{day} 00:00+00\t{price}\t{price}\t{price}\t{price}\tf\n"


def weekdays() -> Iterator[date]:
    days = (START.date() + timedelta(days=number) for number in range(-7, DAYS))
    return (day for day in days if day.weekday() < 5)


def summed(account: Account) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SUMS, {"account": account.pk})
        cursor.fetchall()


def queries_of(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


def measure(work: dict[str, Callable[[], object]]) -> None:
    """Each in turn, every other round in reverse order: medians of here, of the server and of both, and the time."""
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in work}
    server = Path(f"/proc/{backend()}/schedstat")
    order = list(work)
    for _ in range(ROUNDS):
        for name in order:
            before = time.process_time(), running(server), time.perf_counter()
            work[name]()
            after = time.process_time(), running(server), time.perf_counter()
            here, there, elapsed = (end - start for start, end in zip(before, after, strict=True))
            taken[name].append((here, there, elapsed))
        order.reverse()
    for name, rounds in taken.items():
        here, there, elapsed = (statistics.median(each) * 1000 for each in zip(*rounds, strict=True))
        least = min(here + there for here, there, _ in rounds) * 1000
        print(
            f"{name}: processor {here:.0f} ms here and {there:.0f} ms in the server, together at least {least:.0f} ms; "
            f"{elapsed:.0f} ms in all (medians of {ROUNDS}, interleaved)"
        )


def backend() -> int:
    """The server's process, which from now on works alone."""
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def running(server: Path) -> float:
    """Seconds that the process has been on a processor."""
    return int(server.read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
