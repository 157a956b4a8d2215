"""How much memory a Python program takes at most."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

MOST_KILOBYTES = 200 * 1024
# By the kernel's count of what this program has mapped, in kB: that of getrusage begins with what the process that
# started it had.
SAY_PEAK = """
import atexit, sys
def say_peak():
    with open("/proc/self/status") as status:
        print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
atexit.register(say_peak)
"""
MANAGE = "from manage import main\nmain()\n"


def measured(
    program: str, *arguments: str | os.PathLike[str], folder: Path, environment: Mapping[str, str]
) -> tuple[int, str, int]:
    """Run the program; its exit code, what it wrote on stdout, and its peak in kB."""
    ended = subprocess.run(
        [sys.executable, "-c", SAY_PEAK + program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, int(ended.stderr.splitlines()[-1])
