"""A trading book to measure on: accounts, instruments and executions with their entries, made from a fixed seed."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from benchmarks.scratch import create, drop, server
from trader.booking.postings import Leg, trade_legs
from trader.models import Account, Currency, Execution, Instrument, Side, Venue
from trader.models.keys import counters, from_counter
from trader.operations.ledger import ledger_accounts

SEED = 20260105
START = datetime(2020, 1, 1, 9, tzinfo=UTC)
TRADED_EACH, SECONDS_APART = 20, 3_000
# The rules' triggers are left out, as the book is right by its making: what they cost, `importing` measures.
WITHOUT_TRIGGERS = "SET LOCAL session_replication_role = replica"
COPY_EXECUTIONS = """
    COPY trader_execution (id, trade_id, account_id, instrument_id, source, exec_id, exec_type, side, last_qty, last_px,
        last_mkt, transact_time, trade_date, actor, recorded_at, posted_xid) FROM STDIN
"""
COPY_FEES = "COPY trader_executionfee (execution_id, type, amount, currency_id) FROM STDIN"
COPY_ENTRIES = """
    COPY trader_journalentry (id, account_id, instrument_id, value_date, kind, execution_id, actor, recorded_at,
        posted_xid) FROM STDIN
"""
COPY_POSTINGS = "COPY trader_posting (entry_id, ledger_account_id, currency_id, amount, value_date) FROM STDIN"
ANALYZE = "ANALYZE"


@contextmanager
def own_database(name: str) -> Iterator[None]:
    """Django's connection, and those of processes that it starts, lead to a migrated, empty database of that name."""
    create(server(name))
    os.environ["POSTGRES_DB"] = connection.settings_dict["NAME"] = name
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection.close()
        drop(server(name))


class Trade(NamedTuple):
    at: datetime
    instrument: int
    side: str
    quantity: int
    price: Decimal
    fee: Decimal | None


def make_book(
    *, executions: int, accounts: int, largest: int, traded_each: int = TRADED_EACH, seconds_apart: int = SECONDS_APART
) -> Account:
    """So many executions over so many accounts, of which one has `largest`: that one is returned.

    The accounts take turns in methods and fee policies, and each trades so many of twice as many instruments as there
    are accounts; every other trade has a fee.
    """
    chance = random.Random(SEED)
    currency = Currency.objects.get_or_create(code="USD", defaults={"minor_unit": 2})[0]
    venue = Venue.objects.get_or_create(mic="XNAS", defaults={"name": "Nasdaq"})[0]
    instruments = Instrument.objects.bulk_create(
        Instrument(venue=venue, symbol=f"BENCH{number}", currency=currency) for number in range(accounts * 2)
    )
    made = [_make_account(number, currency) for number in range(accounts)]
    each = (executions - largest) // max(accounts - 1, 1)
    for number, account in enumerate(made):
        traded = [instrument.pk for instrument in chance.sample(instruments, traded_each)]
        trades = _trades(chance, traded, largest if number == 0 else each, timedelta(seconds=seconds_apart))
        _write(account, currency, list(trades))
    with connection.cursor() as cursor:
        cursor.execute(ANALYZE)
    return made[0]


def _make_account(number: int, currency: Currency) -> Account:
    methods, policies = Account.CostBasisMethod.values, Account.FeePolicy.values
    return Account.objects.create(
        code=f"BENCH{number}",
        name=f"Benchmark {number}",
        base_currency=currency,
        cost_basis_method=methods[number % len(methods)],
        fee_policy=policies[number % len(policies)],
    )


def _trades(chance: random.Random, instruments: list[int], count: int, apart: timedelta) -> Iterator[Trade]:
    """Of days that follow each other; no more is sold than is held."""
    held = dict.fromkeys(instruments, 0)
    cents = {instrument: chance.randint(1_000, 50_000) for instrument in instruments}
    for number in range(count):
        instrument = chance.choice(instruments)
        cents[instrument] = max(cents[instrument] + chance.randint(-50, 50), 100)
        quantity = chance.randint(1, 100)
        sells = held[instrument] >= quantity and chance.random() < 0.5
        held[instrument] += -quantity if sells else quantity
        fee = Decimal(chance.randint(50, 500)).scaleb(-2) if number % 2 else None
        at = START + number * apart
        yield Trade(
            at, instrument, Side.SELL if sells else Side.BUY, quantity, Decimal(cents[instrument]).scaleb(-2), fee
        )


def _write(account: Account, currency: Currency, trades: list[Trade]) -> None:
    ledger = ledger_accounts(account.pk, [(kind, currency.code) for kind in ("CASH", "SECURITIES", "EXPENSE")])
    lines: dict[str, list[str]] = {COPY_EXECUTIONS: [], COPY_FEES: [], COPY_ENTRIES: [], COPY_POSTINGS: []}
    now = timezone.now()
    for number, (trade, key, entry) in enumerate(
        zip(trades, counters(len(trades)), counters(len(trades)), strict=True)
    ):
        execution, posted, day = from_counter(key), from_counter(entry), trade.at.date()
        lines[COPY_EXECUTIONS].append(
            f"{execution}\t{execution}\t{account.pk}\t{trade.instrument}\tbenchmark\tE{number}\t"
            f"{Execution.ExecType.TRADE.value}\t{trade.side}\t{trade.quantity}\t{trade.price}\t\t{trade.at}\t{day}\t"
            f"benchmark\t{now}\t0\n"
        )
        if trade.fee:
            lines[COPY_FEES].append(f"{execution}\tCOMMISSION\t{trade.fee}\t{currency.pk}\n")
        lines[COPY_ENTRIES].append(
            f"{posted}\t{account.pk}\t{trade.instrument}\t{day}\tTRADE\t{execution}\tbenchmark\t{now}\t0\n"
        )
        lines[COPY_POSTINGS] += [
            f"{posted}\t{ledger[leg.kind, leg.currency].pk}\t{currency.pk}\t{leg.amount}\t{day}\n"
            for leg in _legs(trade, currency)
        ]
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(WITHOUT_TRIGGERS)
        for statement, text in lines.items():
            with cursor.copy(statement) as copy:
                copy.write("".join(text))
        cursor.execute("COMMIT")


def _legs(trade: Trade, currency: Currency) -> list[Leg]:
    return trade_legs(
        sign=1 if trade.side == Side.BUY else -1,
        currency=currency.code,
        gross=trade.quantity * trade.price,
        fees=[(currency.code, trade.fee)] if trade.fee else [],
        units_value=Decimal(0),
        settlement=None,
        minor_units={currency.code: currency.minor_unit},
    )
