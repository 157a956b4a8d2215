from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, QuerySet

from tests.project import Project
from tests.trader.book import open_account, said, take_in
from trader.models import Account, Execution, LotMatch, Position, TaxLot
from trader.operations.rebuilding import check, each_account, rebuild

pytestmark = pytest.mark.django_db

ROWS = """2026-01-05,TRADE,AAA,BUY,10,100,,USD,5,USD,T1
          2026-01-06,TRADE,AAA,BUY,7,130,,USD,1,USD,T2
          2026-01-07,TRADE,AAA,SELL,12,120,,USD,2,USD,T3
          2026-01-08,SPLIT,AAA,,3:1,,,USD,,,
          2026-01-09,TRADE,AAA,SELL,2,50,,USD,,,T4
          2026-01-09,TRADE,BBB,BUY,2,50,,USD,,,T5"""
Rows = list[dict[str, Any]]


@pytest.fixture(params=["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"])
def account(request: pytest.FixtureRequest, tmp_path: Path) -> Account:
    open_account("A", cost_basis_method=request.param)
    take_in(tmp_path, "A", ROWS)
    return Account.objects.get(code="A")


def projections() -> list[Rows]:
    """All of positions, lots and matches but their numbers."""
    queries: list[QuerySet[Any, Any]] = [
        Position.objects.order_by("pk").values(),
        TaxLot.objects.order_by("position", "trade").values(),
        LotMatch.objects.order_by("position", "closing_trade", "opening_trade").values(),
    ]
    return [[{name: value for name, value in row.items() if name != "id"} for row in rows] for rows in queries]


TAMPERINGS: dict[str, Callable[[], object]] = {
    "quantity is 30, its executions give 13": lambda: Position.objects.filter(quantity=13).update(quantity=30),
    "realized_pnl is": lambda: Position.objects.filter(quantity=13).update(realized_pnl=F("realized_pnl") + 1),
    "as_of_execution_id is": lambda: Position.objects.filter(quantity=2).update(
        as_of_execution=Execution.objects.get(exec_id="T1")
    ),
    "rows of trader_taxlot differ": lambda: TaxLot.objects.filter(remaining__gt=0).update(unit_cost=1),
    "1 rows of trader_lotmatch differ": lambda: LotMatch.objects.filter(pk=LotMatch.objects.latest("pk").pk).delete(),
}


def test_what_is_kept_agrees_with_the_executions(account: Account) -> None:
    assert check(account.pk) == ("A", 5, [])


@pytest.mark.parametrize("said", TAMPERINGS)
def test_tampering_is_found_and_mended(said: str, account: Account) -> None:
    before = projections()
    TAMPERINGS[said]()
    tampered = projections()

    found = check(account.pk).findings
    after_check = projections()
    mended = rebuild(account.pk)

    assert any(said in finding and finding.startswith("A ") for finding in found)
    assert after_check == tampered != before
    assert mended == ("A", 5, [])
    assert projections() == before
    assert check(account.pk).findings == []


def test_a_position_that_nothing_gave_is_found_and_emptied(account: Account) -> None:
    Position.objects.filter(instrument__symbol="BBB").update(quantity=99)
    stranger = Position.objects.get(instrument__symbol="BBB")
    stranger.pk, stranger.instrument = (
        None,
        stranger.instrument.__class__.objects.create(
            symbol="CCC", venue=stranger.instrument.venue, currency=stranger.instrument.currency
        ),
    )
    stranger.save(force_insert=True)

    found = check(account.pk).findings
    rebuild(account.pk)

    assert any("CCC" in finding and "quantity is 99, its executions give 0" in finding for finding in found)
    assert Position.objects.get(instrument__symbol="CCC").quantity == 0
    assert check(account.pk).findings == []


def test_a_position_that_is_gone_is_found_and_made_again(account: Account) -> None:
    before = projections()
    Position.objects.filter(instrument__symbol="BBB").delete()

    found = check(account.pk).findings
    gone = Position.objects.filter(instrument__symbol="BBB").exists()
    rebuild(account.pk)

    assert any("BBB" in finding and "quantity is 0, its executions give 2" in finding for finding in found)
    assert not gone
    assert len(projections()[0]) == len(before[0])


def test_trades_that_the_rules_no_longer_allow_are_found_and_nothing_is_written(tmp_path: Path) -> None:
    open_account("A", allow_short=True)
    take_in(tmp_path, "A", "2026-01-05,TRADE,AAA,SELL,10,100,,USD,,,T1")
    Account.objects.update(allow_short=False)
    before = projections()

    (finding,) = rebuild(Account.objects.get().pk).findings

    assert finding.startswith("A, execution ")
    assert "A sale of 10" in finding
    assert projections() == before


def test_one_after_the_other_in_this_process(account: Account) -> None:
    connection.ensure_connection()

    assert [done.counted for done in each_account(check, [account.pk, account.pk], processes=1)] == [5, 5]


@pytest.mark.parametrize("arguments", [[], ["--account", "A"], ["--processes", "1"]])
def test_the_command_says_what_differs(arguments: list[str], account: Account) -> None:
    Position.objects.filter(quantity=13).update(cost=1)
    arguments = arguments or ["--processes", "1"]

    found = said("rebuild_positions", "--check", *arguments)
    mended = said("rebuild_positions", *arguments)
    checked = said("rebuild_positions", "--check", *arguments)

    assert (found["accounts"], found["executions"], len(found["findings"])) == (1, 5, 1)
    assert mended["findings"] == checked["findings"] == []


def test_several_processes_do_the_accounts_of_a_book(project: Project) -> None:
    project.manage("migrate", "--verbosity=0")
    rows = project.path / "rows.csv"
    rows.write_text("transact_time,type,symbol,side,quantity,price,currency\n2026-01-05,TRADE,AAA,BUY,1,2,USD\n")
    for code in "ABC":
        project.manage("account", "create", code, "--currency", "USD")
        project.manage("import_executions", "rows.csv", "--account", code, "--format", "generic")
    with project.connect() as session:
        session.execute("UPDATE trader_position SET cost = 7 WHERE id = (SELECT max(id) FROM trader_position)")

    found = project.manage("rebuild_positions", "--check", "--processes", "2")
    rebuilt = project.manage("rebuild_positions", "--processes", "2")
    checked = project.manage("rebuild_positions", "--check", "--processes", "2")

    assert found.returncode == 1
    assert "C AAA.XXXX:USD: cost is 7, its executions give 2" in found.stdout
    assert "Executions compared: 3. Findings: 1." in found.stdout
    assert (rebuilt.returncode, checked.returncode) == (0, 0)
    assert "Executions compared: 3. Findings: 0." in checked.stdout
