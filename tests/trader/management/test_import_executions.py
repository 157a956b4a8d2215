import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.factories import AccountFactory
from tests.project import CHECKOUT, Project, database_environment
from tests.trader.conftest import Connect
from tests.trader.importing import exports
from tests.trader.importing.intake import row_counts
from tests.trader.importing.sheets import Row, cash, sheet, trade
from tests.trader.management.running import Terminal, ran
from tests.trader.memory import MANAGE, MOST_KILOBYTES, measured
from trader.management.terminal import CLEAR_LINE
from trader.models import Account, ImportBatch

GENERIC = ("--account", "MINE", "--format", "generic")
# The last one says what the one before it says.
ROWS: list[Row] = [cash(), trade(external_id="T1"), trade(external_id="T1")]


@pytest.fixture
def account(db: None) -> Account:
    return AccountFactory.create(code="MINE")


def written(folder: Path, *rows: Row) -> Path:
    path = folder / "trades.csv"
    path.write_bytes(sheet(*rows))
    return path


def run(path: Path, *options: str, stderr: io.StringIO | None = None) -> tuple[Any, str, str]:
    return ran("import_executions", str(path), *GENERIC, *options, stderr=stderr)


def test_it_says_what_came_in(account: Account, tmp_path: Path) -> None:
    path = written(tmp_path, *ROWS)

    tried, first, second = run(path, "--dry-run"), run(path), run(path)

    assert tried == (0, "Would import 2 of 3 rows; 1 were known.\n", "")
    assert first == (0, "Imported 2 of 3 rows; 1 were known.\n", "")
    assert second == (0, "Imported 0 of 3 rows; 3 were known.\n", "")
    assert ImportBatch.objects.get().file_name == "trades.csv"


def test_it_says_so_to_a_program(account: Account, tmp_path: Path) -> None:
    path = written(tmp_path, *ROWS)

    tried, first = run(path, "--json", "--dry-run"), run(path, "--json")

    assert json.loads(tried[1]) == json.loads(first[1]) == {"rows": 3, "imported": 2, "skipped": 1, "errors": []}
    assert (first[0], first[2]) == (0, "")


def test_a_preview_says_of_each_row_what_it_would_do(account: Account, tmp_path: Path) -> None:
    path = written(tmp_path, *ROWS, trade(price="x"))

    code, stdout, stderr = run(path, "--dry-run", "--preview")

    assert code == 1
    assert stdout == (
        "line 2: added, DEPOSIT 100 CHF\n"
        "line 3: added, BUY 10 AAA.XXXX at 100 CHF\n"
        "line 4: known, BUY 10 AAA.XXXX at 100 CHF\n"
        "line 5: refused\n"
    )
    assert stderr.endswith("Nothing was imported, for 1 problem. Mend the file and import it again.\n")


def test_a_preview_says_how_much_it_does_not_show(account: Account, tmp_path: Path) -> None:
    path = written(tmp_path, *(cash(amount=str(number)) for number in range(1, 1_003)))

    _, stdout, _ = run(path, "--preview")

    assert stdout.splitlines()[999:] == [
        "line 1001: added, DEPOSIT 1000 CHF",
        "2 more rows are not shown.",
        "Imported 1,002 of 1,002 rows; 0 were known.",
    ]


def test_rows_that_were_passed_over_are_counted(account: Account, tmp_path: Path) -> None:
    path = tmp_path / "flex.csv"
    path.write_bytes(exports.flex_file(exports.flex(LevelOfDetail="ORDER"), exports.flex()))
    stdout = io.StringIO()

    call_command("import_executions", str(path), "--account", "MINE", "--format", "ibkr", stdout=stdout)

    assert stdout.getvalue() == "Imported 1 of 2 rows; 0 were known, 1 were passed over.\n"


def test_a_refused_file_exits_1_with_its_problems(account: Account, tmp_path: Path) -> None:
    path = written(tmp_path, cash(), trade(price="1,5", side="LONG"))
    before = row_counts()

    code, stdout, stderr = run(path)

    assert (code, stdout) == (1, "")
    assert stderr == (
        "line 3, side: found 'LONG', expected one of BUY, SELL, SELL_SHORT\n"
        "line 3, price: found '1,5', expected a number such as -1234.56, without thousands separators\n"
        "Nothing was imported, for 2 problems. Mend the file and import it again.\n"
    )
    assert row_counts() == before


def test_a_refused_file_tells_a_program_its_problems(account: Account, tmp_path: Path) -> None:
    code, stdout, stderr = run(written(tmp_path, cash(), trade("SELL")), "--json")

    assert (code, stderr) == (1, "")
    assert json.loads(stdout) == {
        "rows": 2,
        "imported": 0,
        "skipped": 0,
        "errors": [
            {
                "line": 3,
                "column": "quantity",
                "value": "10",
                "expected": "no more than MINE holds of AAA.XXXX:CHF on 2026-01-05: "
                "A sale of 10 is 10 more than the account holds.",
            }
        ],
    }


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("nothing.csv", [], "nothing.csv cannot be read: No such file or directory"),
        ("", [], "cannot be read: Is a directory"),
        (
            "trades.csv",
            ["--account", "YOURS"],
            "There is no account YOURS. Accounts: MINE. `account create` makes one.",
        ),
    ],
)
def test_what_cannot_be_read_at_all_exits_2(
    account: Account, tmp_path: Path, name: str, options: list[str], said: str
) -> None:
    path = written(tmp_path, *ROWS).parent / name

    with pytest.raises(CommandError, match=said) as refusal:
        run(path, *options)

    assert refusal.value.returncode == 2


def test_a_file_of_a_name_that_is_no_text_is_taken(account: Account, tmp_path: Path) -> None:
    path = written(tmp_path, *ROWS).rename(tmp_path / "m\udce4rz.csv")

    assert run(path)[0] == 0
    assert ImportBatch.objects.get().file_name == "m?rz.csv"


def test_a_terminal_shows_progress_once_it_takes_long(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1_000))
    monkeypatch.setattr("trader.management.terminal.time.monotonic", lambda: next(clock))

    _, stdout, shown = run(
        written(tmp_path, *(trade(price=str(number + 1)) for number in range(20))), stderr=Terminal()
    )

    assert shown.startswith(f"{CLEAR_LINE}Reading: 1{CLEAR_LINE}")
    assert shown.endswith(f"{CLEAR_LINE}Counting positions ...{CLEAR_LINE}")
    assert stdout == "Imported 20 of 20 rows; 0 were known.\n"


def test_a_terminal_shows_nothing_of_what_is_quickly_done(account: Account, tmp_path: Path) -> None:
    assert run(written(tmp_path, *ROWS), stderr=Terminal()) == (0, "Imported 2 of 3 rows; 1 were known.\n", "")


@pytest.fixture
def elsewhere(transactional_db: Connect) -> Project:
    """The checkout, for processes that work on a database of the test's own."""
    AccountFactory.create(code="MINE", base_currency__code="USD")
    return Project(CHECKOUT, database_environment(connection.settings_dict["NAME"]))


def test_a_pipe_is_read_and_exit_codes_tell_how_it_went(elsewhere: Project) -> None:
    def pipe(data: bytes, *options: str) -> tuple[int, str, str]:
        ended = subprocess.run(
            [sys.executable, "manage.py", "import_executions", "/dev/stdin", *GENERIC, *options],
            cwd=elsewhere.path,
            env=elsewhere.environment,
            input=data,
            capture_output=True,
            check=False,
        )
        return ended.returncode, ended.stdout.decode(), ended.stderr.decode()

    taken, refused = pipe(sheet(*ROWS)), pipe(sheet(trade("SELL", "11")), "--json")
    unreadable = pipe(b"", "--account", "YOURS")

    assert taken == (0, "Imported 2 of 3 rows; 1 were known.\n", "")
    assert (refused[0], refused[2]) == (1, "")
    assert [error["line"] for error in json.loads(refused[1])["errors"]] == [2]
    assert unreadable[:2] == (2, "")
    assert ImportBatch.objects.get().file_name == "stdin"


ROW = "2026-01-05T{:02}:{:02}:{:02}Z,{},AAA,{},{},{}.{:02},USD,1.5,USD,{},{},a note\n"
HEADER = "transact_time,type,symbol,side,quantity,price,currency,fee,fee_currency,external_id,exec_ref,note\n"


def _row(number: int, kind: str = "TRADE", side: str = "BUY", quantity: str = "10", exec_ref: str = "") -> str:
    time = (number // 3600 % 24, number // 60 % 60, number % 60)
    return ROW.format(*time, kind, side, quantity, 100 + number % 50, number % 100, f"{kind[0]}{number:06}", exec_ref)


def _trades() -> list[str]:
    return [_row(number, side="SELL" if number % 3 == 2 else "BUY") for number in range(200_000)]


def _bought() -> list[str]:
    return [_row(number) for number in range(200_000)]


def _corrected() -> list[str]:
    trades = range(100_000)
    return [_row(n) for n in trades] + [_row(n, "CORRECT", quantity="11", exec_ref=f"T{n:06}") for n in trades]


def _broken() -> list[str]:
    return [_row(number, quantity="ten") for number in range(200_000)]


def _generic(rows: Callable[[], list[str]]) -> Callable[[], bytes]:
    def data() -> bytes:
        return (HEADER + "".join(rows())).encode()

    return data


def _degiro() -> bytes:
    return exports.degiro_file(*map(_degiro_row, range(200_000)))


def _degiro_row(number: int) -> Sequence[str]:
    quantity, price = 10, 100 + number % 50
    day, value = number // 600, str(-quantity * price)
    return exports.degiro(
        str(quantity),
        str(price),
        value,
        value,
        "",
        value,
        currency="USD",
        base="USD",
        time=f"{9 + number // 60 % 10:02}:{number % 60:02}",
        date=f"{day % 28 + 1:02}-{day // 28 + 1:02}-2021",
        order=str(UUID(int=number)),
    )


def _ibkr() -> bytes:
    return exports.flex_file(*map(_ibkr_row, range(200_000)))


def _ibkr_row(number: int) -> Row:
    """Bought in another currency than the account's, and never sold."""
    day = f"2023{1 + number // 20_000:02}{1 + number // 800 % 25:02}"
    return exports.flex(
        str(10 + number % 977),
        f"{100 + number % 50}.{number % 100:02}",
        CurrencyPrimary="EUR",
        FXRateToBase=f"1.{number % 1_000:03}",
        IBCommissionCurrency="EUR",
        DateTime=f"{day};{9 + number // 60 % 10:02}{number % 60:02}00",
        TradeDate=day,
        IBExecID=f"0000e0d5.{number:08}",
    )


def _binance() -> bytes:
    return exports.binance_file(*(row for number in range(100_000) for row in _binance_fill(number)))


def _binance_fill(number: int) -> Sequence[Sequence[str]]:
    sign = -1 if number % 3 == 2 else 1
    at = (datetime(2021, 1, 1, tzinfo=UTC) + timedelta(seconds=number)).strftime("%Y-%m-%d %H:%M:%S")
    return [
        exports.change("Buy", "BTC", str(sign * Decimal("0.00123")), at),
        exports.change("Buy", "USD", str(-sign * (100 + number % 50)), at),
    ]


@pytest.mark.parametrize(
    ("file_format", "data", "code"),
    [
        pytest.param("generic", _generic(_trades), 0, marks=pytest.mark.endurance),
        pytest.param("generic", _generic(_bought), 0, marks=pytest.mark.endurance),
        pytest.param("generic", _generic(_corrected), 0, marks=pytest.mark.endurance),
        pytest.param("degiro", _degiro, 0, marks=pytest.mark.endurance),
        pytest.param("ibkr", _ibkr, 0, marks=pytest.mark.endurance),
        pytest.param("binance", _binance, 0, marks=pytest.mark.endurance),
        ("generic", _generic(_broken), 1),
    ],
    ids=["trades", "bought", "corrected", "degiro", "ibkr", "binance", "broken"],
)
def test_two_hundred_thousand_rows_take_less_than_200_megabytes(
    elsewhere: Project, tmp_path: Path, file_format: str, data: Callable[[], bytes], code: int
) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(data())

    arguments = ("import_executions", path, "--account", "MINE", "--format", file_format)
    exit_code, _, kilobytes = measured(MANAGE, *arguments, folder=elsewhere.path, environment=elsewhere.environment)

    assert exit_code == code
    assert kilobytes < MOST_KILOBYTES
