"""What Compose says of this checkout's containers. Nothing here waits for a Docker that does not answer."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from psycopg import sql

from config.postgres import ALTER_PASSWORD, LOCAL_HOSTS, Address

ANSWER_WITHIN_SECONDS = 1.3
WORKING_DIR = "com.docker.compose.project.working_dir"


class NoCompose(Exception):
    """Docker is not installed here, or fails; the message says why."""


class NoAnswer(NoCompose):
    """Docker is here and says nothing: what it runs is not known."""


@dataclass(frozen=True)
class Container:
    """A service's container: `state` is running, exited, ...; `health` is empty, healthy, unhealthy or starting."""

    service: str
    state: str
    health: str
    ports: Mapping[int, int]
    checkout: str

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def condition(self) -> str:
        """Its health, while it runs and is asked for it; else its state."""
        return self.health if self.is_running and self.health else self.state


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

    def _ask(self) -> list[Container] | NoCompose:
        try:
            listed = self.run("ps", "--all", "--format", "json")
        except NoCompose as error:
            return error
        # Of one version a line each, of another one list.
        values = [json.loads(line) for line in listed.splitlines() if line]
        return [_container(each) for value in values for each in (value if isinstance(value, list) else [value])]

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
            raise NoCompose("docker is not installed here") from error
        try:
            printed, errors = program.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            # With the program that docker has started for it, which would keep the pipe open.
            os.killpg(program.pid, signal.SIGKILL)
            raise NoAnswer(f"docker does not answer within {timeout:g} s") from error
        if program.returncode:
            raise NoCompose(f"docker compose {arguments[0]} fails: {' '.join(errors.split())}")
        return printed


def has_address(compose: Compose, address: Address) -> bool | None:
    """Whether the project's db is what listens there; None where Docker does not say."""
    try:
        container = compose.container("db")
    except NoAnswer:
        return None
    except NoCompose:
        return False
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
    labels = dict(pair.partition("=")[::2] for pair in values.get("Labels", "").split(","))
    published = {port["TargetPort"]: port["PublishedPort"] for port in values.get("Publishers") or ()}
    return Container(values["Service"], values["State"], values["Health"], published, labels.get(WORKING_DIR, ""))
