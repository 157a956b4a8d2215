"""Archives of pg_dump: made in a snapshot, and proven by reading them to their end and counting their rows."""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.sql import SQL, Composable

from migration_guard.conf import GuardSettings
from migration_guard.programs import Program, ProgramFailed, client_program
from migration_guard.restoring.files import as_kept
from migration_guard.restoring.points import KeptFile, NoRestorePoint
from migration_guard.restoring.tables import snapshot

DUMP = ("--format=custom", "--strict-names", "--no-publications", "--no-subscriptions")
EXPORT = "SELECT pg_export_snapshot()"
COUNT = SQL("SELECT count(*) FROM ONLY {table}")
# What a script is read by: where the rows of a table begin and end.
COPY_FROM = re.compile(rb"COPY (.+) \((.+)\) FROM stdin;\n")
END = b"\\.\n"
# What psql obeys and a server does not, and settings that would outlast the transaction: names have their schema.
FOR_PSQL = re.compile(rb"\\(?:un)?restrict .*\n|SET \w+ = .*;\n|SELECT pg_catalog\.set_config\('search_path', .*;\n")
PIECE_BYTES = 1 << 20


def dump(connection: BaseDatabaseWrapper, path: Path, tables: Sequence[str], *, of_all: bool = False) -> KeptFile:
    """An archive of these tables, or with `of_all` of everything, that has as many rows of each as its snapshot.

    Names are quoted, with their schema. Raises NoRestorePoint for one that is not whole.
    """
    with snapshot(connection) as session:
        ((name,),) = session.execute(EXPORT).fetchall()
        counts = {table: session.execute(COUNT.format(table=SQL(table))).fetchall()[0][0] for table in tables}
        options = [
            f"--snapshot={name}",
            f"--file={path}",
            *(() if of_all else map("--table={}".format, tables)),
        ]
        try:
            _run(connection, options)
            path.chmod(0o600)
            found = count_rows(path)
        except (ProgramFailed, OSError) as error:
            raise NoRestorePoint.because(str(error)) from error
    for table, count in counts.items():
        if found.get(table, 0) != count:
            raise NoRestorePoint.because(
                f"{path.name} has {found.get(table, 0)} rows of {table}, which has {count}; look after pg_dump"
            )
    return as_kept(path, sum(found.values()))


def _run(connection: BaseDatabaseWrapper, options: Sequence[str]) -> None:
    major = int(connection.pg_version // 10_000)  # type: ignore[attr-defined]  # of Django's wrapper for PostgreSQL
    wait = f"--lock-wait-timeout={round(GuardSettings.load().LOCK_TIMEOUT * 1000)}"
    command = [client_program("pg_dump", server_major=major), *DUMP, wait, *options]
    program = Program(command, connection, purpose="restore point")
    try:
        program.finish()
    finally:
        program.end()


def count_rows(path: Path) -> dict[str, int]:
    """Read an archive to its end: how many rows it has, by table. Raises ProgramFailed where it cannot be read."""
    found = (block for block in blocks(path) if isinstance(block, RowsOf))
    return {block.table: sum(1 for _ in block.rows) for block in found}


class RowsOf(NamedTuple):
    """What stands between COPY and its end: names are quoted, and the rows are to be read before the next block."""

    table: str
    columns: str
    rows: Iterator[bytes]


def blocks(path: Path, *options: str) -> Iterator[bytes | RowsOf]:
    """The archive as pg_restore tells it: statements, and between them the rows of tables. Raises ProgramFailed."""
    lines = _script(path, *options)
    statements = bytearray()
    for line in lines:
        if begin := COPY_FROM.fullmatch(line):
            yield bytes(statements)
            statements.clear()
            yield RowsOf(begin[1].decode(), begin[2].decode(), takewhile(END.__ne__, lines))
        elif not FOR_PSQL.fullmatch(line):
            statements += line
    yield bytes(statements)


def run(session: Connection[Any], path: Path, *options: str) -> None:
    """Do what the archive says, in the session's transaction. Raises ProgramFailed and psycopg's errors."""
    for block in blocks(path, *options):
        if isinstance(block, RowsOf):
            copy_in(session, block, SQL(block.table))
        elif block.strip():
            session.execute(block)


def copy_in(session: Connection[Any], block: RowsOf, table: Composable) -> None:
    """Write the rows into a table that has columns of these names."""
    statement = SQL("COPY {} ({}) FROM STDIN").format(table, SQL(block.columns))
    with session.cursor() as cursor, cursor.copy(statement) as copy:
        piece = bytearray()
        for row in block.rows:
            piece += row
            if len(piece) >= PIECE_BYTES:
                copy.write(piece)
                piece.clear()
        copy.write(piece)


def _script(path: Path, *options: str) -> Iterator[bytes]:
    program = Program([client_program("pg_restore"), "--file=-", "--no-owner", *options, str(path)])
    try:
        stream: IO[bytes] | None = program.process.stdout
        yield from stream or ()
        program.finish()
    finally:
        program.end()
