"""A table in use: processes that run statements beside a migration, and what each statement took or why it failed."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import NamedTuple

import psycopg

from config.postgres import Address

NAME = "benchmark_traffic"
LOOK_EVERY = 0.010
# How long it runs before the work begins, so that nobody is still connecting.
LEAD = 1.0
REPORT_WITHIN = 120
LONGEST_LOCK_WAIT = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float8
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND application_name = %s AND datname = current_database()
"""

Context = get_context("fork")


class Call(NamedTuple):
    """One statement: when it was due by the machine's monotonic clock, its seconds from then, and its error."""

    due: float
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Load:
    """One process that runs a statement at a steady rate, with a random `key` of 1 to `keys`.

    An open one has its times, whatever the statements take: a late one counts from the time when it was due, as a
    request that waits for its turn does. A closed one counts from the moment when it begins.
    """

    name: str
    statement: str
    every: float = 0.005
    keys: int = 1
    is_open: bool = False
    after: float = 0.0


@dataclass
class Watched:
    """What a round saw, from the beginning of the work on."""

    began: float = 0.0
    ended: float = 0.0
    longest_lock_wait: float = 0.0
    calls: dict[str, list[Call]] = field(default_factory=dict)

    @property
    def longest(self) -> float:
        return max((call.seconds for calls in self.calls.values() for call in calls), default=0.0)

    @property
    def failed(self) -> list[Call]:
        return [call for calls in self.calls.values() for call in calls if call.error]

    @property
    def failed_after(self) -> list[Call]:
        """Statements that began when the work was done."""
        return [call for call in self.failed if call.due >= self.ended]


def watch(address: Address, loads: Sequence[Load], work: Callable[[], object], *, tail: float) -> Watched:
    """Run the work beside the loads, and then let them go on for `tail` seconds."""
    over, reports = Context.Event(), Context.Queue()
    processes = [Context.Process(target=_use, args=(address, load, over, reports), daemon=True) for load in loads]
    processes.append(Context.Process(target=_look, args=(address, over, reports), daemon=True))
    watched = Watched()
    try:
        for process in processes:
            process.start()
        time.sleep(LEAD)
        watched.began = time.monotonic()
        work()
        watched.ended = time.monotonic()
        time.sleep(tail)
        over.set()
        _collect(watched, processes, reports)
    finally:
        for process in processes:
            process.kill()
    return watched


def _collect(
    watched: Watched, processes: Sequence[ForkProcess], reports: "Queue[tuple[str, float | list[Call]]]"
) -> None:
    for _ in processes:
        name, report = reports.get(timeout=REPORT_WITHIN)
        if isinstance(report, list):
            watched.calls[name] = [call for call in report if call.due + call.seconds >= watched.began]
        else:
            watched.longest_lock_wait = report
    for process in processes:
        process.join()


def _use(address: Address, load: Load, over: Event, reports: "Queue[tuple[str, float | list[Call]]]") -> None:
    calls = []
    connection = _connect(address)
    due = time.monotonic() + load.after
    while not over.is_set():
        time.sleep(max(0.0, due - time.monotonic()))
        if not load.is_open:
            due = time.monotonic()
        error = _run(connection, load)
        calls.append(Call(due, time.monotonic() - due, error))
        if connection.closed:
            connection = _connect(address)
        due += load.every
    reports.put((load.name, calls))


def _run(connection: psycopg.Connection, load: Load) -> str:
    """The first line of the error, if there was one."""
    try:
        connection.execute(load.statement.encode(), {"key": random.randint(1, load.keys)})
    except psycopg.Error as error:
        return str(error).partition("\n")[0] or type(error).__name__
    return ""


def _look(address: Address, over: Event, reports: "Queue[tuple[str, float | list[Call]]]") -> None:
    """Sample the locks that the loads wait for, as the server sees them."""
    longest = 0.0
    with address.connect() as connection:
        while not over.is_set():
            found = connection.execute(LONGEST_LOCK_WAIT, [NAME]).fetchone()
            longest = max(longest, float(found[0]) if found else 0.0)
            time.sleep(LOOK_EVERY)
    reports.put((NAME, longest))


def _connect(address: Address) -> psycopg.Connection:
    """A prepared statement would be planned anew after a migration, or fail; nobody here has one."""
    connection = address.connect()
    connection.prepare_threshold = None
    connection.execute("SELECT set_config('application_name', %s, false)", [NAME])
    return connection
