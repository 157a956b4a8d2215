"""A process that reads from a table, or locks it as a writer does, over and over, and tells how long that takes.

It is run as a program of its own, and imports nothing of Django: its parent is busy with the migration. Commands come
as lines of JSON on the standard input, and each is answered by one on the standard output.
"""

import json
import os
import select
import time
from typing import Any

import psycopg

PAUSE_SECONDS = 0.002
# Of the longest times, with the moments of their beginning and end, for a picture.
KEPT = 200
KEPT_FROM_SECONDS = 0.005
END_WITH_CLIENT = "SET client_connection_check_interval = '1s'"


class Prober:
    """One session that runs scripts in turn; the first error ends the work, and is told."""

    def __init__(self, conninfo: str) -> None:
        self.session = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
        self.session.execute(END_WITH_CLIENT)
        self.scripts: list[str] = []
        self.longest = 0.0
        self.probes = 0
        self.waits: list[tuple[float, float]] = []
        self.error = ""

    def answer(self, command: str, scripts: list[str]) -> dict[str, Any]:
        """To `work` at these scripts, to `mark` the beginning of the migration, and to `stop`."""
        told = {"longest": self.longest, "probes": self.probes, "waits": self.waits, "error": self.error}
        if command == "work":
            self.scripts = scripts
            self.error = ""
        elif command == "stop":
            self.scripts = []
        self.longest, self.probes, self.waits = 0.0, 0, []
        return told | {"pid": self.session.info.backend_pid}

    @property
    def is_at_work(self) -> bool:
        return bool(self.scripts) and not self.error

    def probe(self) -> None:
        script = self.scripts[self.probes % len(self.scripts)]
        began = time.monotonic()
        try:
            self.session.execute(script.encode())
        except psycopg.Error as error:
            self.error = f"{type(error).__name__}: {error}".strip()
            if not self.session.closed:
                self.session.execute("ROLLBACK")
        ended = time.monotonic()
        self.probes += 1
        self.longest = max(self.longest, ended - began)
        if ended - began > KEPT_FROM_SECONDS:
            self.waits.append((began, ended))
            if len(self.waits) > 2 * KEPT:
                self.waits = sorted(self.waits, key=lambda wait: wait[0] - wait[1])[:KEPT]


def main() -> None:
    """Until the standard input ends, as it does with the parent."""
    lines = _Lines()
    prober = Prober(json.loads(lines.next(None) or "{}")["conninfo"])
    while True:
        line = lines.next(PAUSE_SECONDS if prober.is_at_work else None)
        if line == "":
            return
        if line is not None:
            command = json.loads(line)
            answer = json.dumps(prober.answer(command["command"], command.get("scripts", [])))
            try:
                print(answer, flush=True)
            except BrokenPipeError:
                # The parent is gone; an exit would flush it once more.
                os._exit(1)
        elif prober.is_at_work:
            prober.probe()


class _Lines:
    """The lines of the standard input, without waiting for one longer than is said."""

    def __init__(self) -> None:
        self._buffer = b""

    def next(self, seconds: float | None) -> str | None:
        """The next one; None where none comes in time, and "" at the end."""
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([0], [], [], seconds)
            if not readable:
                return None
            read = os.read(0, 65_536)
            if not read:
                return ""
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


if __name__ == "__main__":
    main()
