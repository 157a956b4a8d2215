"""Rows in a file: written by COPY, compressed, and read back into a table."""

import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed

from migration_guard.restoring.points import KeptFile, NoRestorePoint

COPY_OUT = SQL("COPY ({query}) TO STDOUT")
COPY_IN = SQL("COPY {table} ({columns}) FROM STDIN")
# A text that says the same to every session, and no policy that hides rows from this one: COPY is refused instead.
PLAIN = {"datestyle": "ISO", "intervalstyle": "postgres", "extra_float_digits": "3", "row_security": "off"}
SETTING = "SELECT current_setting(%s)"
SET = "SELECT set_config(%s, %s, false)"
# The first level is four times as fast as the usual one, and its files are an eighth larger.
LEVEL = 1
PIECE_BYTES = 1 << 20


def write_rows(session: Connection[Any], query: Composable, path: Path) -> KeptFile:
    """What the query gives, in COPY's text form. Raises NoRestorePoint where it cannot be written."""
    with (
        plainly(session),
        Digesting.at(path) as digesting,
        gzip.GzipFile(fileobj=digesting, mode="wb", compresslevel=LEVEL, mtime=0) as file,
    ):
        count = _copy(session, COPY_OUT.format(query=query), file)
    return digesting.as_kept(count)


def _copy(session: Connection[Any], statement: Composed, file: gzip.GzipFile) -> int:
    with session.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for piece in in_pieces(copy):
                file.write(piece)
        return cursor.rowcount


def in_pieces(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """They come one at a time: many are compressed, or sent, at once."""
    piece = bytearray()
    for row in rows:
        piece += row
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def read_rows(session: Connection[Any], path: Path, table: Composable, columns: Composable) -> int:
    """Write the file's rows into the table; their number."""
    with plainly(session), session.cursor() as cursor:
        with gzip.open(path) as file, cursor.copy(COPY_IN.format(table=table, columns=columns)) as copy:
            while piece := file.read(PIECE_BYTES):
                copy.write(piece)
        return cursor.rowcount


def encoding_of(session: Connection[Any]) -> str:
    """That of what is kept: UTF8, or none at all where the database has none either."""
    has_none = session.info.parameter_status("server_encoding") == "SQL_ASCII"
    return "SQL_ASCII" if has_none else "UTF8"


@contextmanager
def plainly(session: Connection[Any], *, encoded: bool = True) -> Iterator[None]:
    """Let the session read and write values as every other does; what fails in a transaction takes that back."""
    plain = PLAIN | ({"client_encoding": encoding_of(session)} if encoded else {})
    usual = {name: session.execute(SETTING, [name]).fetchall()[0][0] for name in plain}
    _set(session, plain)
    yield
    _set(session, usual)


def _set(session: Connection[Any], settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        # A session without an encoding gives its texts as bytes.
        session.execute(SET, [name, value.decode() if isinstance(value, bytes) else value])


class Digesting:
    """A new file; counts the bytes that are written to it, and keeps their hash."""

    def __init__(self, path: Path, target: IO[bytes]) -> None:
        self._path = path
        self._target = target
        self._hash = hashlib.sha256()
        self._bytes = 0

    @classmethod
    @contextmanager
    def at(cls, path: Path) -> Iterator["Digesting"]:
        """For the eyes of this user; one that an earlier try has written begins anew. Raises NoRestorePoint."""
        try:
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                yield cls(path, target)
        except OSError as error:
            raise NoRestorePoint.unwritten(error, path.parent) from error

    def as_kept(self, rows: int) -> KeptFile:
        return KeptFile(self._path.name, rows, self._bytes, self._hash.hexdigest())

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self._bytes += len(data)
        return self._target.write(data)

    def flush(self) -> None:
        self._target.flush()
