"""Copies to rehearse on: of a live database, which is only read, of an archive of pg_dump, or of nothing.

Large objects are left out of what is copied of a live database: no table holds them, and no migration of Django's
reads one. An archive brings those that it has.
"""

import json
import re
import secrets
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.db import DatabaseError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_guard.applied import WHERE, Say
from migration_guard.connections import execute, major_of, rows
from migration_guard.databases import DATABASES, alone, connection_to, create, drop, prefix_of, take_settings
from migration_guard.programs import WITHOUT, Program, ProgramFailed, Restore, client_program, pipe
from migration_guard.rehearsal.disk import CouldNotCopy, require_space
from migration_guard.rehearsal.relations import IS_OF_USERS, NAME
from migration_guard.rehearsal.results import Source, TableRows
from migration_guard.rehearsal.sampling import Sample
from migration_guard.rehearsal.watching import InTheWay, Unwatched, not_in_the_way

COPY = "copy_"
# What Django and the guard have recorded: the plan depends on it, and it is small.
RECORDS = ("django_migrations", "migration_guard_run")
READ_ONLY = "-c default_transaction_read_only=on"
# The watcher ends it sooner, and says who held the lock; this one holds when the watcher is killed.
LOCK_WAIT = "--lock-wait-timeout=5000"
DUMP = ("--format=custom", "--compress=0", "--no-blobs")
TRIES = 5
PAUSE_SECONDS = 1.0
LOCALE = """
    SELECT to_json(pg_database)::text, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()
"""
# How many rows the statistics tell, of tables whose partitions are no tables of their own here.
ESTIMATES = f"""
    SELECT {NAME} AS title, greatest(reltuples, 0)::bigint FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND {IS_OF_USERS}
    ORDER BY title
"""  # noqa: S608  # constants
# What pg_dump will write, more or less, as VACUUM and ANALYZE have seen it: to measure a table takes a lock.
TO_COPY = """
    SELECT coalesce(sum(relpages), 0) * current_setting('block_size')::bigint
    FROM pg_class WHERE relkind IN ('r', 't') AND oid >= 16384
"""
KEEP_SESSION = "SET idle_session_timeout = 0"
ONLY_READS = "SELECT current_setting('default_transaction_read_only') = 'on'"
SIZE = "SELECT pg_database_size(current_database())"
VERSION = "SHOW server_version"
LOCALE_BYTES = SQL("LC_COLLATE 'C' LC_CTYPE 'C'")
UNKNOWN_LOCALE = (
    errors.InvalidParameterValue,
    errors.WrongObjectType,
    errors.FeatureNotSupported,
    errors.InvalidObjectDefinition,
    errors.SyntaxError,
)
PROVIDERS_SINCE = 15
CREATE_SCHEMA = SQL("CREATE SCHEMA IF NOT EXISTS {schema}")
# What pg_dump writes last: into a tar, and behind the rows of a table in a folder, as COPY or as INSERT.
LAST_IN_TAR = "restore.sql"
ROWS_END = (b"\\.\n\n\n", b";\n\n\n")
NO_ROWS = b"\n\n"
IS_GONE = "server closed the connection"
HINTS = {
    "permission denied to create extension": "A superuser can install the extension in the database template1, or "
    "rehearse as one.",
    "No space left on device": "The disk of the server that holds the copy is full. Free some of it, or rehearse on "
    "less (--sample PERCENT, --schema-only) or on another server (--database ALIAS).",
}


@dataclass(frozen=True)
class From:
    """What is to be copied: the live database, unless something else is said."""

    dump: Path | None = None
    # The part of its rows, over 0 and up to 100.
    percent: float | None = None
    schema_only: bool = False
    # An empty database, for all migrations from the first on.
    history: bool = False

    @property
    def kind(self) -> str:
        if self.dump:
            return "dump"
        if self.history:
            return "history"
        if self.schema_only:
            return "schema"
        return "live" if self.percent is None else "sample"


@dataclass
class Copy:
    """A database of its own, and a connection that stands in for the alias of the live one."""

    connection: BaseDatabaseWrapper
    source: Source


@contextmanager
def copy_of(
    live: BaseDatabaseWrapper, holder: BaseDatabaseWrapper, chosen: From, *, say: Say, progress: Say
) -> Iterator[Copy]:
    """Make the copy on the server of `holder`, and drop it at the end; what a killed run has left goes first.

    The live database is read in a transaction that writes nothing; no lock of it is waited for longer than a second,
    and where a session of it waits for the copying, the copying gives way. Raises CouldNotCopy and MayNotCreate.
    """
    _check(chosen)
    ((database, schema, search_path, _),) = rows(live, WHERE)
    prefix = f"{prefix_of(database)}{COPY}"
    # It waits for hours, maybe, while others work.
    execute(holder, KEEP_SESSION)
    with alone(holder, "rehearsal", say, of=database):
        for name, is_own in rows(holder, DATABASES):
            if is_own and name.startswith(prefix):
                drop(holder, name)
        name = f"{prefix}{secrets.token_hex(4)}"
        connection = connection_to(name, holder, live.alias, search_path=search_path, purpose="rehearsal")
        source = Source(chosen.kind, _name(chosen, database), rows(live, VERSION)[0][0], percent=chosen.percent)
        copying = _Copying(live, holder, connection, source, chosen, say, progress)
        try:
            copying.create(name, database)
            if chosen.history:
                execute(connection, CREATE_SCHEMA.format(schema=Identifier(schema)))
            else:
                copying.fill()
            yield Copy(connection, source)
        finally:
            connection.close()
            _drop(holder, name, say)


def _drop(holder: BaseDatabaseWrapper, name: str, say: Say) -> None:
    """A server that is gone keeps its copy, and what ended it is told by others."""
    try:
        drop(holder, name)
    except OperationalError as error:
        say(f"The copy {name} is still there, and goes with the next rehearsal: {error}")


def _check(chosen: From) -> None:
    if chosen.percent is not None and not 0 < chosen.percent <= 100:
        raise CouldNotCopy(f"--sample {chosen.percent:g}: give a part of the rows, over 0 and up to 100 percent.")
    if chosen.dump and not chosen.dump.exists():
        raise CouldNotCopy(f"There is no file {chosen.dump}.")


def _name(chosen: From, database: str) -> str:
    return chosen.dump.name if chosen.dump else database


class _Copying:
    """The making of one copy."""

    def __init__(
        self,
        live: BaseDatabaseWrapper,
        holder: BaseDatabaseWrapper,
        copy: BaseDatabaseWrapper,
        source: Source,
        chosen: From,
        say: Say,
        progress: Say,
    ) -> None:
        self.live = live
        self.holder = holder
        self.copy = copy
        self.source = source
        self.chosen = chosen
        self.say = say
        self.progress = progress
        self.require_sight: Callable[[], None] = lambda: None
        self.purpose = f"copy {secrets.token_hex(4)}"

    def create(self, name: str, database: str) -> None:
        text = f"A copy of {database} for manage.py rehearse, which drops it at its end."
        encoding, locale = self._locale()
        notes = []
        drop(self.holder, name)
        try:
            create(self.holder, name, text, SQL("{} {}").format(encoding, locale))
        except DatabaseError as error:
            if not isinstance(error.__cause__, UNKNOWN_LOCALE):
                raise
            notes.append(f"The server of the copy does not know the locale of {database}: the copy sorts by bytes.")
            create(self.holder, name, text, SQL("{} {}").format(encoding, LOCALE_BYTES))
        if rows(self.live, ONLY_READS) == [(True,)]:
            told = "the copy can be written; there, migrate fails"
            notes.append(f"Sessions of {database} only read (default_transaction_read_only): {told}.")
        notes += take_settings(self.live, self.holder, name)
        # It may be made more than once.
        self.source.notes += [note for note in notes if note not in self.source.notes]

    def _locale(self) -> tuple[Composable, Composable]:
        ((text, encoding),) = rows(self.live, LOCALE)
        facts = json.loads(text)
        libc = SQL("LC_COLLATE {} LC_CTYPE {}").format(Literal(facts["datcollate"]), Literal(facts["datctype"]))
        parts: list[Composable] = [libc]
        locale = Literal(facts.get("datlocale") or facts.get("daticulocale"))
        match facts.get("datlocprovider"):
            case "i":
                parts.append(SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(locale))
                if rules := facts.get("daticurules"):
                    parts.append(SQL("ICU_RULES {}").format(Literal(rules)))
            case "b":
                parts.append(SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(locale))
            case "c" if major_of(self.holder) >= PROVIDERS_SINCE:
                parts.append(SQL("LOCALE_PROVIDER libc"))
        return SQL("ENCODING {}").format(Literal(encoding)), SQL(" ").join(parts)

    def fill(self) -> None:
        began = time.monotonic()
        try:
            if self.chosen.dump:
                self._restore(self.chosen.dump)
            else:
                self._copy_gently()
        except (ProgramFailed, DatabaseError, Unwatched) as failed:
            raise CouldNotCopy(_told(str(failed))) from failed
        self.progress("Reading statistics of the copy")
        # What was set in the session for the copying ends with it.
        self.copy.close()
        execute(self.copy, "ANALYZE")
        self.source.copied_bytes = int(rows(self.copy, SIZE)[0][0])
        self.source.copy_seconds = time.monotonic() - began
        if not self.source.tables:
            self.source.tables = [TableRows(table, count, count) for table, count in rows(self.copy, ESTIMATES)]

    def _copy_gently(self) -> None:
        """Give way to a session that waits for the copying, and try again."""
        if not self.chosen.schema_only:
            self.source.notes += require_space(self.live, self.copy, self.chosen.percent)
        name = self.copy.settings_dict["NAME"]
        for attempt in range(1, TRIES + 1):
            try:
                with not_in_the_way(self.live, self.purpose) as self.require_sight:
                    self._copy()
            except (InTheWay, ProgramFailed, DatabaseError) as error:
                if attempt == TRIES or not _is_about_locks(error):
                    raise _gave_up(error) from error
                self.say(f"Trying again, after a pause: {error}")
            else:
                return
            time.sleep(PAUSE_SECONDS)
            self.copy.close()
            self.create(name, self.source.name)

    def _copy(self) -> None:
        if self.chosen.percent is None and not self.chosen.schema_only:
            self._pipe()
            return
        with closing(Sample(self.live, self.copy, self.purpose, self.progress, self.require_sight)) as sample:
            snapshot = f"--snapshot={sample.snapshot}"
            if self.chosen.percent is None:
                self._pipe("--schema-only", snapshot)
                sample.take_whole(RECORDS)
            else:
                self._pipe("--section=pre-data", snapshot)
                self.source.tables = sample.take(self.chosen.percent)
                self._pipe("--section=post-data", snapshot)

    def _pipe(self, *options: str) -> None:
        dump_program = client_program("pg_dump", server_major=major_of(self.live))
        command = [dump_program, *DUMP, LOCK_WAIT, *WITHOUT, *options]
        dump = Program(command, self.live, purpose=self.purpose, options=READ_ONLY)
        try:
            if dump.process.stdout is None:
                raise ValueError("pg_dump needs a pipe.")
            total = "" if options else f"{rows(self.live, TO_COPY)[0][0] / 1e6:,.0f} MB"
            program = str(Path(dump_program).with_name("pg_restore"))
            self._restore_from(program, dump.process.stdout, total, dump)
        finally:
            dump.end()

    def _restore_from(self, program: str, archive: IO[bytes], total: str, dump: Program | None = None) -> None:
        restore = Restore(program, self.copy, *WITHOUT, purpose="rehearsal", stdin=subprocess.PIPE)
        try:
            pipe(archive, restore, lambda handed: self._tell(handed, total))
            # An archive that ends early says less than the program that broke off.
            if dump:
                dump.finish()
            self.progress(f"Copying {self.source.name}: indexes and constraints")
            restore.finish()
        finally:
            restore.end()

    def _tell(self, handed: int, total: str) -> None:
        self.require_sight()
        self.progress(f"Copying {self.source.name}: {handed / 1e6:,.0f} MB{total and ' of about '}{total}")

    def _restore(self, path: Path) -> None:
        program = client_program("pg_restore")
        contents = _contents(program, path)
        _require_whole(path, contents)
        match = re.search(r"Dumped from database version: (\S+)", contents)
        self.source.server_version = match[1] if match else "unknown"
        size = sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size
        is_compressed = not re.search(r"Compression: (none|0)\b", contents)
        self.source.notes += require_space(None, self.copy, size_bytes=size, is_compressed=is_compressed)
        self.progress(f"Restoring {path.name}")
        if path.is_dir():
            self._restore_folder(program, path)
            return
        with path.open("rb") as archive:
            self._restore_from(program, archive, f"{size / 1e6:,.0f} MB")

    def _restore_folder(self, program: str, path: Path) -> None:
        """Of its many files only pg_restore knows the order, so that it reads on when this process is killed."""
        restore = Restore(program, self.copy, *WITHOUT, str(path), purpose="rehearsal")
        try:
            restore.finish()
        finally:
            restore.end()


def _contents(program: str, path: Path) -> str:
    listed = Program([program, "--list", str(path)])
    try:
        contents = listed.process.stdout.read().decode(errors="replace") if listed.process.stdout else ""
        listed.finish()
    except ProgramFailed as failed:
        raise CouldNotCopy(
            f"{path} is no archive that pg_restore can read: {failed}\nA script of SQL is not taken, because psql "
            "would obey all that is in it. This makes an archive: pg_dump --format=custom --file=FILE DATABASE"
        ) from failed
    finally:
        listed.end()
    return contents


def _require_whole(path: Path, contents: str) -> None:
    """Of rows that are not compressed, pg_restore takes the ones before the break for all, and says nothing."""
    broken = path
    if "Format: TAR" in contents:
        is_whole = _is_whole_tar(path)
    else:
        cut = [file for file in sorted(path.glob("[0-9]*.dat")) if not _is_whole_file(file)]
        is_whole, broken = not cut, next(iter(cut), path)
    if not is_whole:
        raise CouldNotCopy(
            f"{broken} breaks off before its end: rows are missing in it, and a rehearsal would be without them. "
            "Nothing was copied. Fetch the archive again, or dump the database again."
        )


def _is_whole_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:") as archive:
            return archive.getnames()[-1:] == [LAST_IN_TAR]
    except tarfile.TarError:
        return False


def _is_whole_file(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - max(map(len, ROWS_END)), 0))
        end = file.read()
    return end == NO_ROWS or end.endswith(ROWS_END)


def _is_about_locks(error: Exception) -> bool:
    return isinstance(error, InTheWay) or "LOCK TABLE" in str(error) or "lock timeout" in str(error)


def _gave_up(error: Exception) -> Exception:
    if not _is_about_locks(error):
        return error
    return CouldNotCopy(
        f"The database could not be copied in {TRIES} tries without waiting for others or keeping them waiting: "
        f"{error}\nTry again when nobody changes its schema, or rehearse on a dump: rehearse --from DUMP"
    )


def _told(failed: str) -> str:
    """With what to do about it; a server that is gone has not dropped its copy."""
    if IS_GONE in failed:
        return (
            f"{failed}\nThe server's log says why, as where its disk is full: mend that first. The source is as it was."
        )
    hints = [hint for pattern, hint in HINTS.items() if re.search(pattern, failed)]
    return "\n".join([failed, *hints, "The copy is dropped again; the source is as it was."])
