"""The real thing: `entrypoint.sh` in a copy of the tree, as a browser meets it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.programs import running
from tests.project import Project, copy_tree

STARTED_WITHIN_SECONDS = 60
STOPPED_WITHIN_SECONDS = 15


@dataclass(frozen=True)
class Backend:
    """One that serves, and whom a browser can log in as."""

    url: str
    project: Project
    user: str
    password: str


@contextmanager
def copied_project(variables: dict[str, str]) -> Iterator[Project]:
    """A copy of the tree with these variables, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="my-trader-browser-") as folder:
        yield Project(copy_tree(Path(folder) / "my-trader"), variables)


@contextmanager
def serving(project: Project, *, port: int, user: str, password: str) -> Iterator[Backend]:
    """Run the entrypoint until it is ready; at the end, stop it as an operator would."""
    project.env |= {
        "BACKEND_BIND": f"127.0.0.1:{port}",
        "FIRST_SUPERUSER": user,
        "FIRST_SUPERUSER_PASSWORD": password,
    }
    with running(project, "./entrypoint.sh") as program:
        program.wait_for("Listening at", within=STARTED_WITHIN_SECONDS)
        assert _readiness(port) == 200
        yield Backend(f"http://127.0.0.1:{port}", project, user, password)
        program.process.terminate()
        assert program.wait(within=STOPPED_WITHIN_SECONDS) == 0


def _readiness(port: int) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=STARTED_WITHIN_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()
