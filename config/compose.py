"""What Compose says of this checkout's containers. Nothing here waits for a Docker that does not answer."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from psycopg import sql

from config.postgres import ALTER_PASSWORD, LOCAL_HOSTS, Address

ANSWER_WITHIN_SECONDS = 1.3
PROJECT = "com.docker.compose.project"
COMPOSE_FILE = "docker-compose.yml"
# They are joined by commas, and so are the files within one of them.
LABEL = re.compile(r"(?:^|,)([\w.-]+)=")
# What docker says, by its version, of a command that it does not know.
WITHOUT_COMPOSE = ("is not a docker command", "unknown command: docker compose", "Usage: docker [OPTIONS]")
UNREADABLE = re.compile(r"failed to read .*?\.env: (line \d+)?")


class NoCompose(Exception):
    """Docker fails, or says nothing: what it runs is not known. The message says why."""


class NoDocker(NoCompose):
    """It is not installed here, and runs nothing."""


class UnreadableEnvironment(NoCompose):
    """Compose cannot read `.env`, and so nothing else. What it says quotes the file, secrets included."""


@dataclass(frozen=True)
class Container:
    """A service's container: `state` is running, exited, ...; `health` is empty, healthy, unhealthy or starting."""

    service: str
    state: str
    health: str
    ports: Mapping[int, int]
    checkout: str
    files: Sequence[str]

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def condition(self) -> str:
        """Its health, while it runs and is asked for it; else its state."""
        return self.health if self.is_running and self.health else self.state

    def is_of(self, checkout: Path) -> bool:
        """Folders of one name share a project: the last one that started it has the containers."""
        return not self.checkout or Path(self.checkout).resolve() == checkout.resolve()


class Compose:
    """The project of this checkout, as `docker compose` there would find it."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self._asking = Lock()
        self._answer: list[Container] | NoCompose | None = None

    def container(self, service: str) -> Container | None:
        """The first one of the service; None where there is none. Docker is asked once. Raises NoCompose."""
        with self._asking:
            if self._answer is None:
                self._answer = self._ask()
        if isinstance(self._answer, NoCompose):
            raise self._answer
        return next((container for container in self._answer if container.service == service), None)

    def command(self, *words: str) -> str:
        """For the containers that are there, with the files that they were made with, such as production's."""
        given = [] if self.is_usual else [part for name in self._files() for part in ("-f", name)]
        return shlex.join(["docker", "compose", *given, *words])

    @property
    def is_usual(self) -> bool:
        """Whether they were made with the file that Compose takes by itself, or are none."""
        return self._files() in ([], [COMPOSE_FILE])

    def _files(self) -> list[str]:
        try:
            container = self.container("backend") or self.container("db")
        except NoCompose:
            return []
        files = container.files if container and container.is_of(self.checkout) else ()
        return [os.path.relpath(file, self.checkout) for file in files]

    def _ask(self) -> list[Container] | NoCompose:
        try:
            listed = self.run("ps", "--all", "--format", "json")
            # Of one version a line each, of another one list.
            values = [json.loads(line) for line in listed.splitlines() if line]
            return [_container(each) for value in values for each in (value if isinstance(value, list) else [value])]
        except NoCompose as error:
            return error
        except (ValueError, TypeError, KeyError) as error:
            return NoCompose(f"docker compose ps answers otherwise than Compose 2 does: {error!r}")

    def run(self, *arguments: str, stdin: str = "", timeout: float = ANSWER_WITHIN_SECONDS) -> str:
        """What `docker compose` prints. Raises NoCompose, also for a command that fails."""
        try:
            program = subprocess.Popen(
                ["docker", "compose", *arguments],
                cwd=self.checkout,
                env=os.environ | {"COMPOSE_ANSI": "never"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        except OSError as error:
            raise NoDocker("docker is not installed here") from error
        try:
            printed, errors = program.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            # With the program that docker has started for it, which would keep the pipe open.
            os.killpg(program.pid, signal.SIGKILL)
            raise NoCompose(f"docker does not answer within {timeout:g} s") from error
        if program.returncode:
            raise _failure(arguments[0], " ".join(errors.split()))
        return printed


def has_address(compose: Compose, address: Address) -> bool | None:
    """Whether the project's db is what listens there; None where Docker does not say."""
    try:
        container = compose.container("db")
    except NoDocker:
        return False
    except NoCompose:
        return None
    return container is not None and address.host in LOCAL_HOSTS and address.port in container.ports.values()


def set_password(compose: Compose, address: Address) -> None:
    """Give the owner the address's password; within the container nobody asks for the former one. Raises NoCompose."""
    if has_address(compose, address) is False:
        raise NoCompose(
            f"Neither the embedded PostgreSQL nor Compose's db runs at {address.host}:{address.port}: change the "
            "password where that server is, with psql's \\password."
        )
    words = {"user": sql.Identifier(address.user), "password": sql.Literal(address.password)}
    psql = ("exec", "-T", "db", "psql", "-v", "ON_ERROR_STOP=1", "-q", "-U", address.user, "-d", "postgres")
    compose.run(*psql, stdin=ALTER_PASSWORD.format(**words).as_string(None), timeout=10)


def _container(values: dict[str, Any]) -> Container:
    published = {port["TargetPort"]: port["PublishedPort"] for port in values.get("Publishers") or ()}
    labels = _labels(values.get("Labels", ""))
    return Container(
        service=values["Service"],
        state=values["State"],
        health=values["Health"],
        ports={target: port for target, port in published.items() if port},
        checkout=labels.get(f"{PROJECT}.working_dir", ""),
        files=[file for file in re.split(r",(?=/)", labels.get(f"{PROJECT}.config_files", "")) if file],
    )


def _labels(joined: str) -> dict[str, str]:
    """Compose's own; a value may have commas in it, as the list of files has."""
    _, *parts = LABEL.split(joined)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _failure(command: str, errors: str) -> NoCompose:
    if any(sign in errors for sign in WITHOUT_COMPOSE):
        return NoDocker("docker has no Compose here")
    if found := UNREADABLE.search(errors):
        return UnreadableEnvironment(f"Compose cannot read .env{f', {found[1]}' if found[1] else ''}")
    return NoCompose(f"docker compose {command} fails: {errors}")
