"""One Compose project of the tests' own: a copy of the tree, names and ports that nothing else uses."""

import http.client
import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.project import Project


@dataclass
class Compose:
    """Runs `docker compose` in the copy, with the variables that its user would have exported."""

    project: Project
    name: str
    files: list[str] = field(default_factory=list)

    def run(self, *arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run one command to its end; stderr is in stdout."""
        files = [part for file in self.files for part in ("--file", file)]
        command = ("docker", "compose", *files, *arguments)
        ended = self.project.run(*command, timeout=timeout, env={"COMPOSE_PROJECT_NAME": self.name})
        if check:
            assert ended.returncode == 0, f"docker compose {' '.join(arguments)}: {ended.stdout}"
        return ended

    def sql(self, statement: str) -> str:
        """Run it with psql in the db container; the bare values, a row a line."""
        psql = ("psql", "-U", "postgres", "-d", "app", "-v", "ON_ERROR_STOP=1", "-qAtc", statement)
        return self.run("exec", "-T", "db", *psql).stdout.strip()

    def logs(self) -> str:
        return self.run("logs", "--no-log-prefix", "--no-color", "backend").stdout

    def port(self, index: int = 1) -> int:
        """The port that the given backend is published on."""
        published = self.run("port", "--index", str(index), "backend", "8000").stdout
        return int(published.strip().rpartition(":")[2])

    def get(self, path: str, *, index: int = 1, headers: dict[str, str] | None = None, timeout: float = 10) -> "Answer":
        connection = http.client.HTTPConnection("127.0.0.1", self.port(index), timeout=timeout)
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode(errors="replace"))
        finally:
            connection.close()

    def inspect(self, index: int = 1) -> dict[str, Any]:
        """What `docker inspect` says of a backend's container."""
        found = self.run("ps", "--all", "--quiet", "--no-trunc", "backend").stdout.split()
        inspected = subprocess.run(["docker", "inspect", *found], capture_output=True, text=True, check=True)
        containers = {container["Name"]: container for container in json.loads(inspected.stdout)}
        return dict(containers[f"/{self.name}-backend-{index}"])

    def wait_for_log(self, text: str, *, timeout: float = 30) -> str:
        """The backend's log once the text is in it."""
        deadline = time.monotonic() + timeout
        while text not in (log := self.logs()):
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{log}"
            time.sleep(0.3)
        return log

    def down(self) -> None:
        self.run("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "1")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


def write_private(path: Path, text: str, *, uid: int) -> None:
    """A file that only this UID can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o400)
    subprocess.run(["chown", str(uid), path], check=True)
