"""A copy of the project to work on as its user does: with a database of its own, through commands alone."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from django.conf import settings
from psycopg import sql

from config.postgres import Address
from tests.forking import run_forked

CHECKOUT = Path(__file__).resolve().parent.parent
DROP_DATABASE = sql.SQL("DROP DATABASE IF EXISTS {database} WITH (FORCE)")
CREATE_DATABASE = sql.SQL("CREATE DATABASE {database}")


@dataclass
class Project:
    """A tree and the environment that its commands run in; nothing of the test's own process reaches them."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """PATH leads to this test run's Python; the rest is only what the test gives."""
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": programs, "HOME": os.environ["HOME"]} | self.env

    def run(
        self, *arguments: str, timeout: float = 60, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the tree to its end; stderr is in stdout, as on a terminal."""
        return subprocess.run(
            arguments,
            cwd=self.path,
            env=self.environment | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def manage(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `python manage.py`, as `run` does; sooner, where the system lets a process be watched by its number."""
        if not hasattr(os, "pidfd_open"):
            return self.run(sys.executable, "manage.py", *arguments, timeout=timeout)
        return run_forked(["manage.py", *arguments], self.path, self.environment, timeout)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a program of the tree in a process group of its own."""
        return subprocess.Popen(
            arguments,
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def connect(self) -> psycopg.Connection:
        """The project's database, as its owner."""
        return Address(
            host=self.env["POSTGRES_SERVER"],
            port=int(self.env["POSTGRES_PORT"]),
            user=self.env["POSTGRES_USER"],
            password=self.env["POSTGRES_PASSWORD"],
            database=self.env["POSTGRES_DB"],
        ).connect()


def copy_tree(target: Path) -> Path:
    """Copy what a clone of the working tree would hold: tracked files and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target / name)
    return target


def environment_of(address: Address) -> dict[str, str]:
    """The variables that lead to a database."""
    return {
        "POSTGRES_SERVER": address.host,
        "POSTGRES_PORT": str(address.port),
        "POSTGRES_DB": address.database,
        "POSTGRES_USER": address.user,
        "POSTGRES_PASSWORD": address.password,
    }


def database_environment(database: str) -> dict[str, str]:
    """The variables that lead to a database of that name on the server of this test run."""
    default, owner = settings.DATABASES["default"], settings.POSTGRES_OWNER
    return environment_of(Address(default["HOST"], default["PORT"], owner["USER"], owner["PASSWORD"], database))


@contextmanager
def fresh_database() -> Iterator[dict[str, str]]:
    """An empty database on the server of this test run, dropped at the end; gives its variables."""
    database = f"project_{uuid.uuid4().hex}"
    maintenance = Project(CHECKOUT, database_environment("postgres"))
    with maintenance.connect() as connection:
        connection.execute(CREATE_DATABASE.format(database=sql.Identifier(database)))
    try:
        yield database_environment(database)
    finally:
        with maintenance.connect() as connection:
            connection.execute(DROP_DATABASE.format(database=sql.Identifier(database)))
