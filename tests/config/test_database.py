"""Waiting for a database that is late, wrong, or no database at all: `wait_for_database` from outside."""

import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from config.postgres import Address, EmbeddedServer
from tests.programs import managing
from tests.project import Project
from tests.server import FAST, free_port

WRONG_PASSWORD = "a-wrong-password"
HTTP_ANSWER = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def stranger(answer: bytes) -> Iterator[int]:
    """A program that has the port, takes every connection and says this to it, or nothing; gives the port."""
    taken: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            taken.append(connection)
            if answer:
                connection.recv(1024)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in taken:
        connection.close()


@pytest.fixture
def late_server() -> Iterator[EmbeddedServer]:
    """A server that nobody has started yet."""
    home = Path(tempfile.mkdtemp(prefix="my-trader-late-", dir="/tmp"))
    address = Address("127.0.0.1", free_port(), "postgres", secrets.token_urlsafe(), "postgres")
    server = EmbeddedServer(home, address, options=FAST)
    yield server
    server.stop()
    shutil.rmtree(home)


def at(project: Project, **variables: str) -> Project:
    """The project with these variables changed."""
    return replace(project, env=project.env | variables)


def at_port(project: Project, port: int) -> Project:
    return at(project, POSTGRES_SERVER="127.0.0.1", POSTGRES_PORT=str(port))


def test_a_database_that_answers_is_not_waited_for(checkout: Project) -> None:
    wait = checkout.manage("wait_for_database")

    assert wait.returncode == 0
    assert wait.stdout == ""


def test_a_database_that_stays_down_is_given_up_with_the_command_that_starts_it(checkout: Project) -> None:
    port = free_port()

    wait = at_port(checkout, port).manage("wait_for_database", "--timeout", "0.5")

    assert wait.returncode == 2
    assert f"Waiting for the database. PostgreSQL at 127.0.0.1:{port} (database postgres" in wait.stdout
    assert "Gave up after 0.5 s." in wait.stdout
    assert "nothing listens there" in wait.stdout
    assert "docker compose up db -d --wait, or uv run python manage.py db start" in wait.stdout
    assert "Traceback" not in wait.stdout


def test_a_database_that_comes_up_late_is_waited_for(checkout: Project, late_server: EmbeddedServer) -> None:
    address = late_server.address
    project = at(at_port(checkout, address.port), POSTGRES_USER=address.user, POSTGRES_PASSWORD=address.password)

    with managing(project, "wait_for_database", "--timeout", "60") as wait:
        wait.wait_for("Waiting for the database.")
        late_server.start()

        assert wait.wait() == 0
    assert f"127.0.0.1:{address.port}" in wait.output
    assert "nothing listens there" in wait.output


def test_a_wrong_password_ends_the_wait_at_once_unseen(checkout: Project) -> None:
    start = time.monotonic()

    wait = at(checkout, POSTGRES_PASSWORD=WRONG_PASSWORD).manage("wait_for_database", "--timeout", "60")

    assert wait.returncode == 2
    assert time.monotonic() - start < 15
    assert "the server refuses the password" in wait.stdout
    assert "a change in .env does not reach it" in wait.stdout
    assert "Gave up" not in wait.stdout
    assert WRONG_PASSWORD not in wait.stdout


def test_a_database_that_does_not_exist_is_named(checkout: Project) -> None:
    wait = at(checkout, POSTGRES_DB="no_such_database").manage("wait_for_database", "--timeout", "60")

    assert wait.returncode == 2
    assert "the server has no such database or role" in wait.stdout
    assert 'database "no_such_database" does not exist' in wait.stdout
    assert "Create it, or change POSTGRES_DB." in wait.stdout


def test_a_stranger_that_speaks_another_language_is_named_at_once(checkout: Project) -> None:
    with stranger(HTTP_ANSWER) as port:
        wait = at_port(checkout, port).manage("wait_for_database", "--timeout", "60")

    assert wait.returncode == 2
    assert f"PostgreSQL at 127.0.0.1:{port}" in wait.stdout
    assert "what listens there is no PostgreSQL server" in wait.stdout
    assert "Change POSTGRES_PORT or POSTGRES_SERVER, or stop the program that has the port." in wait.stdout
    assert "Gave up" not in wait.stdout


def test_a_stranger_that_says_nothing_is_named_in_time(checkout: Project) -> None:
    with stranger(b"") as port:
        wait = at_port(checkout, port).manage("wait_for_database", "--timeout", "1")

    assert wait.returncode == 2
    assert "Gave up after 1 s." in wait.stdout
    assert "what listens there says nothing" in wait.stdout
    assert "Change POSTGRES_PORT or POSTGRES_SERVER, or stop the program that has the port." in wait.stdout


def test_an_unknown_host_is_named(checkout: Project) -> None:
    wait = at(checkout, POSTGRES_SERVER="no host").manage("wait_for_database", "--timeout", "0.1")

    assert wait.returncode == 2
    assert "the host name is unknown" in wait.stdout
