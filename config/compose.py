"""What Compose says of this checkout's containers. Nothing here waits for a Docker that does not answer."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import sql

from config.postgres import ALTER_PASSWORD, LOCAL_HOSTS, Address

ANSWER_WITHIN_SECONDS = 2.0
WORKING_DIR = "com.docker.compose.project.working_dir"


class NoCompose(Exception):
    """Docker is not installed here, or does not answer; the message says which."""


@dataclass(frozen=True)
class Container:
    """A service's container: `state` is running, exited, ...; `health` is empty, healthy, unhealthy or starting."""

    id: str
    state: str
    health: str
    ports: Mapping[int, int]
    checkout: str

    @property
    def is_running(self) -> bool:
        return self.state == "running"


class Compose:
    """The project of this checkout, as `docker compose` there would find it."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout

    def container(self, service: str) -> Container | None:
        """The first one of the service; None where there is none. Raises NoCompose."""
        listed = self.run("ps", "--all", "--format", "json", service, may_fail=True)
        found = [json.loads(line) for line in listed.splitlines() if line.startswith("{")]
        return _container(found[0]) if found else None

    def run(
        self, *arguments: str, stdin: str = "", may_fail: bool = False, timeout: float = ANSWER_WITHIN_SECONDS
    ) -> str:
        """What `docker compose` prints. Raises NoCompose, also for a command that fails, unless it may."""
        try:
            done = subprocess.run(
                ["docker", "compose", *arguments],
                cwd=self.checkout,
                env=os.environ | {"COMPOSE_ANSI": "never"},
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            raise NoCompose("docker is not installed here") from error
        except subprocess.TimeoutExpired as error:
            raise NoCompose(f"docker does not answer within {timeout:g} s") from error
        if done.returncode and ("daemon" in done.stderr or not may_fail):
            raise NoCompose(f"docker compose {arguments[0]} fails: {' '.join(done.stderr.split())}")
        return done.stdout


def has_address(compose: Compose, address: Address) -> bool:
    """Whether the project's db is what listens there."""
    try:
        container = compose.container("db")
    except NoCompose:
        return False
    if container is None or not container.is_running or address.host not in LOCAL_HOSTS:
        return False
    return address.port in container.ports.values()


def set_password(compose: Compose, address: Address) -> None:
    """Give the owner the address's password; within the container nobody asks for the former one. Raises NoCompose."""
    if not has_address(compose, address):
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
    return Container(values["ID"], values["State"], values["Health"], published, labels.get(WORKING_DIR, ""))
