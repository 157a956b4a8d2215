"""Archives of pg_dump: made in a snapshot, and proven by reading them to their end.

An archive has as many rows of each table as the snapshot, and makes what a script of the same snapshot makes: a byte
that is wrong among the rows is found by their compression, one in a definition by nothing else.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.sql import SQL, Composable

from migration_guard.conf import GuardSettings
from migration_guard.connections import major_of
from migration_guard.programs import NoProgram, Program, ProgramFailed, client_program
from migration_guard.restoring.files import PIECE_BYTES, Digesting, encoding_of, in_pieces, plainly
from migration_guard.restoring.points import KeptFile, NoRestorePoint
from migration_guard.restoring.tables import snapshot

ARCHIVE = ("--format=custom",)
SCRIPT = ("--format=plain", "--no-owner", "--section=pre-data", "--section=post-data")
OPTIONS = ("--strict-names", "--no-publications", "--no-subscriptions")
EXPORT = "SELECT pg_export_snapshot()"
COUNT = SQL("SELECT count(*) FROM ONLY {table}")
# What a script is read by: what each entry is, and where the rows of a table begin and end.
ENTRY = re.compile(rb"-- (?:(?:Data for )?Name: .*; Type: ([A-Z ]+); Schema: .*|PostgreSQL database dump complete)\n")
IDENTIFIER = rb'(?:"(?:[^"]|"")*"|[^\s".()]+)'
COPY_FROM = re.compile(rb"COPY (%b\.%b) \((.+)\) FROM stdin;\n" % (IDENTIFIER, IDENTIFIER))
END = b"\\.\n"
# What psql obeys and a server does not, and settings that would outlast the transaction: names have their schema.
FOR_PSQL = re.compile(rb"\\(?:un)?restrict .*\n|SET \w+ = .*;\n|SELECT pg_catalog\.set_config\('search_path', .*;\n")
# How far a sequence is, and large objects: they are among the rows.
DATA = {"SEQUENCE SET", "BLOB", "BLOBS", "BLOB METADATA"}


class RowsOf(NamedTuple):
    """What stands between COPY and its end: names are quoted, and the rows are to be read before the next block."""

    table: str
    columns: str
    rows: Iterator[bytes]


class Statements(NamedTuple):
    """One entry of an archive, as "TABLE" or "FK CONSTRAINT"."""

    type: str
    text: bytes


def dump(connection: BaseDatabaseWrapper, path: Path, tables: Sequence[str], *, of_all: bool = False) -> KeptFile:
    """An archive of these tables, or with `of_all` of everything, as it is committed now.

    Names are quoted, with their schema. Raises NoRestorePoint for one that is not whole.
    """
    with snapshot(connection) as session:
        ((name,),) = session.execute(EXPORT).fetchall()
        counts = {table: session.execute(COUNT.format(table=SQL(table))).fetchall()[0][0] for table in tables}
        named = () if of_all else map("--table={}".format, tables)
        options = [*OPTIONS, f"--snapshot={name}", f"--encoding={encoding_of(session)}", *named]
        try:
            with Digesting.at(path) as digesting, _pg_dump(connection, [*ARCHIVE, *options]) as archive:
                shutil.copyfileobj(archive, digesting, PIECE_BYTES)
            with _pg_dump(connection, [*SCRIPT, *options]) as script:
                made = _read(_blocks(script)).statements
            found = _read(blocks(path))
        except (NoProgram, ProgramFailed) as error:
            raise NoRestorePoint.because(str(error)) from error
    for table, count in counts.items():
        if found.rows.get(table, 0) != count:
            raise NoRestorePoint.because(
                f"{path.name} has {found.rows.get(table, 0)} rows of {table}, which has {count}; look after pg_dump"
            )
    if found.statements != made:
        raise NoRestorePoint.because(f"{path.name} makes something else than what is there; look after pg_dump")
    return digesting.as_kept(sum(found.rows.values()))


class Content(NamedTuple):
    """How many rows of each table, and what makes the tables."""

    rows: dict[str, int]
    statements: list[bytes]


def _read(found: Iterable[RowsOf | Statements]) -> Content:
    content = Content({}, [])
    for block in found:
        if isinstance(block, RowsOf):
            content.rows[block.table] = sum(1 for _ in block.rows)
        elif block.type and block.type not in DATA:
            content.statements.extend(line for line in block.text.splitlines() if line)
    return content


def blocks(path: Path, *options: str) -> Iterator[RowsOf | Statements]:
    """The archive as pg_restore tells it. Raises ProgramFailed."""
    command = [client_program("pg_restore"), "--file=-", "--no-owner", *options, str(path)]
    with _output_of(Program(command)) as script:
        yield from _blocks(script)


def _pg_dump(connection: BaseDatabaseWrapper, options: Sequence[str]) -> AbstractContextManager[IO[bytes]]:
    wait = f"--lock-wait-timeout={round(GuardSettings.load().LOCK_TIMEOUT * 1000)}"
    command = [client_program("pg_dump", server_major=major_of(connection)), wait, *options]
    return _output_of(Program(command, connection, purpose="restore point"))


@contextmanager
def _output_of(program: Program) -> Iterator[IO[bytes]]:
    """To be read to its end; a program that writes to a pipe ends with this process, however that ends."""
    try:
        if program.process.stdout:
            yield program.process.stdout
        program.finish()
    finally:
        program.end()


def _blocks(lines: Iterable[bytes]) -> Iterator[RowsOf | Statements]:
    """A comment of three lines stands before each entry."""
    lines, type_, text = iter(lines), "", bytearray()
    for line in lines:
        if entry := ENTRY.fullmatch(line):
            yield Statements(type_, bytes(text).removesuffix(b"--\n"))
            type_, text = (entry[1] or b"").decode(), bytearray()
            next(lines, None)
        elif begin := COPY_FROM.fullmatch(line):
            yield RowsOf(begin[1].decode(), begin[2].decode(), takewhile(END.__ne__, lines))
        elif not FOR_PSQL.fullmatch(line):
            text += line


def copy_rows(session: Connection[Any], path: Path, table: Composable) -> None:
    """Write all rows of the archive, of whichever partition, into one table."""
    for block in blocks(path, "--section=data"):
        if isinstance(block, RowsOf):
            copy_in(session, block, table)


def copy_in(session: Connection[Any], block: RowsOf, table: Composable) -> None:
    """Write the rows into a table that has columns of these names."""
    statement = SQL("COPY {} ({}) FROM STDIN").format(table, SQL(block.columns))
    with plainly(session), session.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in in_pieces(block.rows):
            copy.write(piece)
