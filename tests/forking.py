"""Commands in processes forked from one that has imported Django, which takes longer than most commands themselves.

A command has a working directory, environment, arguments and an end of its own, as if it had been started.
"""

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# Nothing of a project, and nothing that needs settings.
IMPORTED = (
    "django.contrib.postgres.fields",
    "django.contrib.postgres.indexes",
    "django.contrib.postgres.operations",
    "django.core.checks",
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "django.http",
    "django.test.utils",
    "django.urls",
    "multiprocessing",
)
LONGEST_REQUEST = 1 << 20


def run_forked(
    arguments: list[str], cwd: Path, environment: dict[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a script of Python, the first of the arguments; stderr is in stdout.

    Raises subprocess.TimeoutExpired once it is killed, where it takes longer.
    """
    request = {"arguments": arguments, "cwd": str(cwd), "environment": environment}
    with socket.socket(socket.AF_UNIX) as asking, tempfile.TemporaryFile() as output:
        asking.settimeout(timeout)
        asking.connect(_server().path)
        socket.send_fds(asking, [json.dumps(request).encode()], [output.fileno()])
        try:
            code = int(asking.recv(16))
        except TimeoutError:
            # Told that nobody waits, the other side ends the command and then the connection.
            asking.shutdown(socket.SHUT_WR)
            asking.settimeout(None)
            asking.recv(16)
            raise subprocess.TimeoutExpired(arguments, timeout) from None
        output.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read().decode())


class _Server:
    """The process that the commands are forked from, and where it listens."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="my-trader-tests-fork-")
        self.path = f"{self._folder.name}/socket"
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in ("PATH", "HOME")},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"listening\n"

    def end(self) -> None:
        self._process.communicate()
        self._folder.cleanup()


@cache
def _server() -> _Server:
    """One for all commands of this process, which it does not outlive."""
    server = _Server()
    atexit.register(server.end)
    return server


def main(path: str) -> None:
    """Fork for each request, until the standard input ends; returns in the process that is to be the command."""
    for name in IMPORTED:
        __import__(name)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    print("listening", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([0, listening.fileno()], [], [])
        if 0 in ready:
            os._exit(0)
        asking, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            _answer(asking)
            return
        asking.close()


def _answer(asking: socket.socket) -> None:
    """Returns in the command's process; the one before it waits for its end and tells the code."""
    text, (output,), _, _ = socket.recv_fds(asking, LONGEST_REQUEST, 1)
    command = os.fork()
    if command:
        _tell_the_end(command, asking)
        os._exit(0)
    asking.close()
    request = json.loads(text)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.argv = request["arguments"]
    sys.path[:1] = [request["cwd"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


def _tell_the_end(command: int, asking: socket.socket) -> None:
    """Of a command that nobody waits for any more, that is its end."""
    ended = os.pidfd_open(command)
    ready, _, _ = select.select([asking.fileno(), ended], [], [])
    if ended not in ready:
        os.kill(command, signal.SIGKILL)
    _, status = os.waitpid(command, 0)
    if ended in ready:
        asking.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    main(sys.argv[1])
    runpy.run_path(sys.argv[0], run_name="__main__")
