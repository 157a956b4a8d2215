"""Positions, lots and matches written anew from the executions, or held against them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from typing import Any, NamedTuple

import django
from django.db import connection, transaction
from psycopg import sql

from trader.booking.holding import LotsExceeded, Oversold
from trader.booking.numbers import plain
from trader.models import Account, Position
from trader.operations.positions import STATE, locked_positions, project, write_replayed
from trader.operations.projections import LOT_COLUMNS, MATCH_COLUMNS, Projections
from trader.operations.rates import Rates
from trader.operations.retrying import in_one_transaction
from trader.operations.trades import Trades, traded_in

REPLAYED_TABLE = sql.SQL("CREATE TEMPORARY TABLE {replayed} ON COMMIT DROP AS SELECT {columns} FROM {kept} LIMIT 0")
DIFFERING = sql.SQL("""
    WITH kept AS (SELECT {columns} FROM {kept} WHERE position_id = ANY(%(positions)s)),
    replayed AS (SELECT {columns} FROM {replayed}),
    differing AS (
        (SELECT * FROM kept EXCEPT ALL SELECT * FROM replayed)
        UNION ALL
        (SELECT * FROM replayed EXCEPT ALL SELECT * FROM kept)
    )
    SELECT position_id, count(*) FROM differing GROUP BY position_id ORDER BY position_id
""")
LOTS, MATCHES = "replayed_taxlot", "replayed_lotmatch"
# As they are kept, as they are replayed, and what is held against each other.
TABLES = [("trader_taxlot", LOTS, LOT_COLUMNS), ("trader_lotmatch", MATCHES, MATCH_COLUMNS)]


class Done(NamedTuple):
    """How many executions of an account were counted, and what is wrong with what they give."""

    account: str
    counted: int
    findings: list[str]


def rebuild(account: int) -> Done:
    """Write the account's positions, lots and matches anew, in one transaction.

    Where the account's rules no longer allow a trade that it holds, that is found and everything stays as it is.
    """
    return _unless_refused(account, _rebuild)


def check(account: int) -> Done:
    """Find where the account's positions, lots and matches differ from what its executions give; writes nothing."""
    return _unless_refused(account, _check)


def _unless_refused(account: int, work: Callable[[Account], Done]) -> Done:
    chosen = Account.objects.select_related("base_currency").get(pk=account)
    try:
        return work(chosen)
    except (Oversold, LotsExceeded) as error:
        return Done(chosen.code, 0, [f"{chosen.code}, execution {error.trade}: {error}"])


def each_account(work: Callable[[int], Done], accounts: Iterable[int], *, processes: int) -> Iterator[Done]:
    """Do the work for each account, several at a time, each process with a session of its own."""
    if processes <= 1:
        yield from map(work, accounts)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=django.setup) as pool:
        yield from pool.map(work, accounts)


@in_one_transaction
def _rebuild(account: Account) -> Done:
    return Done(account.code, project(account, _concerned(account)), [])


@in_one_transaction
def _check(account: Account) -> Done:
    positions = locked_positions(account, _concerned(account))
    before = {position.pk: _state(position) for position in positions}
    for kept, replayed, columns in TABLES:
        _execute(REPLAYED_TABLE, kept, replayed, columns)
    trades = Trades(account, Rates(), [position.instrument_id for position in positions])
    counted = write_replayed(trades, positions, Projections(lots=LOTS, matches=MATCHES))
    names = {position.pk: str(position.instrument) for position in positions}
    findings = [
        f"{account.code} {names[position.pk]}: {difference}"
        for position in positions
        for difference in _differences(before[position.pk], _state(position))
    ]
    for kept, replayed, columns in TABLES:
        rows = _execute(DIFFERING, kept, replayed, columns, {"positions": list(before)})
        findings += [f"{account.code} {names[position]}: {count} rows of {kept} differ" for position, count in rows]
    transaction.set_rollback(True)
    return Done(account.code, counted, findings)


def _concerned(account: Account) -> set[int]:
    """The instruments that it traded, and those that somebody gave it a position in."""
    return {*traded_in(account), *Position.objects.filter(account=account).values_list("instrument", flat=True)}


def _state(position: Position) -> dict[str, Any]:
    return {column: getattr(position, column) for column in STATE}


def _differences(kept: dict[str, Any], replayed: dict[str, Any]) -> list[str]:
    return [
        f"{name} is {_shown(kept[name])}, its executions give {_shown(value)}"
        for name, value in replayed.items()
        # An id may be a UUID or its text.
        if kept[name] != value and str(kept[name]) != str(value)
    ]


def _shown(value: Any) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)


def _execute(
    statement: sql.SQL, kept: str, replayed: str, columns: list[str], parameters: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    composed = statement.format(
        kept=sql.Identifier(kept),
        replayed=sql.Identifier(replayed),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    with connection.cursor() as cursor:
        cursor.execute(composed, parameters)
        return cursor.fetchall() if cursor.description else []
