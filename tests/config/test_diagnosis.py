"""What `doctor` says of the server behind the address, of files and ports, and how its commands mend that."""

import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.diagnosis import compare
from config.postgres import ROOT_HOME, home_of
from migration_guard.doctor import State
from tests.project import Project, copy_tree
from tests.server import free_port

SLEEPING = "#!/bin/sh\nsleep 60\n"
LIMIT_SECONDS = 3.0

Line = dict[str, str]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the tree with an embedded server of its own, on ports of its `.env`; no Docker is on its PATH."""
    path = copy_tree(tmp_path_factory.mktemp("doctor") / "my-trader")
    programs = path.parent / "programs"
    programs.mkdir()
    for name in ("sh", "sleep", "chmod", "perl", "python3", "env", "uname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    project = Bare(path, {"PATH": f"{Path(sys.executable).parent}:{programs}"})
    put(project, POSTGRES_PORT=str(free_port()), BACKEND_PORT=str(free_port()))
    run(project, "python manage.py db start && python manage.py prepare")
    yield project
    run(project, "python manage.py db stop")
    if (home := home_of(path)).is_relative_to(ROOT_HOME):
        shutil.rmtree(home)


class Bare(Project):
    """With the PATH that it was given, and nothing else on it."""

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": os.environ["HOME"], **self.env}


def put(project: Project, **values: str) -> None:
    """Give variables these values in `.env`."""
    dotenv = project.path / ".env"
    text = dotenv.read_text()
    for name, value in values.items():
        kept = re.sub(rf"^{name}=.*\n", "", text, flags=re.M)
        text = f"{kept.rstrip()}\n{name}={value}\n"
    dotenv.write_text(text)


def value_of(project: Project, name: str) -> str:
    (found,) = re.findall(rf"^{name}=(.*)$", (project.path / ".env").read_text(), flags=re.M)
    return str(found)


def run(project: Project, command: str) -> None:
    done = project.run("sh", "-c", command)
    assert done.returncode == 0, f"{command}: {done.stdout}"


def doctor(project: Project) -> list[Line]:
    """In time, and without a secret."""
    began = time.monotonic()
    said = project.manage("doctor", "--json").stdout
    assert time.monotonic() - began < 3 * LIMIT_SECONDS
    assert value_of(project, "POSTGRES_PASSWORD") not in said
    lines: list[Line] = json.loads(said)["lines"]
    return lines


def problem_of(project: Project, subject: str) -> Line:
    (line,) = [line for line in doctor(project) if line["subject"] == subject and line["state"] == "problem"]
    return line


def mended(project: Project, line: Line) -> None:
    """Run what was printed, and see that all is well."""
    run(project, line["mend"])
    assert [line for line in doctor(project) if line["state"] not in {"ok", "note"}] == []


@contextmanager
def listening(port: int, answer: bytes) -> Iterator[None]:
    """A program that is no PostgreSQL: it answers whoever connects, or says nothing."""
    with socket.create_server(("127.0.0.1", port)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                if answer:
                    connection.recv(64)
                    connection.sendall(answer)
                    connection.close()
                else:
                    kept.append(connection)

        kept: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in kept:
                connection.close()
            thread.join(5)


@pytest.mark.endurance
def test_healthy_checkout(prepared: Project) -> None:
    lines = doctor(prepared)

    assert [line for line in lines if line["state"] not in {"ok", "note"}] == []
    (server,) = [line for line in lines if line["subject"] == "server"]
    assert "is the embedded PostgreSQL, process" in server["message"]
    (backend,) = [line for line in lines if line["subject"] == "backend"]
    assert backend["message"] == "none runs; Compose was not looked at: docker is not installed here"


@pytest.mark.endurance
def test_server_that_does_not_run(prepared: Project) -> None:
    run(prepared, "python manage.py db stop")

    line = problem_of(prepared, "server")

    assert "nothing listens there" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_port_that_was_changed_while_the_server_runs(prepared: Project) -> None:
    put(prepared, POSTGRES_PORT=str(free_port()))

    line = problem_of(prepared, "server")

    assert f"and POSTGRES_PORT is {value_of(prepared, 'POSTGRES_PORT')}" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_port_that_a_stranger_has(prepared: Project) -> None:
    run(prepared, "python manage.py db stop")
    with listening(int(value_of(prepared, "POSTGRES_PORT")), b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        line = problem_of(prepared, "server")

        assert "what listens there is no PostgreSQL server" in line["message"]
        mended(prepared, line)


@pytest.mark.endurance
def test_port_where_nobody_answers(prepared: Project) -> None:
    run(prepared, "python manage.py db stop")
    with listening(int(value_of(prepared, "POSTGRES_PORT")), b""):
        line = problem_of(prepared, "server")

        assert "what listens there says nothing" in line["message"]
    run(prepared, "python manage.py db start")


@pytest.mark.endurance
def test_password_that_was_changed_after_the_data_was_made(prepared: Project) -> None:
    put(prepared, POSTGRES_PASSWORD="another-password-than-before")

    line = problem_of(prepared, "server")

    assert "keeps the password that its data was made with" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_server_that_is_held(prepared: Project) -> None:
    pid = int((home_of(prepared.path) / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        line = problem_of(prepared, "server")
    finally:
        os.kill(pid, signal.SIGCONT)

    assert line["mend"] == f"kill -CONT {pid}"


@pytest.mark.endurance
def test_migrations_that_the_containers_user_cannot_read(prepared: Project) -> None:
    (prepared.path / "trader" / "migrations").chmod(0o700)

    line = problem_of(prepared, "files")

    assert "trader/migrations cannot be read by every user" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_port_of_the_backend_that_a_stranger_has(prepared: Project) -> None:
    with listening(int(value_of(prepared, "BACKEND_PORT")), b"SSH-2.0-OpenSSH\r\n"):
        line = problem_of(prepared, "backend")

        assert "is taken by another program" in line["message"]
        mended(prepared, line)


@pytest.mark.endurance
def test_docker_that_hangs_is_not_waited_for(prepared: Project) -> None:
    docker = prepared.path.parent / "programs" / "docker"
    docker.write_text(SLEEPING)
    docker.chmod(0o755)
    try:
        lines = doctor(prepared)
    finally:
        docker.unlink()

    (backend,) = [line for line in lines if line["subject"] == "backend"]
    assert "docker does not answer within 1.3 s" in backend["message"]


@pytest.mark.parametrize(
    ("here", "there", "told"),
    [
        ({"trader/migrations/0001_a.py": "1"}, {}, ["container"]),
        ({}, {"trader/migrations/0001_a.py": "1"}, ["container"]),
        ({"trader/models/orders.py": "1"}, {"trader/models/orders.py": "2"}, ["image"]),
        ({"manage.py": "1", "trader/migrations/0001_a.py": "1"}, {}, ["container", "image"]),
    ],
)
def test_files_that_differ_are_told(here: dict[str, str], there: dict[str, str], told: list[str]) -> None:
    found = list(compare(here, there))

    assert [line.subject for line in found] == told
    assert {line.state for line in found} == {State.PROBLEM}


def test_files_that_are_the_same_are_well() -> None:
    (line,) = compare({"manage.py": "1"}, {"manage.py": "1"})

    assert line.state == State.OK
