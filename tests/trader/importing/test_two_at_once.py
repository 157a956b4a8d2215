from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from tests.factories import AccountFactory
from tests.trader.conftest import Connect
from tests.trader.importing.intake import take_in
from tests.trader.importing.sheets import Row, cash, trade
from tests.trader.operations.books import assert_as_replayed
from tests.trader.operations.threads import elsewhere
from trader.importing.files import Outcome
from trader.models import Account, Instrument, InstrumentIdentifier, JournalEntry

NESTLE = "CH0038863350"


@pytest.fixture
def pool(transactional_db: Connect) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield pool


def at_once(pool: ThreadPoolExecutor, *files: tuple[Account, list[Row]]) -> list[Outcome]:
    """Import them at the same time; what each came to."""
    start = Barrier(len(files))

    def task(account: Account, rows: list[Row]) -> Outcome:
        start.wait(timeout=10)
        return take_in(account, *rows)

    futures = [elsewhere(pool, partial(task, *file)) for file in files]
    return [future.result(timeout=60) for future in futures]


def test_one_file_twice_at_once_comes_in_once(pool: ThreadPoolExecutor) -> None:
    account = AccountFactory.create()
    # From here on, it is not the making of the instrument that lets them wait for each other.
    take_in(account, trade(quantity="1"))
    rows = [
        cash(),
        *(trade(price=str(number)) for number in range(1, 30)),
        trade("SELL", "250", transact_time="2026-01-06"),
    ]

    outcomes = at_once(pool, (account, rows), (account, rows), (account, rows))

    assert [outcome.problems.kept for outcome in outcomes] == [[], [], []]
    assert sorted(outcome.imported for outcome in outcomes) == [0, 0, 31]
    assert sorted(outcome.skipped for outcome in outcomes) == [0, 31, 31]
    assert JournalEntry.objects.count() == 32
    assert_as_replayed(account)


def test_two_accounts_make_the_same_instruments_at_once(pool: ThreadPoolExecutor) -> None:
    """In opposite orders, and without a deadlock, which would take a second and may come again."""
    accounts = [AccountFactory.create() for _ in range(4)]
    rows = [trade(symbol=f"SYM{number}", mic=f"X{number:03}", isin=NESTLE) for number in range(20)]

    outcomes = at_once(
        pool, *((each, rows[::direction]) for each, direction in zip(accounts, (1, -1, 1, -1), strict=True))
    )

    assert [(outcome.imported, outcome.problems.kept) for outcome in outcomes] == [(20, [])] * 4
    assert Instrument.objects.count() == InstrumentIdentifier.objects.count() == 20


def test_two_accounts_give_a_known_instrument_its_isin_at_once(pool: ThreadPoolExecutor) -> None:
    accounts = [AccountFactory.create() for _ in range(4)]
    take_in(accounts[0], trade())

    outcomes = at_once(pool, *((account, [trade(isin=NESTLE)]) for account in accounts))

    assert [(outcome.imported, outcome.problems.kept) for outcome in outcomes] == [(1, [])] * 4
    assert InstrumentIdentifier.objects.get().value == NESTLE
