"""What `doctor` looks at beside the guard's own checks: the server behind the address, the containers, their files."""

import hashlib
import inspect
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psutil
import psycopg
from django.conf import settings

from config.compose import Compose, Container, NoCompose, NoDocker, UnreadableEnvironment, has_address
from config.database import ANOTHER_PORT, NO_DATABASE, NOTHING_LISTENS, SAYS_NOTHING, WRONG_PASSWORD, diagnose
from config.database import Diagnosis as Reason
from config.postgres import LOCAL_HOSTS, EmbeddedServer, embedded_server
from config.stack import answers, is_free
from migration_guard.doctor import Diagnosis, command, note, ok, problem, unknown
from migration_guard.units import listed

MIGRATIONS = Path("trader", "migrations")
# What the image has of the checkout; the migrations are mounted over it, and looked at by themselves.
SOURCES = ("config", "migration_guard", "trader", "manage.py", "entrypoint.sh", "requirements/base.txt")
# States of a container that somebody has stopped, or never started.
STOPPED = {"created", "exited"}
WELL = {"healthy", "running"}
COMPOSE = Compose(settings.BASE_DIR)
SERVICE = "db"
CONNECT_SECONDS = 2


def check_server(_alias: str) -> Iterator[Diagnosis]:
    """Which server has the address, and why it does not answer."""
    server = embedded_server()
    address = f"{server.address.host}:{server.address.port}"
    try:
        server.address.connect(within=CONNECT_SECONDS).close()
    except psycopg.OperationalError as error:
        yield _silence(error, server, address)
        return
    yield ok("server", f"the one at {address} is {_whose(server)}")


def _is_embedded(server: EmbeddedServer) -> bool:
    """Whether the address is the embedded server's own, whatever name of this machine is in it."""
    return server.address.host in LOCAL_HOSTS and server.port == server.address.port


def _whose(server: EmbeddedServer) -> str:
    if server.address.host not in LOCAL_HOSTS:
        return "on another host"
    if _is_embedded(server):
        return f"the embedded PostgreSQL, process {server.pid}"
    is_composes = has_address(COMPOSE, server.address)
    if is_composes is None:
        return "not the embedded PostgreSQL; docker does not say whether it is Compose's db"
    return "Compose's db" if is_composes else "neither the embedded PostgreSQL nor Compose's db of this folder"


def _silence(error: psycopg.OperationalError, server: EmbeddedServer, address: str) -> Diagnosis:
    found = diagnose(error)
    told = f"{address}: {found.cause}"
    if server.address.host not in LOCAL_HOSTS:
        return problem("server", f"{told}: {_words(error)}. {_remedy_elsewhere(found, server.address.host)}")
    if server.pid and not _is_embedded(server):
        return _on_another_port(told, server, follows=found is NOTHING_LISTENS)
    if mended := _known_server(found, told, server, _words(error)):
        return mended
    if found is NOTHING_LISTENS:
        return _start(told)
    if found is WRONG_PASSWORD or ANOTHER_PORT in found.remedy:
        mend = f"{_give('POSTGRES_PORT', _free_after(server.address.port))} && {_start(told).mend}"
        return problem("server", f"{told}; it is {_whose(server)}", mend)
    return problem("server", f"{told}: {_words(error)}. {found.remedy}")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())


def _remedy_elsewhere(found: Reason, host: str) -> str:
    """What starts a server of this machine is of no use to another one's, but for Compose's, seen from its network."""
    is_local = found in (NOTHING_LISTENS, SAYS_NOTHING) and host != SERVICE
    return "Start that one, or change POSTGRES_SERVER or POSTGRES_PORT." if is_local else found.remedy


def _known_server(found: Reason, told: str, server: EmbeddedServer, words: str) -> Diagnosis | None:
    """What is wrong with the embedded server or Compose's db; None where it is neither, or nothing that they have."""
    is_composes = not server.pid and has_address(COMPOSE, server.address)
    if found is WRONG_PASSWORD and (server.pid or is_composes is not False):
        kept = "the server keeps the password that its data was made with, and .env has another"
        # A backend keeps the password that its container was made with.
        renewed = f" && {_wait()}" if is_composes and COMPOSE.container("backend") else ""
        return problem("server", f"{told}; {kept}", command("db", "password") + renewed)
    if not server.pid and not is_composes:
        return None
    if found is NOTHING_LISTENS:
        return problem("server", f"{told}, and at 127.0.0.1 it does", _give("POSTGRES_SERVER", "127.0.0.1"))
    if found is SAYS_NOTHING:
        restart = f"{COMPOSE.command('restart', SERVICE)} && {_wait()}"
        return _held(told, server.pid) if server.pid else problem("server", f"{told}, and it is Compose's db", restart)
    if found is NO_DATABASE and f'database "{server.address.database}"' in words:
        create = ("exec", SERVICE, "createdb", "-U", server.address.user, server.address.database)
        mend = command("db", "start") if server.pid else COMPOSE.command(*create)
        return problem("server", f"{told}: {words}. Change POSTGRES_DB or, where it is to be a new one:", mend)
    return None


def _on_another_port(told: str, server: EmbeddedServer, *, follows: bool) -> Diagnosis:
    """The embedded server follows the variable, to a port that is free; else the variable follows the server."""
    told = f"{told}; the embedded PostgreSQL runs on port {server.port}, and POSTGRES_PORT is {server.address.port}"
    return problem("server", told, _start_anew() if follows else _give("POSTGRES_PORT", server.port))


def _held(told: str, pid: int) -> Diagnosis:
    if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
        return problem("server", f"{told}: the embedded PostgreSQL, process {pid}, is held", f"kill -CONT {pid}")
    return problem("server", f"{told}: the embedded PostgreSQL, process {pid}, is too busy, or hangs", _start_anew())


def _start_anew() -> str:
    return f"{command('db', 'stop')} && {command('db', 'start')}"


def _start(told: str) -> Diagnosis:
    """By what the database was started with here, where that is known."""
    try:
        container = COMPOSE.container(SERVICE)
    except NoDocker:
        return problem("server", told, command("db", "start"))
    except NoCompose as error:
        told = f"{told}; {error}: mend that where the data is in Compose's db; where it is the embedded server's:"
        return problem("server", told, command("db", "start"))
    if container is None:
        return problem("server", f"{told}, neither Compose's db nor the embedded server runs", command("db", "start"))
    if container.is_running and not container.ports:
        mend = COMPOSE.command("exec", "backend", "python", "manage.py", "doctor")
        return problem("server", f"{told}; Compose's db runs and publishes no port, ask within its network:", mend)
    state = f"runs and is published on {dict(container.ports)}" if container.is_running else f"is {container.state}"
    return problem("server", f"{told}; Compose's db {state}", COMPOSE.command("up", SERVICE, "-d", "--wait"))


def check_files(_alias: str) -> Iterator[Diagnosis]:
    """Whether the container's user, who is nobody here, can read the migrations that are mounted."""
    folder = settings.BASE_DIR / MIGRATIONS
    if not folder.is_dir():
        yield problem("files", f"{MIGRATIONS} is not here", f"git restore {MIGRATIONS}")
        return
    inside = sorted(folder.rglob("*")) if _is_open(folder) else []
    closed = [path for path in (folder, *inside) if not _is_open(path)]
    if closed:
        names = listed(str(path.relative_to(settings.BASE_DIR)) for path in closed)
        told = f"{names} cannot be read by every user, as a container's has to"
        yield problem("files", told, f"chmod -R go+rX {MIGRATIONS}")
    else:
        yield ok("files", f"every user can read {MIGRATIONS}")


def _is_open(path: Path) -> bool:
    if not path.exists():
        # Nothing is behind the link, as behind an editor's lock, which Django passes over.
        return path.name.startswith(".")
    mode = path.stat().st_mode
    wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return path.suffix == ".pyc" or path.name == "__pycache__" or mode & wanted == wanted


def check_backend(_alias: str) -> Iterator[Diagnosis]:
    """The backend: in a container, with the files that are here, or on this machine."""
    try:
        container = COMPOSE.container("backend")
    except UnreadableEnvironment as error:
        yield problem("backend", f"{error}: docker compose config shows it, and what stands there")
        return
    except NoCompose as error:
        yield from _local_backend(f"; Compose was not looked at: {error}")
        return
    if container is None or container.state in STOPPED:
        yield from _local_backend("" if container is None else f"; Compose's is {container.state}")
    elif not container.is_of(settings.BASE_DIR):
        care = "to take them over is to go on with their data, and COMPOSE_PROJECT_NAME gives this folder its own"
        told = f"{care}: the containers of this project's name are those of {container.checkout}"
        yield problem("backend", told, _recreate())
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
        yield note("backend", f"none runs{more}", _build() if "Compose's" in more else command("up"))
    else:
        yield problem(
            "backend", f"port {port} is taken by another program{more}", _give("BACKEND_PORT", _free_after(port))
        )


def _condition(container: Container) -> Diagnosis:
    told = f"Compose's is {container.condition}"
    if container.condition in WELL:
        return ok("backend", told)
    mend = _wait() if container.condition == "starting" else _recreate()
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
        restart = f"{COMPOSE.command('restart', 'backend')} && {_wait()}"
        mend = restart if settings.IS_LOCAL and COMPOSE.is_usual and not sources else _build()
        yield problem("container", f"it has other migrations than this folder: {listed(migrations)}", mend)
    if sources:
        yield problem("image", f"it is older than the sources: {listed(sources)}", _build())
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


def _wait() -> str:
    return COMPOSE.command("up", "--wait")


def _build() -> str:
    return COMPOSE.command("up", "--build", "--wait")


def _recreate() -> str:
    return COMPOSE.command("up", "--build", "--wait", "--force-recreate", "backend")


def _free_after(taken: int) -> int:
    return next(port for port in range(taken + 1, 65536) if is_free(port))


def _give(variable: str, value: object) -> str:
    """The command that gives a variable that value; the process environment wins over the file."""
    line = f"{variable}={value}"
    dotenv = settings.BASE_DIR / ".env"
    text = dotenv.read_text() if dotenv.exists() else ""
    if os.environ.get(variable):
        return f"export {line}"
    if re.search(rf"^{variable}=", text, flags=re.M):
        return f"perl -pi -e 's/^{variable}=.*/{line}/' .env"
    end = "" if not text or text.endswith("\n") else "echo >> .env && "
    return f"{end}echo {line} >> .env"
