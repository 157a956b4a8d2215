"""Price bars on their way into the book: `import_bars` beside psql's `\\copy` of the same file into the same table.

Needs a server: uv run python manage.py db start, then

    uv run python -m benchmarks.import_bars [BARS]

Whole processes, the start of Python in ours included. The file lacks instrument, timeframe and source, which
psql cannot add: for it, and for the usual upsert by way of a temporary table, they are the columns' defaults.
"""

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import connection

from benchmarks.book import own_database
from benchmarks.measure import compared, interleaved, machine, seconds_of
from benchmarks.scratch import CHECKOUT, server
from config.wheel import client_programs
from trader.models import PriceBar
from trader.operations.instruments import create_instrument

SEED = 20260105
ROUNDS = 7
START = datetime(2024, 1, 2, tzinfo=UTC)
COLUMNS = "ts,open,high,low,close,volume"
DEFAULTS = """
    ALTER TABLE trader_pricebar ALTER instrument_id SET DEFAULT {instrument}, ALTER source SET DEFAULT 'file',
        ALTER timeframe SET DEFAULT '1m', ALTER split_adjusted SET DEFAULT false
"""
# What one candidate leaves to be written is not the next one's to do.
EMPTY = ("TRUNCATE trader_pricebar", "CHECKPOINT")
COPY = rf"\copy trader_pricebar ({COLUMNS}) from '{{file}}' csv header"
UPSERT = (
    "BEGIN",
    "CREATE TEMPORARY TABLE staged (LIKE trader_pricebar INCLUDING DEFAULTS)",
    rf"\copy staged ({COLUMNS}) from '{{file}}' csv header",
    "INSERT INTO trader_pricebar TABLE staged ON CONFLICT (instrument_id, timeframe, source, ts) DO NOTHING",
    "COMMIT",
)


def main() -> None:
    bars = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    print(machine())
    with own_database("bars_benchmark"), tempfile.TemporaryDirectory() as folder:
        instrument = create_instrument(symbol="BENCH", mic="XNAS", currency="USD")
        execute(DEFAULTS.format(instrument=instrument.pk))
        file = Path(folder, "bars.csv")
        file.write_text("\n".join([COLUMNS, *minutes(bars), ""]))
        compare(file, bars)
        again(file, bars)


def minutes(count: int) -> Iterator[str]:
    """A price that wanders, in cents."""
    chance, last = random.Random(SEED), 100_000
    for number in range(count):
        first, last = last, max(100, last + chance.randint(-20, 20))
        low, high = min(first, last) - chance.randint(0, 9), max(first, last) + chance.randint(0, 9)
        prices = ",".join(f"{price // 100}.{price % 100:02}" for price in (first, high, low, last))
        yield f"{START + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ},{prices},{chance.randint(0, 100_000)}"


def compare(file: Path, bars: int) -> None:
    seconds = interleaved(
        {
            "import_bars": lambda: imported(file),
            "copy": lambda: psql(COPY.format(file=file)),
            "upsert": lambda: psql(*(command.format(file=file) for command in UPSERT)),
        },
        rounds=ROUNDS,
        before_each=lambda: execute(*EMPTY),
    )
    median = sorted(seconds["import_bars"])[ROUNDS // 2]
    print(f"{bars:,} bars: {bars / median:,.0f}/s; {compared(seconds, 'copy', 'import_bars')}")
    print(f"and of the upsert: {compared(seconds, 'copy', 'upsert')}")


def again(file: Path, bars: int) -> None:
    """The file of the day before, with one more bar; then one whose last bar is wrong."""
    execute(*EMPTY)
    imported(file)
    *_, more = minutes(bars + 1)
    longer, wrong = file.with_name("longer.csv"), file.with_name("wrong.csv")
    longer.write_text(f"{file.read_text()}{more}\n")
    wrong.write_text(f"{file.read_text()}2026-01-05,1,2,3,4,5\n")
    print(f"the same with one more: {seconds_of(lambda: imported(longer)):.1f} s; {PriceBar.objects.count():,} bars")
    print(f"refused for its last bar: {seconds_of(lambda: imported(wrong, code=1)):.1f} s")


def imported(file: Path, *, code: int = 0) -> None:
    command = [sys.executable, "manage.py", "import_bars", str(file), "--instrument", "BENCH.XNAS", "--timeframe", "1m"]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if ended.returncode != code:
        sys.exit(f"import_bars exited with {ended.returncode}: {ended.stdout}{ended.stderr}")


def psql(*commands: str) -> None:
    address = server(str(connection.settings_dict["NAME"]))
    where = ["-h", address.host, "-p", str(address.port), "-U", address.user, "-d", address.database]
    each = [word for command in commands for word in ("-c", command)]
    subprocess.run(
        [Path(client_programs(), "psql"), *where, "-q", "-v", "ON_ERROR_STOP=1", *each],
        env=os.environ | {"PGPASSWORD": address.password},
        check=True,
    )


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


if __name__ == "__main__":
    main()
