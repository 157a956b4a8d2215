"""pg_dump and pg_restore: which ones, how they are told where to go, and how an archive gets into one."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migration_guard.conf import GuardSettings
from migration_guard.connections import conninfo_of, major_of

DEBIAN = "/usr/lib/postgresql"
# They come in one package; what one writes, the other reads.
BOTH = ("pg_dump", "pg_restore")
PIECE_BYTES = 1 << 20
LONGEST_ERROR = 2000
LOOK_EVERY_SECONDS = 0.2
# What pg_restore begins with since 17, and how it tells that a server before 17 does not know it.
SETTING_SINCE = 17
ERROR = "pg_restore: error:"
UNKNOWN_SETTING = re.compile(rf"{ERROR} .*\btransaction_timeout\b.*\nCommand was: SET transaction_timeout = 0;\n")
ONE_ERROR = "errors ignored on restore: 1"
# What belongs to the server or to its users, and not to what migrations change.
WITHOUT = (
    "--no-owner",
    "--no-acl",
    "--no-comments",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--no-tablespaces",
)


class NoProgram(CommandError):
    """There is no program of the server's version, or of a later one."""


class ProgramFailed(Exception):
    """What pg_dump or pg_restore said as it ended."""


def client_program(name: str, *, server_major: int = 0) -> str:
    """The oldest one that is not older than the server, which it would refuse; without one, the newest."""
    found = sorted({(major, path) for path in _candidates(name) if (major := _version_of(path))})
    if not server_major and found:
        return found[-1][1]
    if fitting := [path for major, path in found if major >= server_major]:
        return fitting[0]
    versions = ", ".join(str(major) for major, _ in found) or "none"
    raise NoProgram(
        f"The server is PostgreSQL {server_major}, and {name} has to be as new: found here: {versions}. Install "
        f"postgresql-client-{server_major}, or name its folder in MIGRATION_GUARD['CLIENT_PROGRAMS'].",
        returncode=2,
    )


def _candidates(name: str) -> Iterator[str]:
    folders = [GuardSettings.load().CLIENT_PROGRAMS, *os.get_exec_path(), *map(str, Path(DEBIAN).glob("*/bin"))]
    for folder in filter(None, folders):
        # Debian's wrapper runs another one than it tells the version of.
        is_whole = all(shutil.which(program, path=folder) for program in BOTH)
        if is_whole and (found := shutil.which(name, path=folder)) and Path(found).resolve().name != "pg_wrapper":
            yield found


def _version_of(path: str) -> int | None:
    try:
        printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    # For another processor, or of a package that is there in half.
    except OSError:
        return None
    match = re.search(r" (\d+)", printed.stdout)
    return int(match[1]) if match else None


class Program:
    """One of them at work on a database; the password is in its environment, where others cannot read it.

    The password of a client certificate's key has no variable, and is not passed on: put it into a service file.
    """

    def __init__(
        self,
        command: Sequence[str],
        connection: BaseDatabaseWrapper | None = None,
        *,
        purpose: str = "",
        options: str = "",
        stdin: int | None = subprocess.DEVNULL,
    ) -> None:
        # What it says is read, in the language that this module knows.
        environment = os.environ | {"LC_ALL": "C"}
        arguments = [*command]
        if connection:
            told = conninfo_to_dict(conninfo_of(connection, purpose))
            environment["PGPASSWORD"] = str(told.pop("password", environment.get("PGPASSWORD", "")))
            told.pop("sslpassword", None)
            told["options"] = f"{told.get('options', '')} {options}".strip()
            if role := connection.settings_dict["OPTIONS"].get("assume_role"):
                arguments.append(f"--role={role}")
            arguments.append(f"--dbname={make_conninfo('', **told)}")
        self.name = Path(command[0]).name
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`
        self.process = subprocess.Popen(
            arguments, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=self._errors
        )

    def finish(self) -> None:
        """Wait for its end. Raises ProgramFailed."""
        if self.process.wait() != 0:
            raise ProgramFailed(f"{self.name}: {self.said()}")

    def said(self) -> str:
        return self.written().strip()[:LONGEST_ERROR] or f"it ended with code {self.process.returncode}"

    def written(self) -> str:
        """On stderr, until now; the program, which may be at work, goes on where it was in the file."""
        file = self._errors.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream:
                # What was not handed on has nobody to read it.
                with suppress(BrokenPipeError):
                    stream.close()


class Restore(Program):
    """pg_restore at work on a database, which its first error ends; `at_once`, in one transaction.

    Where it is of 17 or later and the server is not, the setting that the server does not know is passed over: that is
    the one error which it may have met at its end, and another one ends it as soon as it is told. It would end one
    transaction around all.
    """

    def __init__(
        self,
        program: str,
        connection: BaseDatabaseWrapper,
        *arguments: str,
        purpose: str,
        stdin: int | None = subprocess.DEVNULL,
        at_once: bool = False,
    ) -> None:
        self._passes_over = major_of(connection) < SETTING_SINCE <= (_version_of(program) or 0)
        usual = ["--exit-on-error", *(["--single-transaction"] if at_once else [])]
        ending = [] if self._passes_over else usual
        super().__init__([program, *ending, *arguments], connection, purpose=purpose, stdin=stdin)

    def finish(self) -> None:
        """Wait for its end. Raises ProgramFailed."""
        while self._passes_over and self.process.poll() is None:
            self.require_no_error()
            time.sleep(LOOK_EVERY_SECONDS)
        told = self.written()
        if not (self._passes_over and UNKNOWN_SETTING.match(told) and told.rstrip().endswith(ONE_ERROR)):
            super().finish()

    def require_no_error(self) -> None:
        """Raise ProgramFailed where it has met one and goes on; of the first one it may have told half."""
        if self._passes_over and self.written().count(ERROR) > 1:
            time.sleep(LOOK_EVERY_SECONDS)
            raise ProgramFailed(f"{self.name}: {self.said()}")

    def said(self) -> str:
        return UNKNOWN_SETTING.sub("", super().said())


def pipe(source: IO[bytes], restore: Restore, progress: Callable[[int], None]) -> None:
    """Hand an archive on, so that who reads it ends with this process; `progress` is told bytes. Raises ProgramFailed.

    It returns when all is handed on; what pg_restore does then, `finish` waits for.
    """
    target = restore.process.stdin
    if target is None:
        raise ValueError("pg_restore needs a pipe.")
    handed = 0
    try:
        while piece := source.read(PIECE_BYTES):
            target.write(piece)
            handed += len(piece)
            restore.require_no_error()
            progress(handed)
        target.close()
    except BrokenPipeError:
        # It has said why. Else it wants nothing behind the archive's end, as tar has it.
        restore.finish()
