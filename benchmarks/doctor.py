"""`doctor` on a healthy project, beside `check`, which starts as long and asks nobody. Needs a server:

    uv run python manage.py db start
    uv run python manage.py prepare
    uv run python -m benchmarks.doctor [--times N]

or, to look at containers too, `docker compose up --build --wait` in place of the first two.

Exits 1 where the median is 2 s or more.
"""

import argparse
import subprocess
import sys
from functools import partial
from statistics import median

from benchmarks.measure import compared, interleaved, machine

PROMISED_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    rounds = parser.parse_args().times
    print(machine())
    manage("doctor")
    seconds = interleaved({name: partial(manage, name) for name in ("doctor", "check")}, rounds=rounds)
    print(f"{compared(seconds, 'doctor', 'check')}; slowest doctor {max(seconds['doctor']):.2f} s")
    if median(seconds["doctor"]) >= PROMISED_SECONDS:
        sys.exit(f"Promised: under {PROMISED_SECONDS:g} s.")


def manage(command: str) -> None:
    done = subprocess.run([sys.executable, "manage.py", command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The project is not healthy:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
