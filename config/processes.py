"""Processes that outlive the command which started them, remembered in pid files. Needs the development group."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class PidFile:
    """A file that names one process by id and start time, so that a reused id is never taken for it."""

    path: Path

    def write(self, pid: int) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{pid} {psutil.Process(pid).create_time()}\n")
        fresh.replace(self.path)

    def read(self) -> int | None:
        """The id of the process, while it lives."""
        try:
            pid, created = self.path.read_text().split()
            same = psutil.Process(int(pid)).create_time() == float(created)
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return int(pid) if same and is_alive(int(pid)) else None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def is_alive(pid: int, name: str | None = None) -> bool:
    """Whether the process runs, under that name; a zombie, which only waits for its parent to take note, does not."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and name in (None, process.name())
    except psutil.NoSuchProcess:
        return False


def working_in(folder: Path) -> list[int]:
    """The ids of the processes whose working directory is the folder, as it is for every process of a cluster."""
    return [
        process.pid
        for process in psutil.process_iter(["cwd"], ad_value=None)
        if process.info["cwd"] == str(folder.resolve())
    ]


def end_group(group: int, *, grace: float) -> None:
    """SIGTERM to every process of the group until all have ended, and SIGKILL to those that run after `grace` seconds.

    It is repeated, because a gunicorn worker that is just being forked loses the signal.
    """
    deadline = time.monotonic() + grace
    while _members(group):
        _signal_group(group, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _members(group: int) -> list[int]:
    return [pid for pid in psutil.pids() if _group_of(pid) == group and is_alive(pid)]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
