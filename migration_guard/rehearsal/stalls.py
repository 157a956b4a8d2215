"""Readers and writers of tables beside a migration: how long they stand still, and what they wait for."""

import json
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_guard.catalog.keys import primary_key
from migration_guard.connections import another_session, conninfo_of, rows
from migration_guard.rehearsal import prober
from migration_guard.rehearsal.measuring import MODE_OF
from migration_guard.rehearsal.relations import IS_OF_USERS, NAME, identifier
from migration_guard.rehearsal.results import Lock, Stall, Wait

MOST_TABLES = 8
BASELINE_SECONDS = 0.15
SAMPLE_EVERY_SECONDS = 0.01
ROWS = "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass"
IS_VIEW = "SELECT relkind = 'm' FROM pg_class WHERE oid = %s::regclass"
COUNT = SQL("SELECT count(*) FROM {table}")
SOME_KEYS = SQL("""
    (SELECT {key} FROM {table} ORDER BY {key} LIMIT 10) UNION (SELECT {key} FROM {table} ORDER BY {descending} LIMIT 10)
""")
# It takes what an UPDATE of a row takes, and writes nothing: triggers that refuse an UPDATE are not asked.
READ = SQL("SELECT * FROM {table} {where} LIMIT 1")
WRITE = SQL("BEGIN; LOCK TABLE {table} IN ROW EXCLUSIVE MODE; {lock_row}ROLLBACK")
LOCK_ROW = SQL("SELECT FROM {table} {where} FOR NO KEY UPDATE; ")
WAITING = f"""
    SELECT pid, granted, mode, {NAME}, coalesce(extract(epoch FROM clock_timestamp() - waitstart) * 1000, 0)::float8
    FROM pg_locks LEFT JOIN pg_class ON pg_class.oid = relation
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    WHERE (pid = ANY (%s) AND NOT granted)
        OR (pid = %s AND granted AND relkind IN ('r', 'p', 'm') AND {IS_OF_USERS})
"""  # noqa: S608  # constants


class ProberDied(Exception):
    """A process that should have measured ended, so that nobody knows how long readers or writers stood still."""


class Job(NamedTuple):
    """A table to be probed; `name` as it is told, and the scripts that a reader and a writer run in turn."""

    name: str
    rows: int
    reads: list[str]
    writes: list[str]


class Probers:
    """Processes that are begun once and are given one table after the other."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._idle: list[_Process] = []

    @contextmanager
    def beside(self, jobs: list[Job]) -> Iterator["Measured"]:
        """Probe the tables for the block; what was measured is there after it. Raises ProberDied."""
        measured = Measured(jobs, [(self._one(), self._one()) for _ in jobs])
        for job, (reader, writer) in zip(jobs, measured.pairs, strict=True):
            reader.send("work", job.reads)
            writer.send("work", job.writes)
        if jobs:
            time.sleep(BASELINE_SECONDS)
        measured.mark()
        with Observer(self.connection, measured.pids()) as measured.observer:
            try:
                yield measured
            except Exception:
                # What has failed says more than a prober that died of it.
                with suppress(ProberDied):
                    measured.stop()
                raise
            measured.stop()
        self._idle += [process for pair in measured.pairs for process in pair]

    def _one(self) -> "_Process":
        return self._idle.pop() if self._idle else _Process(conninfo_of(self.connection, "prober"))

    def close(self) -> None:
        for process in self._idle:
            process.end()


class Measured:
    """What probers measured beside one migration."""

    def __init__(self, jobs: list[Job], pairs: list[tuple["_Process", "_Process"]]) -> None:
        self.jobs = jobs
        self.pairs = pairs
        self.observer: Observer
        self.errors: dict[str, str] = {}
        self.stalls: dict[str, Stall] = {}
        self._floors: list[float] = []
        self._began = 0.0

    def mark(self) -> None:
        """The migration begins: what was measured until now is the floor."""
        for reader, writer in self.pairs:
            self._floors.append(max(process.ask("mark")["longest"] for process in (reader, writer)) * 1000)
        self._began = time.monotonic()

    def pids(self) -> list[int]:
        return [process.pid for pair in self.pairs for process in pair]

    def stop(self) -> None:
        for job, (reader, writer), floor in zip(self.jobs, self.pairs, self._floors, strict=True):
            read, write = reader.ask("stop"), writer.ask("stop")
            reads, writes = self._waits(read, floor), self._waits(write, floor)
            self.stalls[job.name] = stall = Stall(
                read["longest"] * 1000, write["longest"] * 1000, floor, rows=job.rows, reads=reads, writes=writes
            )
            stall.read_wait = min(stall.read, self.observer.longest_wait(reader.pid))
            stall.write_wait = min(stall.write, self.observer.longest_wait(writer.pid))
            if error := read["error"] or write["error"]:
                self.errors[job.name] = error

    def _waits(self, told: dict[str, Any], floor: float) -> list[Wait]:
        moments = [((began - self._began) * 1000, (ended - self._began) * 1000) for began, ended in told["waits"]]
        return [Wait(began, ended) for began, ended in sorted(moments) if ended - began > floor]


class _Process:
    def __init__(self, conninfo: str) -> None:
        # -P: its neighbours in the folder are no modules of its own.
        command = [sys.executable, "-P", str(Path(prober.__file__))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._write({"conninfo": conninfo})
        self.pid = 0

    def send(self, command: str, scripts: Collection[str] = ()) -> None:
        self.pid = self.ask(command, scripts)["pid"]

    def ask(self, command: str, scripts: Collection[str] = ()) -> dict[str, Any]:
        self._write({"command": command, "scripts": [*scripts]})
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise ProberDied(f"A prober ended by itself, with code {self._process.wait()}.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _write(self, command: dict[str, Any]) -> None:
        try:
            self._process.stdin.write(f"{json.dumps(command)}\n")  # type: ignore[union-attr]  # a pipe
            self._process.stdin.flush()  # type: ignore[union-attr]  # a pipe
        except BrokenPipeError:
            raise ProberDied(f"A prober ended by itself, with code {self._process.wait()}.") from None

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()


class Observer:
    """A second session that reads, every few milliseconds, who waits for a lock and what the migration has locked."""

    def __init__(self, connection: BaseDatabaseWrapper, probers: Collection[int]) -> None:
        connection.ensure_connection()
        self._parameters = [[*probers], connection.connection.info.backend_pid]
        self._session = another_session(connection, "rehearsal observer")
        self._stopped = Event()
        self._longest: dict[int, float] = {}
        self._waiting: dict[int, float] = {}
        self._last = time.monotonic()
        self._seen: dict[Lock, None] = {}
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def longest_wait(self, pid: int) -> float:
        """Milliseconds; at most one sampling too long."""
        return self._longest.get(pid, 0.0)

    def take_seen(self) -> list[Lock]:
        """The locks of the migrating session that were seen since this was asked last."""
        seen, self._seen = self._seen, {}
        return [*seen]

    def _watch(self) -> None:
        is_last = False
        try:
            while not is_last:
                is_last = self._stopped.wait(SAMPLE_EVERY_SECONDS)
                self._note(rows(self._session, WAITING, self._parameters))
        except DatabaseError:
            # The session was ended from outside: what was seen until then stands.
            return
        finally:
            self._session.close()

    def _note(self, found: list[tuple[Any, ...]]) -> None:
        now = time.monotonic()
        for pid, wait in self._waiting.items():
            # It may have waited until just now.
            self._longest[pid] = max(self._longest.get(pid, 0.0), wait + (now - self._last) * 1000)
        self._waiting = {pid: wait for pid, is_granted, *_, wait in found if not is_granted}
        self._seen |= {Lock(name, MODE_OF[mode]): None for _, is_granted, mode, name, _ in found if is_granted}
        self._last = now


def jobs_for(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> list[Job]:
    """The largest of these tables, which are named as relations.py names them."""
    counted = sorted((-_count(connection, table), table) for table in tables)
    return [_job(connection, table, -count) for count, table in counted[:MOST_TABLES]]


def _count(connection: BaseDatabaseWrapper, name: str) -> int:
    table = identifier(name)
    ((count,),) = rows(connection, ROWS, [table.as_string(connection.connection)])
    # A table that was never analyzed, or was empty then.
    if count <= 0:
        ((count,),) = rows(connection, COUNT.format(table=table).as_string(connection.connection))
    return int(count)


def _job(connection: BaseDatabaseWrapper, name: str, count: int) -> Job:
    table = identifier(name)
    quoted = table.as_string(connection.connection)
    columns = [Identifier(column) for column in primary_key(connection, quoted)]
    wheres: list[Composable] = [SQL("")]
    keys: list[tuple[Any, ...]] = []
    if columns and count:
        descending = SQL(", ").join(SQL("{} DESC").format(column) for column in columns)
        query = SOME_KEYS.format(key=SQL(", ").join(columns), table=table, descending=descending)
        keys = rows(connection, query.as_string(connection.connection))
        wheres = [SQL("WHERE ") + SQL(" AND ").join(map(_equals, columns, key)) for key in keys] or wheres
    reads = [READ.format(table=table, where=where) for where in wheres]
    locks = [LOCK_ROW.format(table=table, where=where) for where in wheres] if keys else [SQL("")]
    # Nobody writes to a materialized view.
    ((is_view,),) = rows(connection, IS_VIEW, [quoted])
    writes = [] if is_view else [WRITE.format(table=table, lock_row=lock) for lock in locks]
    texts = [[script.as_string(connection.connection) for script in scripts] for scripts in (reads, writes)]
    return Job(name, count, *texts)


def _equals(column: Identifier, value: object) -> Composable:
    return SQL("{} = {}").format(column, Literal(value))
