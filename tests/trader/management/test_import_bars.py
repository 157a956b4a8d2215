import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection

from tests.factories import InstrumentFactory
from tests.project import CHECKOUT, Project, database_environment
from tests.trader.conftest import Connect
from tests.trader.importing.bar_files import HEADER, ROW, bar_file
from tests.trader.management.running import Terminal, ran
from tests.trader.memory import MANAGE, MOST_KILOBYTES, measured
from trader.management.terminal import BAR_WIDTH, CLEAR_LINE
from trader.models import Instrument, PriceBar

DAILY = ("--instrument", "NESN.XSWX", "--timeframe", "1d")
MINUTES = ("--instrument", "NESN.XSWX", "--timeframe", "1m")
COPYING = "SELECT tuples_processed FROM pg_stat_progress_copy WHERE datname = current_database()"


@pytest.fixture
def instrument(db: None) -> Instrument:
    return InstrumentFactory.create(symbol="NESN")


def written(folder: Path, *rows: str) -> Path:
    path = folder / "bars.csv"
    path.write_bytes(bar_file(*rows))
    return path


def run(path: Path, *options: str, stderr: io.StringIO | None = None) -> tuple[Any, str, str]:
    return ran("import_bars", str(path), *DAILY, *options, stderr=stderr)


def test_it_says_what_came_in(instrument: Instrument, tmp_path: Path) -> None:
    path = written(tmp_path, ROW, "2026-01-06,1,1,1,1,1")

    tried, first, second = run(path, "--dry-run"), run(path), run(path)

    assert tried == (0, "Would import 2 of 2 rows; 0 were known.\n", "")
    assert first == (0, "Imported 2 of 2 rows; 0 were known.\n", "")
    assert second == (0, "Imported 0 of 2 rows; 2 were known.\n", "")
    assert PriceBar.objects.count() == 2


def test_it_says_so_to_a_program(instrument: Instrument, tmp_path: Path) -> None:
    path = written(tmp_path, ROW)

    tried, first, again = (json.loads(run(path, "--json", *more)[1]) for more in (["--dry-run"], [], []))

    assert tried == first == {"rows": 1, "imported": 1, "skipped": 0, "errors": []}
    assert again == {"rows": 1, "imported": 0, "skipped": 1, "errors": []}


def test_a_refused_file_exits_1_with_its_problems(instrument: Instrument, tmp_path: Path) -> None:
    path = written(tmp_path, ROW, "2026-01-06,1,1,2,1,x", ROW)

    code, stdout, stderr = run(path)
    told = run(path, "--json")

    assert (code, stdout) == (1, "")
    assert stderr == (
        "line 3, volume: found 'x', expected a number such as -1234.56, without thousands separators\n"
        "line 4, ts: found '2026-01-05', expected one bar for a time: line 2 has it\n"
        "Nothing was imported, for 2 problems. Mend the file and import it again.\n"
    )
    assert (told[0], told[2]) == (1, "")
    assert json.loads(told[1])["errors"][1] == {
        "line": 4,
        "column": "ts",
        "value": "2026-01-05",
        "expected": "one bar for a time: line 2 has it",
    }
    assert PriceBar.objects.count() == 0


def test_source_and_adjustment_are_those_of_all_bars(instrument: Instrument, tmp_path: Path) -> None:
    path = written(tmp_path, ROW)

    run(path)
    run(path, "--source", "a feed", "--split-adjusted")

    kept = PriceBar.objects.order_by("source").values_list("source", "timeframe", "split_adjusted")
    assert list(kept) == [("a feed", "1d", True), ("file", "1d", False)]


def test_bars_of_years_without_a_partition_are_told_with_what_makes_it(instrument: Instrument, tmp_path: Path) -> None:
    path = written(tmp_path, ROW, "2014-12-31,1,1,1,1,1", "1999-12-31,1,1,1,1,1")

    code, stdout, stderr = run(path)

    assert (code, stderr) == (0, "")
    assert stdout == (
        "Imported 3 of 3 rows; 0 were known.\n"
        "Bars of 1999, 2014 lie in the default partition: `price_partitions` makes their own.\n"
    )
    assert json.loads(run(path, "--json")[1])["skipped"] == 3


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("nothing.csv", [], "nothing.csv cannot be read: No such file or directory"),
        ("", [], "cannot be read: Is a directory"),
        ("bars.csv", ["--instrument", "NOVN.XSWX"], "There is no instrument NOVN.XSWX."),
    ],
)
def test_what_cannot_be_read_at_all_exits_2(
    instrument: Instrument, tmp_path: Path, name: str, options: list[str], said: str
) -> None:
    path = written(tmp_path, ROW).parent / name

    with pytest.raises(CommandError, match=said) as refusal:
        run(path, *options)

    assert refusal.value.returncode == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--timeframe", "1D"], "'1D' is no timeframe such as 1d, 1h or 5m, of at most 8 characters"),
        (["--timeframe", "10000000d"], "'10000000d' is no timeframe"),
        (["--source", " "], "' ' is no name of 1 to 32 printable characters"),
        (["--source", "a" * 33], "is no name of 1 to 32 printable characters"),
    ],
)
def test_names_that_the_book_cannot_keep_are_refused(
    instrument: Instrument, tmp_path: Path, options: list[str], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        run(written(tmp_path, ROW), *options)

    assert PriceBar.objects.count() == 0


def test_a_terminal_shows_a_bar_once_it_takes_long(
    instrument: Instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1_000))
    monkeypatch.setattr("trader.management.terminal.time.monotonic", lambda: next(clock))
    # The one that is known makes it be done in two ways.
    run(written(tmp_path, ROW))

    _, stdout, shown = run(written(tmp_path, "2026-01-06,1,1,1,1,1", ROW), stderr=Terminal())

    full = f"  [{'#' * BAR_WIDTH}] 100%"
    assert shown.split(CLEAR_LINE) == [
        "",
        f"Copying: 2{full}",
        f"Comparing with the book: 2{full}",
        f"Checking: 2{full}",
        "",
    ]
    assert stdout == "Imported 1 of 2 rows; 1 were known.\n"


@pytest.fixture
def elsewhere(transactional_db: Connect) -> Project:
    """The checkout, for processes that work on a database of the test's own."""
    InstrumentFactory.create(symbol="NESN")
    return Project(CHECKOUT, database_environment(connection.settings_dict["NAME"]))


def start(project: Project, *arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=project.path,
        env=project.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_a_pipe_is_read_and_exit_codes_tell_how_it_went(elsewhere: Project) -> None:
    def pipe(data: bytes, *options: str) -> tuple[int, str, str]:
        program = start(elsewhere, "manage.py", "import_bars", "/dev/stdin", *DAILY, *options)
        stdout, stderr = program.communicate(data)
        return program.returncode, stdout.decode(), stderr.decode()

    taken, refused = pipe(bar_file(ROW)), pipe(bar_file(ROW.replace("105", "106")), "--json")
    unreadable = pipe(b"", "--timeframe", "daily")

    assert taken == (0, "Imported 1 of 1 rows; 0 were known.\n", "")
    assert (refused[0], refused[2]) == (1, "")
    assert [error["line"] for error in json.loads(refused[1])["errors"]] == [2]
    assert unreadable[:2] == (2, "")
    assert PriceBar.objects.count() == 1


def minutes(count: int, ends: str = "1,2,1,2,9") -> Iterator[str]:
    for number in range(count):
        days, minute = divmod(number, 1440)
        year, day = divmod(days, 336)
        yield f"{2015 + year}-{day // 28 + 1:02}-{day % 28 + 1:02}T{minute // 60:02}:{minute % 60:02}:00Z,{ends}\n"


def test_a_process_that_is_killed_in_the_middle_leaves_nothing(
    elsewhere: Project, transactional_db: Connect, tmp_path: Path
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\n{''.join(minutes(200_000))}")
    watching = transactional_db("owner")
    watching.autocommit = True

    program = start(elsewhere, "manage.py", "import_bars", path, *MINUTES)
    deadline = time.monotonic() + 30
    while not (copied := watching.execute(COPYING).fetchone()) or not copied[0]:
        assert program.poll() is None
        assert time.monotonic() < deadline
    program.kill()
    program.communicate()
    while watching.execute(COPYING).fetchone():
        assert time.monotonic() < deadline

    assert (program.returncode, PriceBar.objects.count()) == (-signal.SIGKILL, 0)


@pytest.mark.endurance
@pytest.mark.parametrize(
    ("ends", "code"),
    [("1,2,1,2,9", 0), ('1,2,1,2,"9"', 0), ("1,2,3,2,9", 1)],
    ids=["plain", "by cell", "refused"],
)
def test_two_million_bars_take_less_than_200_megabytes(
    elsewhere: Project, tmp_path: Path, ends: str, code: int
) -> None:
    path = tmp_path / "bars.csv"
    with path.open("w") as file:
        file.write(f"{HEADER}\n")
        file.writelines(minutes(2_000_000, ends))

    arguments = ("import_bars", path, *MINUTES)
    exit_code, _, kilobytes = measured(MANAGE, *arguments, folder=elsewhere.path, environment=elsewhere.environment)

    assert exit_code == code
    assert kilobytes < MOST_KILOBYTES
