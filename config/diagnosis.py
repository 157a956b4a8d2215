"""What `doctor` looks at beside the guard's own checks: the server behind the address, the containers, their files."""

import hashlib
import inspect
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psutil
import psycopg
from django.conf import settings

from config.compose import Compose, Container, NoCompose, has_address
from config.database import ANOTHER_PORT, NOTHING_LISTENS, SAYS_NOTHING, WRONG_PASSWORD, diagnose
from config.postgres import LOCAL_HOSTS, EmbeddedServer, embedded_server
from config.stack import answers, is_free
from migration_guard.doctor import Diagnosis, command, note, ok, problem, unknown
from migration_guard.units import listed

MIGRATIONS = Path("trader", "migrations")
# What the image has of the checkout; the migrations are mounted over it, and looked at by themselves.
SOURCES = ("config", "migration_guard", "trader", "manage.py", "entrypoint.sh", "requirements/base.txt")
START_COMPOSE = "docker compose up db -d --wait"
BUILD = "docker compose up --build --wait"
RECREATE = f"{BUILD} --force-recreate backend"
WAIT = "docker compose up --wait"
RESTART = f"docker compose restart backend && {WAIT}"
# States of a container that somebody has stopped, or never started.
STOPPED = {"created", "exited"}
WELL = {"healthy", "running"}
COMPOSE = Compose(settings.BASE_DIR)
CONNECT_SECONDS = 2


def check_server(_alias: str) -> Iterator[Diagnosis]:
    """Which server has the address, and why it does not answer."""
    server = embedded_server()
    address = f"{server.address.host}:{server.address.port}"
    if server.pid and server.port != server.address.port:
        told = f"the embedded PostgreSQL runs on port {server.port}, and POSTGRES_PORT is {server.address.port}"
        yield problem("server", told, f"{command('db', 'stop')} && {command('db', 'start')}")
        return
    try:
        server.address.connect(within=CONNECT_SECONDS).close()
    except psycopg.OperationalError as error:
        yield _silence(error, server, address)
        return
    yield ok("server", f"the one at {address} is {_whose(server)}")


def _whose(server: EmbeddedServer) -> str:
    if server.pid:
        return f"the embedded PostgreSQL, process {server.pid}"
    is_composes = has_address(COMPOSE, server.address)
    if is_composes is None:
        return "not the embedded PostgreSQL; docker does not say whether it is Compose's db"
    return "Compose's db" if is_composes else "neither the embedded PostgreSQL nor Compose's db of this folder"


def _silence(error: psycopg.OperationalError, server: EmbeddedServer, address: str) -> Diagnosis:
    found = diagnose(error)
    told = f"{address}: {found.cause}"
    if server.address.host not in LOCAL_HOSTS:
        return problem("server", f"{told}. {found.remedy}")
    if found is NOTHING_LISTENS:
        return _start(told)
    if found is SAYS_NOTHING and server.pid:
        return _held(told, server.pid)
    if found is SAYS_NOTHING and has_address(COMPOSE, server.address):
        return problem("server", f"{told}, and it is Compose's db", f"docker compose restart db && {WAIT}")
    if found is WRONG_PASSWORD and (server.pid or has_address(COMPOSE, server.address) is not False):
        kept = "the server keeps the password that its data was made with, and .env has another"
        # A backend keeps the password that its container was made with.
        is_compose = not server.pid and has_address(COMPOSE, server.address)
        renewed = f" && {WAIT}" if is_compose and COMPOSE.container("backend") else ""
        return problem("server", f"{told}; {kept}", command("db", "password") + renewed)
    if found is WRONG_PASSWORD or ANOTHER_PORT in found.remedy:
        mend = f"{_set('POSTGRES_PORT', server.address.port)} && {_start(told).mend}"
        return problem("server", f"{told}; it is {_whose(server)}", mend)
    return problem("server", f"{told}: {' '.join(str(error).split())}. {found.remedy}")


def _held(told: str, pid: int) -> Diagnosis:
    if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
        return problem("server", f"{told}: the embedded PostgreSQL, process {pid}, is held", f"kill -CONT {pid}")
    restart = f"{command('db', 'stop')} && {command('db', 'start')}"
    return problem("server", f"{told}: the embedded PostgreSQL, process {pid}, is too busy, or hangs", restart)


def _start(told: str) -> Diagnosis:
    """By what the database was started with here, where that is known."""
    try:
        container = COMPOSE.container("db")
    except NoCompose:
        return problem("server", told, command("db", "start"))
    if container is None:
        return problem("server", f"{told}, neither Compose's db nor the embedded server runs", command("db", "start"))
    state = f"runs and is published on {dict(container.ports)}" if container.is_running else f"is {container.state}"
    return problem("server", f"{told}; Compose's db {state}", START_COMPOSE)


def check_files(_alias: str) -> Iterator[Diagnosis]:
    """Whether the container's user, who is nobody here, can read the migrations that are mounted."""
    folder = settings.BASE_DIR / MIGRATIONS
    closed = [path for path in (folder, *sorted(folder.rglob("*"))) if not _is_open(path)]
    if closed:
        names = listed(str(path.relative_to(settings.BASE_DIR)) for path in closed)
        told = f"{names} cannot be read by every user, as a container's has to"
        yield problem("files", told, f"chmod -R go+rX {MIGRATIONS}")
    else:
        yield ok("files", f"every user can read {MIGRATIONS}")


def _is_open(path: Path) -> bool:
    mode = path.stat().st_mode
    wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return path.suffix == ".pyc" or path.name == "__pycache__" or mode & wanted == wanted


def check_backend(_alias: str) -> Iterator[Diagnosis]:
    """The backend: in a container, with the files that are here, or on this machine."""
    try:
        container = COMPOSE.container("backend")
    except NoCompose as error:
        yield from _local_backend(f"; Compose was not looked at: {error}")
        return
    if container is None or container.state in STOPPED:
        yield from _local_backend("" if container is None else f"; Compose's is {container.state}")
    elif container.checkout and Path(container.checkout).resolve() != settings.BASE_DIR.resolve():
        told = f"the containers of this project's name are those of {container.checkout}"
        yield problem("backend", told, RECREATE)
    else:
        yield _condition(container)
        if container.is_running:
            yield from _files_of_container()


def _local_backend(more: str) -> Iterator[Diagnosis]:
    port = int(settings.BACKEND_PORT.partition("-")[0])
    # Ready or not.
    if answers(port, "/livez", within=1):
        yield ok("backend", f"answers at http://localhost:{port}{more}")
    elif is_free(port):
        yield note("backend", f"none runs{more}", BUILD if "Compose's" in more else command("up"))
    else:
        yield problem("backend", f"port {port} is taken by another program{more}", _set("BACKEND_PORT", port))


def _condition(container: Container) -> Diagnosis:
    told = f"Compose's is {container.condition}"
    if container.condition in WELL:
        return ok("backend", told)
    mend = WAIT if container.condition == "starting" else RECREATE
    return problem("backend", f"{told}: docker compose logs backend says why", mend)


def _files_of_container() -> Iterator[Diagnosis]:
    try:
        there = json.loads(COMPOSE.run("exec", "-T", "backend", "python", "-IS", "-c", IN_CONTAINER, *SOURCES))
    except NoCompose as error:
        yield unknown("container", f"its files could not be looked at: {error}")
        return
    yield from compare(hashes(settings.BASE_DIR, SOURCES), there)


def compare(here: Mapping[str, str], there: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Files of this folder and of the container, by their hashes."""
    differing = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    migrations = [name for name in differing if Path(name).is_relative_to(MIGRATIONS)]
    sources = [name for name in differing if name not in migrations]
    if migrations:
        # Outside local development they are in the image.
        mend = RESTART if settings.IS_LOCAL and not sources else BUILD
        yield problem("container", f"it has other migrations than this folder: {listed(migrations)}", mend)
    if sources:
        yield problem("image", f"it is older than the sources: {listed(sources)}", BUILD)
    if not differing:
        yield ok("container", f"it has the files that are here, {len(here)} compared")


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The files of these names, and of the folders of these names, each with its SHA-256."""
    paths = [path for name in names for path in (folder / name, *(folder / name).rglob("*"))]
    files = [path for path in paths if path.is_file() and path.suffix != ".pyc"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Run in the container, where this project's settings would take longer than all the rest.
IN_CONTAINER = f"""
import hashlib, json, sys
from collections.abc import Iterable
from pathlib import Path
{inspect.getsource(hashes)}
print(json.dumps(hashes(Path.cwd(), sys.argv[1:])))
"""


def _set(variable: str, taken: int) -> str:
    """The command that gives a variable the next port that is free; the process environment wins over the file."""
    line = f"{variable}={next(port for port in range(taken + 1, 65536) if is_free(port))}"
    if variable in os.environ:
        return f"export {line}"
    if f"\n{variable}=" in (settings.BASE_DIR / ".env").read_text():
        return f"perl -pi -e 's/^{variable}=.*/{line}/' .env"
    return f"echo {line} >> .env"
