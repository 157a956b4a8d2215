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

import django
from django.conf import settings

from benchmarks.measure import interleaved, machine

CHECKOUT = Path(__file__).resolve().parent.parent
ROUNDS = 20
BARE_SETTINGS = [
    "AUTH_USER_MODEL",
    "AUTHENTICATION_BACKENDS",
    "DATABASES",
    "DEFAULT_AUTO_FIELD",
    "FIRST_SUPERUSER",
    "INSTALLED_APPS",
    "MIDDLEWARE",
    "POSTGRES_APP",
    "POSTGRES_OWNER",
    "ROOT_URLCONF",
    "SECRET_KEY",
    "STATIC_URL",
    "STORAGES",
    "TEMPLATES",
    "USE_TZ",
]
BARE_MANAGE = """\
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "bare_settings"
execute_from_command_line(sys.argv)
"""


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        bare = write_bare_project(Path(folder))
        for command in (["migrate"], ["check"]):
            candidates = {
                "my-trader": runner(CHECKOUT / "manage.py", command),
                "bare Django": runner(bare, command),
            }
            medians = interleaved(candidates, rounds=ROUNDS)
            ratio = medians["my-trader"] / medians["bare Django"]
            figures = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in medians.items())
            print(f"manage.py {' '.join(command)}: {figures}, ratio {ratio:.3f} (median of {ROUNDS}, interleaved)")


def write_bare_project(folder: Path) -> Path:
    """A manage.py beside settings that hold this project's values as constants; the path of the former."""
    constants = "".join(f"{name} = {getattr(settings, name)!r}\n" for name in BARE_SETTINGS)
    base = f"from pathlib import Path\nBASE_DIR = Path({str(CHECKOUT)!r})\n"
    (folder / "bare_settings.py").write_text(base + constants)
    (folder / "manage.py").write_text(BARE_MANAGE)
    return folder / "manage.py"


def runner(manage: Path, command: list[str]) -> Callable[[], object]:
    environment = os.environ | {"PYTHONPATH": f"{manage.parent}{os.pathsep}{CHECKOUT}"}
    environment.pop("DJANGO_SETTINGS_MODULE")
    return lambda: subprocess.run(
        [sys.executable, manage, *command], cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, check=True
    )


if __name__ == "__main__":
    main()
