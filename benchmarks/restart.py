"""How long a restart of the backend takes with nothing to do: from the wait's end, and from the start, to `/readyz`.

Needs a prepared database: uv run python manage.py db start, uv run python manage.py prepare, then

    uv run python -m benchmarks.restart
"""

import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import machine
from config.stack import is_ready

CHECKOUT = Path(__file__).resolve().parent.parent
ROUNDS = 10


def main() -> None:
    print(machine())
    runs = [restart() for _ in range(ROUNDS)]
    for name, seconds in zip(("the wait's end", "the entrypoint's start"), zip(*runs, strict=True), strict=True):
        print(
            f"ready {statistics.median(seconds):.2f} s after {name} (median of {ROUNDS}, slowest {max(seconds):.2f} s)"
        )


def restart() -> tuple[float, float]:
    """Start the entrypoint until it is ready and end it; the seconds since the wait's end, and since the start.

    The wait has ended when `prepare` prints its first line, which is that of `migrate`.
    """
    port = free_port()
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    started = time.perf_counter()
    backend = subprocess.Popen(
        ["./entrypoint.sh"],
        cwd=CHECKOUT,
        env=os.environ | {"PATH": programs, "BACKEND_BIND": f"127.0.0.1:{port}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        assert backend.stdout is not None
        backend.stdout.readline()
        waited = time.perf_counter()
        while not is_ready(port):
            if backend.poll() is not None:
                sys.exit(f"entrypoint.sh ended with {backend.returncode}: is the database there?")
            time.sleep(0.01)
        ready = time.perf_counter()
        return ready - waited, ready - started
    finally:
        os.killpg(backend.pid, signal.SIGTERM)
        backend.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
