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

import psutil
import psycopg
import pytest

from config.compose import PROJECT, Compose
from config.diagnosis import compare
from config.postgres import ROOT_HOME, home_of
from config.processes import PidFile
from migration_guard.doctor import State
from tests.project import Project, copy_tree, database_environment
from tests.server import free_port

SLEEPING = "sleep 60"
# What Compose says of a line of `.env` that it cannot read, and docker without its engine.
QUOTING = 'echo "failed to read $PWD/.env: line 25: unterminated quoted value \'a-token-of-others" >&2; exit 1'
STOPPED = "echo 'Cannot connect to the Docker daemon at unix:///run/docker.sock.' >&2; exit 1"
PRODUCTION = ("docker-compose.yml", "docker-compose.production.yml")
LIMIT_SECONDS = 3.0
WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE application_name = 'migration_guard doctor' AND wait_event_type = 'Lock' AND datname = current_database()
"""
BAR_OF_1999 = """
    WITH instrument AS (
        INSERT INTO trader_instrument (venue_id, symbol, name, currency_id, security_type, multiplier,
            price_quotation_factor, qty_increment, active)
        SELECT (SELECT min(id) FROM trader_venue), 'OLD', '', (SELECT min(id) FROM trader_currency), 'CS', 1, 1, 1, true
        RETURNING id
    )
    INSERT INTO trader_pricebar (instrument_id, source, timeframe, ts, open, high, low, close, split_adjusted)
    SELECT id, 'file', '1d', '1999-01-04 00:00+00', 1, 1, 1, 1, false FROM instrument
"""
DROP_THIS_YEARS = """
    DO $$ BEGIN EXECUTE format('DROP TABLE trader_pricebar_%s', extract(year FROM now() AT TIME ZONE 'UTC')); END $$
"""

Line = dict[str, str]


@pytest.fixture(scope="module")
def well() -> Iterator[list[Project]]:
    """Those that tests have left mended."""
    projects: list[Project] = []
    yield projects
    for project in projects:
        end(project)


@pytest.fixture
def prepared(
    well: list[Project], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """A copy of the tree with an embedded server of its own, on ports of its `.env`; no Docker is on its PATH."""
    project = well.pop() if well else begin(tmp_path_factory.mktemp("doctor") / "my-trader")
    failed = request.session.testsfailed
    yield project
    if request.session.testsfailed == failed:
        well.append(project)
    else:
        end(project)


def begin(target: Path) -> Project:
    path = copy_tree(target)
    programs = path.parent / "programs"
    programs.mkdir()
    for name in ("sh", "sleep", "chmod", "perl", "python3", "env", "uname", "true"):
        (programs / name).symlink_to(str(shutil.which(name)))
    project = Bare(path, {"PATH": f"{Path(sys.executable).parent}:{programs}"})
    put(project, POSTGRES_PORT=str(free_port()), BACKEND_PORT=str(free_port()), DEMONSTRATION="false")
    run(project, "python manage.py db start && python manage.py prepare")
    return project


def end(project: Project) -> None:
    run(project, "python manage.py db stop")
    if (home := home_of(project.path)).is_relative_to(ROOT_HOME):
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


def port_of_the_server(project: Project) -> int:
    return int((home_of(project.path) / "data" / "postmaster.pid").read_text().splitlines()[3])


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
    assert time.monotonic() - began < 2 * LIMIT_SECONDS
    assert value_of(project, "POSTGRES_PASSWORD") not in said
    lines: list[Line] = json.loads(said)["lines"]
    return lines


def problem_of(project: Project, subject: str) -> Line:
    (line,) = [line for line in doctor(project) if line["subject"] == subject and line["state"] == "problem"]
    return line


def mended(project: Project, line: Line) -> None:
    """Run what was printed, and what is printed then, and see that all is well."""
    run(project, line["mend"])
    for left in [line for line in doctor(project) if line["mend"] and line["state"] == "problem"]:
        run(project, left["mend"])
    assert [line for line in doctor(project) if line["state"] not in {"ok", "note"}] == []


@contextmanager
def docker_that(does: str, project: Project) -> Iterator[None]:
    docker = project.path.parent / "programs" / "docker"
    docker.write_text(f"#!/bin/sh\n{does}\n")
    docker.chmod(0o755)
    try:
        yield
    finally:
        docker.unlink()


def connect(project: Project) -> psycopg.Connection:
    names = ("POSTGRES_SERVER", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD")
    return Project(project.path, {name: value_of(project, name) for name in names}).connect()


def files(project: Project) -> set[Path]:
    return {path for path in project.path.rglob("*") if path.suffix != ".pyc" and path.name != "__pycache__"}


def command_lines() -> str:
    """What `ps` shows of everybody."""
    return "\n".join(" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


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
    before = files(prepared)

    lines = doctor(prepared)

    assert files(prepared) == before
    assert [line for line in lines if line["state"] not in {"ok", "note"}] == []
    (server,) = [line for line in lines if line["subject"] == "server"]
    assert "is the embedded PostgreSQL, process" in server["message"]
    (backend,) = [line for line in lines if line["subject"] == "backend"]
    assert backend["message"] == "none runs; Compose was not looked at: docker is not installed here"


def test_checkout_where_nothing_was_started_stays_as_it_is(tmp_path: Path) -> None:
    project = Project(copy_tree(tmp_path / "my-trader"), {"POSTGRES_PORT": str(free_port())})
    before = files(project)

    line = problem_of(project, "server")

    assert line["mend"].endswith("manage.py db start")
    assert files(project) == before


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

        assert "what listens there says nothing; it is neither" in line["message"]
        mended(prepared, line)


@pytest.mark.endurance
def test_port_that_another_postgresql_has(prepared: Project) -> None:
    run(prepared, "python manage.py db stop")
    own_password = value_of(prepared, "POSTGRES_PASSWORD")
    another = database_environment("postgres")["POSTGRES_PORT"]
    put(prepared, POSTGRES_PORT=another, POSTGRES_PASSWORD="not-the-one-of-that-server")

    line = problem_of(prepared, "server")

    assert "the server refuses the password; it is neither" in line["message"]
    put(prepared, POSTGRES_PASSWORD=own_password)
    mended(prepared, line)


@pytest.mark.endurance
def test_password_that_was_changed_after_the_data_was_made(prepared: Project) -> None:
    put(prepared, POSTGRES_PASSWORD="another-password-than-before")

    line = problem_of(prepared, "server")

    assert "keeps the password that its data was made with" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_password_that_has_expired(prepared: Project) -> None:
    with connect(prepared) as session:
        session.execute("ALTER ROLE postgres VALID UNTIL '2020-01-01'")

    line = problem_of(prepared, "server")

    assert "the server refuses the password" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_role_that_the_data_was_not_made_with(prepared: Project) -> None:
    put(prepared, POSTGRES_USER="another")

    refused = prepared.run("sh", "-c", problem_of(prepared, "server")["mend"])

    assert refused.returncode == 2
    assert "The server has no role another: its data was made with another POSTGRES_USER" in refused.stdout
    put(prepared, POSTGRES_USER="postgres")
    assert [line for line in doctor(prepared) if line["state"] not in {"ok", "note"}] == []


@pytest.mark.endurance
def test_database_that_is_not_there(prepared: Project) -> None:
    put(prepared, POSTGRES_DB="another")

    line = problem_of(prepared, "server")

    assert 'database "another" does not exist' in line["message"]
    mended(prepared, line)
    put(prepared, POSTGRES_DB="app")


@pytest.mark.endurance
def test_server_on_another_host_is_not_mended_by_one_of_this_machine(prepared: Project) -> None:
    put(prepared, POSTGRES_SERVER="127.0.0.9", POSTGRES_PORT=str(free_port()))
    line = problem_of(prepared, "server")
    put(prepared, POSTGRES_SERVER="localhost", POSTGRES_PORT=str(port_of_the_server(prepared)))

    assert "Start that one, or change POSTGRES_SERVER or POSTGRES_PORT" in line["message"]
    assert line["mend"] == ""


@pytest.mark.endurance
def test_address_of_this_machine_that_the_server_does_not_listen_at(prepared: Project) -> None:
    put(prepared, POSTGRES_SERVER="::1")
    line = problem_of(prepared, "server")

    assert "at 127.0.0.1 it does" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_port_that_was_changed_to_one_that_a_stranger_has(prepared: Project) -> None:
    taken = free_port()
    put(prepared, POSTGRES_PORT=str(taken))
    with listening(taken, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        line = problem_of(prepared, "server")
        mended(prepared, line)

    assert value_of(prepared, "POSTGRES_PORT") == str(port_of_the_server(prepared))


@pytest.mark.endurance
def test_password_is_in_no_command_line(prepared: Project) -> None:
    put(prepared, POSTGRES_PASSWORD="a-password-to-look-for")
    seen = ""

    for arguments in (["doctor"], ["db", "password"], ["doctor"]):
        program = prepared.start(sys.executable, "manage.py", *arguments)
        while program.poll() is None:
            seen += command_lines()
        program.communicate()

    assert "--single" in seen
    assert "manage.py doctor" in seen
    assert "a-password-to-look-for" not in seen


@pytest.mark.endurance
def test_password_is_not_changed_under_a_running_up(prepared: Project) -> None:
    up = PidFile(home_of(prepared.path) / "up.pid")
    up.write(os.getpid())
    try:
        refused = prepared.manage("db", "password")
    finally:
        up.remove()

    assert refused.returncode == 2
    assert "works with the server: end that one with Ctrl-C" in refused.stdout


@pytest.mark.endurance
def test_everything_at_once(prepared: Project) -> None:
    run(prepared, "python manage.py db stop")
    migrations = prepared.path / "trader" / "migrations"
    migrations.chmod(0o700)
    ports = [int(value_of(prepared, name)) for name in ("POSTGRES_PORT", "BACKEND_PORT")]
    with docker_that(SLEEPING, prepared), listening(ports[0], b""), listening(ports[1], b""):
        lines = doctor(prepared)

    told = [(line["subject"], line["state"]) for line in lines]
    assert told == [
        ("database", "problem"),
        *((name, "unknown") for name in ("migrations", "role", "indexes", "constraints")),
        ("models", "ok"),
        ("server", "problem"),
        ("files", "problem"),
        ("backend", "problem"),
        ("partitions", "unknown"),
    ]
    (server,) = [line for line in lines if line["subject"] == "server"]
    assert server["message"].endswith("docker does not say whether it is Compose's db")
    for line in lines:
        run(prepared, line["mend"] or "true")
    assert [line for line in doctor(prepared) if line["state"] not in {"ok", "note"}] == []


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
def test_session_that_is_held(prepared: Project) -> None:
    """The server process of one check, stopped while it waits for a lock: no timeout of its own can end it."""
    with connect(prepared) as blocking, connect(prepared) as watching:
        blocking.execute("BEGIN; LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")
        program = prepared.start(sys.executable, "manage.py", "doctor", "--json")
        while not (waiting := watching.execute(WAITING).fetchall()):
            assert program.poll() is None
            # Asking without a pause, and answering, would take both cores from what is timed.
            time.sleep(0.02)
        began = time.monotonic()
        for (pid,) in waiting:
            os.kill(pid, signal.SIGSTOP)
        try:
            said, _ = program.communicate(timeout=30)
        finally:
            for (pid,) in waiting:
                os.kill(pid, signal.SIGCONT)

    assert time.monotonic() - began < 2 * LIMIT_SECONDS
    told = {line["subject"]: line["message"] for line in json.loads(said)["lines"]}
    assert told["migrations"] == "took longer than 2.8 s"
    assert told["indexes"] == "all are valid"


@pytest.mark.endurance
def test_bars_without_a_partition(prepared: Project) -> None:
    with connect(prepared) as session:
        session.execute(BAR_OF_1999)

    line = problem_of(prepared, "partitions")

    assert line["message"] == "in the default partition of trader_pricebar lie bars of 1999: 1"
    mended(prepared, line)
    with connect(prepared) as session:
        assert session.execute("SELECT count(*) FROM trader_pricebar_1999").fetchone() == (1,)


@pytest.mark.endurance
def test_partition_that_is_missing(prepared: Project) -> None:
    with connect(prepared) as session:
        session.execute(DROP_THIS_YEARS)

    line = problem_of(prepared, "partitions")

    assert "trader_pricebar has none for 20" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_migrations_that_the_containers_user_cannot_read(prepared: Project) -> None:
    (prepared.path / "trader" / "migrations").chmod(0o700)

    line = problem_of(prepared, "files")

    assert "trader/migrations cannot be read by every user" in line["message"]
    mended(prepared, line)


@pytest.mark.endurance
def test_lock_of_an_editor_is_no_file_that_cannot_be_read(prepared: Project) -> None:
    lock = prepared.path / "trader" / "migrations" / ".#0001_user.py"
    lock.symlink_to("somebody@somewhere.123")

    told = [(line["subject"], line["state"]) for line in doctor(prepared)]

    lock.unlink()
    assert ("files", "ok") in told


@pytest.mark.endurance
def test_port_of_the_backend_that_a_stranger_has(prepared: Project) -> None:
    with listening(int(value_of(prepared, "BACKEND_PORT")), b"SSH-2.0-OpenSSH\r\n"):
        line = problem_of(prepared, "backend")

        assert "is taken by another program" in line["message"]
        mended(prepared, line)


@pytest.mark.endurance
def test_docker_that_hangs_is_not_waited_for(prepared: Project) -> None:
    with docker_that(SLEEPING, prepared):
        lines = doctor(prepared)

    (backend,) = [line for line in lines if line["subject"] == "backend"]
    assert "docker does not answer within 1.3 s" in backend["message"]


@pytest.mark.endurance
def test_environment_that_compose_cannot_read_is_told_and_not_quoted(prepared: Project) -> None:
    with docker_that(QUOTING, prepared):
        lines = doctor(prepared)

    (backend,) = [line for line in lines if line["subject"] == "backend"]
    assert backend["message"].startswith("Compose cannot read .env, line 25")
    assert "a-token-of-others" not in json.dumps(lines)


@pytest.mark.endurance
def test_docker_that_is_stopped_is_told_before_another_server_is_started(prepared: Project) -> None:
    run(prepared, "python manage.py db stop")
    with docker_that(STOPPED, prepared):
        line = problem_of(prepared, "server")

    assert "Cannot connect to the Docker daemon" in line["message"]
    assert "mend that where the data is in Compose's db" in line["message"]
    mended(prepared, line)


@pytest.mark.parametrize(
    ("files", "told"),
    [(PRODUCTION[:1], ""), (PRODUCTION, " -f docker-compose.yml -f docker-compose.production.yml")],
)
def test_containers_are_mended_with_the_files_that_they_were_made_with(
    files: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "a, b"
    checkout.mkdir()
    paths = ",".join(str(checkout / name) for name in files)
    labels = f"maintainer=x,{PROJECT}.config_files={paths},{PROJECT}.service=db,{PROJECT}.working_dir={checkout}"
    container = {"Service": "db", "State": "running", "Health": "healthy", "Labels": labels, "Publishers": None}
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(container)}\nEND\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert Compose(checkout).command("up", "--wait") == f"docker compose{told} up --wait"


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
