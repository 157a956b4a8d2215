"""`doctor` on a healthy project: whole processes, median and slowest. Needs a server:

    uv run python manage.py db start
    uv run python manage.py prepare
    uv run python -m benchmarks.doctor [--times N]

Exits 1 where the median is 2 s or more.
"""

import argparse
import subprocess
import sys
from statistics import median

from benchmarks.measure import machine, seconds_of

PROMISED_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    print(machine())
    seconds = [seconds_of(doctor) for _ in range(times)]
    print(f"doctor, {times} times: median {median(seconds):.2f} s, slowest {max(seconds):.2f} s")
    if median(seconds) >= PROMISED_SECONDS:
        sys.exit(f"Promised: under {PROMISED_SECONDS:g} s.")


def doctor() -> None:
    done = subprocess.run([sys.executable, "manage.py", "doctor"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The project is not healthy:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
