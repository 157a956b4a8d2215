"""`up` and `db` as their user meets them: real servers, real signals, on a copy of the tree."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from config.postgres import ROOT_HOME, home_of
from tests.project import Project, copy_tree, fresh_database
from tests.server import free_port

READY = "The admin answers at http://localhost:"


class Running:
    """A started `up` and what it has said so far; in a file, because the backend that it may leave says more."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.log = project.path / "up.log"
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                ["python", "manage.py", "up"],
                cwd=project.path,
                env=project.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def wait_for(self, text: str, *, timeout: float = 30) -> str:
        """What was said, once the text is in it."""
        deadline = time.monotonic() + timeout
        while text not in (said := self.log.read_text()):
            assert self.process.poll() is None, f"up ended: {said}"
            assert time.monotonic() < deadline, f"{text!r} was not said: {said}"
            time.sleep(0.05)
        return said

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


@contextmanager
def up(project: Project) -> Iterator[Running]:
    """`up` once the admin answers; interrupted at the end, where the test has not ended it."""
    running = Running(project)
    try:
        running.wait_for(READY)
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGINT)


def environment() -> dict[str, str]:
    ports = {"POSTGRES_PORT": str(free_port()), "BACKEND_PORT": str(free_port())}
    return ports | {"BACKEND_WORKERS": "1", "DEMONSTRATION": "false"}


def status(project: Project) -> int:
    """What /livez answers; 0 where nothing does."""
    connection = http.client.HTTPConnection("127.0.0.1", int(project.env["BACKEND_PORT"]), timeout=5)
    try:
        connection.request("GET", "/admin/login/")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def postmaster(project: Project) -> int:
    return int((home_of(project.path) / "data" / "postmaster.pid").read_text().split()[0])


def living_in(project: Project) -> list[str]:
    """The command lines of the processes that work in the project or in its cluster."""
    folders = (str(project.path), str(home_of(project.path).resolve()))
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cwd", "cmdline", "status"], ad_value=None)
        if (process.info["cwd"] or "").startswith(folders) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the tree whose embedded server was started once, so that each later start is quick."""
    path = copy_tree(tmp_path_factory.mktemp("up") / "my-trader")
    with up(Project(path, environment())):
        pass
    yield path
    home = home_of(path)
    if home.is_relative_to(ROOT_HOME):
        shutil.rmtree(home)


@pytest.fixture
def embedded(checkout: Path) -> Iterator[Project]:
    """The copy, on ports that are free now; whatever a test left running is stopped."""
    project = Project(checkout, environment())
    yield project
    if living_in(project):
        project.manage("db", "stop")
    assert living_in(project) == []


def test_up_serves_and_ctrl_c_stops_everything_and_keeps_the_data(embedded: Project) -> None:
    with up(embedded) as running:
        assert status(embedded) == 200
        changed = embedded.manage("db", "psql", "-c", "UPDATE trader_venue SET name = 'Kept' WHERE mic = 'XSWX'")
        assert "UPDATE 1" in changed.stdout

        assert running.end(signal.SIGINT) == 0

    assert living_in(embedded) == []
    with up(embedded):
        shown = embedded.manage("db", "psql", "-Atc", "SELECT name FROM trader_venue WHERE mic = 'XSWX'")
    assert shown.stdout == "Kept\n"


@pytest.mark.endurance
def test_up_takes_over_what_a_killed_up_left(embedded: Project) -> None:
    with up(embedded) as running:
        running.end(signal.SIGKILL)
    server = postmaster(embedded)
    assert status(embedded) == 200

    with up(embedded) as running:
        said = running.log.read_text()
        assert f"the embedded server runs already, process {server}" in said
        assert "which an `up` that was killed had left" in said
        assert running.end(signal.SIGINT) == 0

    assert living_in(embedded) == []


@pytest.mark.endurance
def test_up_starts_after_a_kill_of_everything(embedded: Project) -> None:
    with up(embedded) as running:
        os.kill(postmaster(embedded), signal.SIGKILL)
        running.end(signal.SIGKILL)

    with up(embedded):
        assert status(embedded) == 200


@pytest.mark.endurance
def test_up_starts_a_server_that_dies_under_it_again(embedded: Project) -> None:
    with up(embedded) as running:
        first = postmaster(embedded)
        os.kill(first, signal.SIGKILL)

        running.wait_for("the server has died; starting it again")

        deadline = time.monotonic() + 15
        while status(embedded) != 200:
            assert time.monotonic() < deadline
        assert postmaster(embedded) != first


@pytest.mark.endurance
def test_a_second_up_is_refused(embedded: Project) -> None:
    with up(embedded) as running:
        second = embedded.manage("up")

        assert second.returncode == 2
        assert f"runs here already, as process {running.process.pid}" in second.stdout
        assert status(embedded) == 200


@pytest.mark.endurance
def test_db_stop_is_refused_while_up_would_start_the_server_again(embedded: Project) -> None:
    with up(embedded) as running:
        stop = embedded.manage("db", "stop")

        assert stop.returncode == 2
        assert f"`up`, process {running.process.pid}, would start it again" in stop.stdout
        assert status(embedded) == 200


@pytest.mark.endurance
def test_up_uses_the_server_that_answers_and_leaves_it_running(embedded: Project) -> None:
    # What an `up` of the embedded server leaves when everything is killed.
    (home_of(embedded.path) / "server-of-up").touch()
    with fresh_database() as variables:
        embedded.env |= variables
        with up(embedded) as running:
            assert "using the server that answers at" in running.log.read_text()
            assert running.end(signal.SIGTERM) == 0
        with embedded.connect() as connection:
            assert connection.execute("SELECT count(*) FROM trader_user").fetchone() == (1,)


def test_up_leaves_a_server_that_db_start_started_running(embedded: Project) -> None:
    assert embedded.manage("db", "start").returncode == 0
    server = postmaster(embedded)

    with up(embedded) as running:
        running.end(signal.SIGINT)

    assert psutil.pid_exists(server)
    assert "is stopped" in embedded.manage("db", "stop").stdout
    assert embedded.manage("db", "status").returncode == 1


@pytest.mark.parametrize(
    ("variable", "cause", "remedy"),
    [
        ("POSTGRES_PORT", "what listens there says nothing", "set POSTGRES_PORT in .env to a free port"),
        ("BACKEND_PORT", "is taken by another program", "set BACKEND_PORT"),
    ],
)
def test_a_stranger_on_a_port_is_named(embedded: Project, variable: str, cause: str, remedy: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        embedded.env[variable] = str(stranger.getsockname()[1])

        ended = embedded.manage("up")

    assert ended.returncode == 2
    assert cause in ended.stdout
    assert remedy in ended.stdout


@pytest.mark.endurance
def test_a_password_changed_after_the_cluster_was_made_is_explained(embedded: Project) -> None:
    embedded.env["POSTGRES_PASSWORD"] = "another-password"

    ended = embedded.manage("up")

    assert ended.returncode == 2
    assert "the server refuses the password" in ended.stdout
    assert "another-password" not in ended.stdout


@pytest.mark.endurance
def test_a_changed_port_names_the_running_server(embedded: Project) -> None:
    embedded.manage("db", "start")
    port = embedded.env["POSTGRES_PORT"]
    embedded.env["POSTGRES_PORT"] = str(free_port())

    ended = embedded.manage("up")

    assert ended.returncode == 2
    assert f"runs on port {port}, but POSTGRES_PORT is" in ended.stdout


@pytest.mark.endurance
def test_a_kill_in_the_middle_of_the_first_start_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    project = Project(copy_tree(tmp_path / "my-trader"), environment())
    home = home_of(project.path)
    try:
        (home / "data.new").mkdir(parents=True)
        (home / "data.new" / "PG_VERSION").touch()

        assert project.manage("db", "start").returncode == 0
    finally:
        project.manage("db", "stop")
        shutil.rmtree(home)
