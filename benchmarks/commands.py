"""What this project's wiring adds to a command: `migrate` with nothing to do, and `check`, beside bare Django.

The peer is a project with the same apps, middleware and database whose settings are constants, with no environment
to read and Django's own logging. Needs a database: uv run python manage.py db start, then

    uv run python -m benchmarks.commands
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import config.settings
from benchmarks.measure import compared, interleaved, machine

CHECKOUT = Path(__file__).resolve().parent.parent
ROUNDS = 20
# Django's own logging is the peer's.
NOT_BARE = {"LOGGING", "LOGGING_CONFIG"}
BARE_IMPORTS = "import datetime\nfrom pathlib import PosixPath\n"
BARE_MANAGE = """\
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "bare_settings"
execute_from_command_line(sys.argv)
"""


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        bare = write_bare_project(Path(folder))
        for command in (["migrate"], ["check"]):
            candidates = {
                "my-trader": runner(CHECKOUT / "manage.py", command),
                "bare Django": runner(bare, command),
            }
            seconds = interleaved(candidates, rounds=ROUNDS)
            print(f"manage.py {' '.join(command)}: {compared(seconds, 'my-trader', 'bare Django')}")


def write_bare_project(folder: Path) -> Path:
    """A manage.py beside settings that hold this project's values as constants; the path of the former."""
    names = [name for name in dir(config.settings) if name.isupper() and name not in NOT_BARE]
    constants = "".join(f"{name} = {getattr(config.settings, name)!r}\n" for name in names)
    (folder / "bare_settings.py").write_text(BARE_IMPORTS + constants)
    (folder / "manage.py").write_text(BARE_MANAGE)
    return folder / "manage.py"


def runner(manage: Path, command: list[str]) -> Callable[[], object]:
    environment = os.environ | {"PYTHONPATH": f"{manage.parent}{os.pathsep}{CHECKOUT}"}
    return lambda: subprocess.run(
        [sys.executable, manage, *command], cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, check=True
    )


if __name__ == "__main__":
    main()
