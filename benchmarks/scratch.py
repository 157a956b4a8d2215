"""A Django project in a folder of its own, with the guard or without it, and databases that are copies of others."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from psycopg import sql

import config.settings
from config.postgres import Address

CHECKOUT = Path(__file__).resolve().parent.parent
MANAGE = """\
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
SETTINGS = """\
import os
DATABASES = {{"default": {database!r}}}
DATABASES["default"]["NAME"] = os.environ["SCRATCH_DATABASE"]
DATABASES["default"]["ENGINE"] = os.environ.get("SCRATCH_ENGINE", "django.db.backends.postgresql")
SECRET_KEY = "a-key-for-a-benchmark"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
INSTALLED_APPS = [*os.environ.get("SCRATCH_APPS", "").split(), *{apps!r}]
"""
# The copy's files are written at once, and nothing of it is left to be written beside what is measured.
COPY = "CREATE DATABASE {copy} TEMPLATE {template} STRATEGY file_copy"
CHECKPOINT = "CHECKPOINT"
DROP = "DROP DATABASE IF EXISTS {name} WITH (FORCE)"

Result = subprocess.CompletedProcess[str]


class Scratch:
    """The project; `apps` are its own, each with an empty `migrations` package."""

    def __init__(self, path: Path, address: Address, apps: Sequence[str]) -> None:
        self.path = path
        database = {"HOST": address.host, "PORT": address.port, "USER": address.user, "PASSWORD": address.password}
        self.write("manage.py", MANAGE)
        self.write("settings.py", SETTINGS.format(database=database, apps=list(apps)))
        for app in apps:
            self.write(f"{app}/__init__.py", "")
            self.write(f"{app}/migrations/__init__.py", "")

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def manage(self, database: str, *arguments: str, answers: str = "", **variables: str) -> Result:
        """Run manage.py. The apps of SCRATCH_APPS, one of the variables, are installed before the project's own."""
        environment = os.environ | {
            "PYTHONPATH": f"{self.path}{os.pathsep}{CHECKOUT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCRATCH_DATABASE": database,
        }
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.path,
            env=environment | variables,
            input=answers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def must_manage(self, database: str, *arguments: str, answers: str = "", **variables: str) -> str:
        """The same for what has to succeed: ends the benchmark with the output where it does not."""
        done = self.manage(database, *arguments, answers=answers, **variables)
        if done.returncode:
            sys.exit(f"manage.py {' '.join(arguments)} exited with {done.returncode}:\n{done.stdout}")
        return done.stdout


def server(database: str) -> Address:
    """A database of the server that the settings name, as its owner."""
    default, owner = config.settings.DATABASES["default"], config.settings.POSTGRES_OWNER
    return Address(default["HOST"], default["PORT"], owner["USER"], owner["PASSWORD"], database)


def create(address: Address) -> None:
    """Make the address's database anew, empty."""
    make_copy(address, "template0")


def make_copy(address: Address, template: str) -> None:
    """Make the address's database anew, as a copy of one that nobody is connected to."""
    drop(address)
    names = {"copy": sql.Identifier(address.database), "template": sql.Identifier(template)}
    with address.connect("postgres") as connection:
        connection.execute(sql.SQL(COPY).format(**names))
        connection.execute(CHECKPOINT)


def drop(address: Address) -> None:
    with address.connect("postgres") as connection:
        connection.execute(sql.SQL(DROP).format(name=sql.Identifier(address.database)))
