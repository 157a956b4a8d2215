"""Files on their way into the book: rows a second, beside COPY of the very rows that they become.

Needs a server: uv run python manage.py db start, then

    uv run python -m benchmarks.importing [ROWS]

The peer is the database's part alone: the rows of all tables that an import wrote, kept as text, by COPY into the same
tables under the same rules, until everything that is asked at COMMIT has been. Both are rolled back.
"""

import io
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from benchmarks.book import own_database
from benchmarks.measure import compared, interleaved, machine
from trader.importing.files import import_file
from trader.models import Account
from trader.operations.accounts import create_account
from trader.reporting.holdings import Question
from trader.reporting.positions import report_positions
from trader.reporting.valuation import Given

ROUNDS = 7
HEADER = "transact_time,type,symbol,side,quantity,price,currency,fee,fee_currency,external_id\n"
START = datetime(2024, 1, 2, 9, tzinfo=UTC)
# In the order in which rows refer to each other.
TABLES = [
    "trader_currency",
    "trader_venue",
    "trader_instrument",
    "trader_importbatch",
    "trader_importrow",
    "trader_execution",
    "trader_executionfee",
    "trader_ledgeraccount",
    "trader_journalentry",
    "trader_posting",
    "trader_position",
    "trader_taxlot",
    "trader_lotmatch",
]
COLUMNS = """
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
GHOSTFOLIO_ACTIVITIES = 1_900


def main() -> None:
    rows = int(sys.argv[1]) if sys.argv[1:] else 20_000
    print(machine())
    with own_database("importing_benchmark"):
        account = create_account(code="BENCH", name="Benchmark", currency="USD")
        for instruments in (1, 50):
            compare(account, rows, instruments)
        large_household(account)


def compare(account: Account, rows: int, instruments: int) -> None:
    file = trades(rows, instruments)
    written = rolled_back(lambda: copied_out(account, file))
    seconds = interleaved(
        {
            "import": lambda: rolled_back(lambda: imported(account, file)),
            "copy": lambda: rolled_back(lambda: copied_in(written)),
        },
        rounds=ROUNDS,
    )
    best = sorted(seconds["import"])[ROUNDS // 2]
    print(
        f"{rows:,} rows of {instruments} instruments: {rows / best:,.0f} rows/s; {compared(seconds, 'import', 'copy')}"
    )


def large_household(account: Account) -> None:
    """ghostfolio#7931: its users wait 16 s for the portfolio of 1,900 activities."""
    file = trades(GHOSTFOLIO_ACTIVITIES, 40)
    started = time.perf_counter()
    imported(account, file)
    taken = time.perf_counter() - started
    question = Question(account=account, as_of=date(2026, 12, 31), lots=True)
    seconds = interleaved({"positions": lambda: report_positions(question, Given(), closed=True)}, rounds=ROUNDS)
    median = sorted(seconds["positions"])[ROUNDS // 2]
    print(f"{GHOSTFOLIO_ACTIVITIES:,} activities: imported in {taken:.2f} s, positions with all lots in {median:.3f} s")


def trades(rows: int, instruments: int) -> bytes:
    """Two purchases, then a sale, of each instrument in turn; every trade has a fee."""
    lines = [HEADER]
    for row in range(rows):
        side, quantity = ("SELL", 1) if row // instruments % 3 == 2 else ("BUY", 1 + row % 7)
        at = START + timedelta(minutes=row)
        price = Decimal(10_000 + row % 977).scaleb(-2)
        lines.append(f"{at.isoformat()},TRADE,SYM{row % instruments},{side},{quantity},{price},USD,1.25,USD,T{row}\n")
    return "".join(lines).encode()


def imported(account: Account, file: bytes) -> None:
    outcome = import_file(
        io.BytesIO(file),
        account=account,
        file_format="generic",
        file_name="benchmark.csv",
        actor="benchmark",
        now=timezone.now(),
    )
    if outcome.problems:
        sys.exit(f"The file was refused: {outcome.problems.kept[:3]}")


def copied_out(account: Account, file: bytes) -> dict[str, bytes]:
    """What an import writes, by table, as COPY's text."""
    with connection.cursor() as cursor:
        known = {table: cursor.execute(f"SELECT id FROM {table}").fetchall() for table in TABLES}
        imported(account, file)
        written = {}
        for table in TABLES:
            new = f"SELECT {columns(table)} FROM {table} WHERE NOT id::text = ANY(%s) ORDER BY id"
            with cursor.copy(f"COPY ({new}) TO STDOUT", [[str(key) for (key,) in known[table]]]) as copy:
                written[table] = b"".join(copy)
    return written


def copied_in(written: dict[str, bytes]) -> None:
    with connection.cursor() as cursor:
        for table, text in written.items():
            with cursor.copy(f"COPY {table} ({columns(table)}) FROM STDIN") as copy:
                copy.write(text)
    connection.check_constraints()


def columns(table: str) -> str:
    with connection.cursor() as cursor:
        return str(cursor.execute(COLUMNS, [table]).fetchone()[0])


def rolled_back(work: Callable[[], object]) -> dict[str, bytes]:
    with transaction.atomic():
        done = work()
        transaction.set_rollback(True)
    return done if isinstance(done, dict) else {}


if __name__ == "__main__":
    main()
