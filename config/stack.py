"""`manage.py up`: the database and the backend on this machine, as Compose runs them, without Docker."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType

from config.postgres import EmbeddedServer, another_answers
from config.processes import PidFile, end_group

STOP_GRACE_SECONDS = 10.0
FREE_PORT_WITHIN_SECONDS = 3.0
POLL_SECONDS = 0.2


class CannotStart(Exception):
    """Something else has what `up` needs; the message names it and what to do."""


class Stack:
    """The embedded server, unless another PostgreSQL answers, and one backend, both of one checkout.

    Files beside the server's data tell what a killed `up` left running: that server is adopted, that backend ended.
    """

    def __init__(
        self, *, checkout: Path, server: EmbeddedServer, backend_port: int, say: Callable[[str], None]
    ) -> None:
        self.checkout = checkout
        self.server = server
        self.backend_port = backend_port
        self.say = say
        self.own_pid = PidFile(server.home / "up.pid")
        self.backend_pid = PidFile(server.home / "backend.pid")
        # There while the server is one that `up` has to stop, as opposed to one that `db start` started.
        self.server_mark = server.home / "server-of-up"
        self.stopping = False

    def run(self) -> int:
        """Start both, wait for Ctrl-C or for the backend's end, stop what is ours; returns the exit code."""
        if pid := self.own_pid.read():
            raise CannotStart(f"`up` runs here already, as process {pid}: end that one with Ctrl-C, or kill {pid}.")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self.server.home.mkdir(parents=True, exist_ok=True)
        self.own_pid.write(os.getpid())
        try:
            self._claim_server()
            self._end_old_backend()
            self._claim_port()
            return self._serve()
        finally:
            self._stop_server()
            self.own_pid.remove()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _claim_server(self) -> None:
        """Take the PostgreSQL that answers at the address, or start the embedded one where nothing does."""
        address = self.server.address
        if self.server.pid:
            self.say(f"PostgreSQL: the embedded server runs already, process {self.server.pid}.")
            self.server.start()
        elif another_answers(address):
            self.server_mark.unlink(missing_ok=True)
            self.say(f"PostgreSQL: using the server that answers at {address}; `up` leaves it running.")
        else:
            self.server_mark.touch()
            self._start_server()

    def _start_server(self) -> None:
        self.server.start()
        self.say(f"PostgreSQL: started, process {self.server.pid}, its data in {self.server.data}.")

    def _stop_server(self) -> None:
        if self.server_mark.exists():
            self.server.stop()
            self.server_mark.unlink()
            self.say(f"PostgreSQL: stopped; the data stays in {self.server.data}.")

    def _end_old_backend(self) -> None:
        if group := self.backend_pid.read():
            self.say(f"Backend: ending process {group}, which an `up` that was killed had left.")
            end_group(group, grace=STOP_GRACE_SECONDS)

    def _claim_port(self) -> None:
        """Refuse a port that somebody else has; an ending backend's may take a moment to become free."""
        deadline = time.monotonic() + FREE_PORT_WITHIN_SECONDS
        while not is_free(self.backend_port):
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"Port {self.backend_port} is taken by another program: stop that one, or set BACKEND_PORT."
                )
            time.sleep(POLL_SECONDS)

    def _serve(self) -> int:
        backend = subprocess.Popen(
            ["./entrypoint.sh"],
            cwd=self.checkout,
            env=os.environ
            | {
                "BACKEND_BIND": f"127.0.0.1:{self.backend_port}",
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            },
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        self.backend_pid.write(backend.pid)
        try:
            return self._watch(backend)
        finally:
            end_group(backend.pid, grace=STOP_GRACE_SECONDS)
            backend.wait()
            self.backend_pid.remove()

    def _watch(self, backend: "subprocess.Popen[bytes]") -> int:
        """Until a signal (0) or the backend's end (its exit code); a server of ours that dies is started again."""
        announced = False
        while not self.stopping:
            if (code := backend.poll()) is not None:
                self.say(f"Backend: ended with exit code {code}.")
                return code or 1
            if self.server_mark.exists() and self.server.pid is None:
                self.say("PostgreSQL: the server has died; starting it again.")
                self._start_server()
            if not announced and is_ready(self.backend_port):
                self.say(f"The admin answers at http://localhost:{self.backend_port}/admin/; Ctrl-C stops everything.")
                announced = True
            time.sleep(POLL_SECONDS)
        return 0


def is_free(port: int) -> bool:
    """Whether nobody listens on the port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def is_ready(port: int) -> bool:
    """Whether a backend on this machine answers 200 on /readyz."""
    return answers(port, "/readyz", within=3)


def answers(port: int, path: str, *, within: float) -> bool:
    """Whether what listens on this machine's port says 200 to that; seconds for each step of the conversation."""
    connection = HTTPConnection("127.0.0.1", port, timeout=within)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
