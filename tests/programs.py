"""Programs that a test starts, listens to and ends."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.project import Project


class Program:
    """A running program whose output, stdout and stderr together, is read as it comes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.output = ""
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, *, within: float = 60) -> None:
        """Return once a line with the text has been printed; fails when the program ends or is late."""
        deadline = time.monotonic() + within
        while text not in self.output:
            line = self._next_line(deadline)
            assert line is not None, f"It did not say {text!r}, but:\n{self.output}"
            self.output += line

    def wait(self, *, within: float = 60) -> int:
        """The exit code, once the program has ended and all of its output is read."""
        deadline = time.monotonic() + within
        while (line := self._next_line(deadline)) is not None:
            self.output += line
        return self.process.wait(timeout=max(deadline - time.monotonic(), 0.1))

    def kill(self) -> None:
        """End it and what it has started, if it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _next_line(self, deadline: float) -> str | None:
        try:
            return self._lines.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            raise TimeoutError(f"It neither said more nor ended in time; until then:\n{self.output}") from None


@contextmanager
def running(project: Project, *arguments: str) -> Iterator[Program]:
    """Start a program of the tree; it is killed at the end of the block if it still runs."""
    program = Program(project.start(*arguments))
    try:
        yield program
    finally:
        program.kill()


@contextmanager
def managing(project: Project, *arguments: str) -> Iterator[Program]:
    """Start `python manage.py`, as `running` does."""
    with running(project, sys.executable, "manage.py", *arguments) as program:
        yield program
