"""Rows in a file: written by COPY, compressed, and read back into a table."""

import gzip
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed

from migration_guard.restoring.points import KeptFile, NoRestorePoint, digest_of

COPY_OUT = SQL("COPY ({query}) TO STDOUT")
COPY_IN = SQL("COPY {table} ({columns}) FROM STDIN")
# The first level is four times as fast as the usual one, and its files are an eighth larger.
LEVEL = 1
PIECE_BYTES = 1 << 20


def write_rows(session: Connection[Any], query: Composable, path: Path) -> KeptFile:
    """What the query gives, in COPY's text form. Raises NoRestorePoint where it cannot be written."""
    try:
        with (
            _private(path) as raw,
            _Digesting(raw) as digesting,
            gzip.GzipFile(fileobj=digesting, mode="wb", compresslevel=LEVEL, mtime=0) as file,
        ):
            count = _copy(session, COPY_OUT.format(query=query), file)
        return KeptFile(path.name, count, digesting.bytes, digesting.sha256)
    except OSError as error:
        raise NoRestorePoint.unwritten(error, path.parent) from error


def _copy(session: Connection[Any], statement: Composed, file: gzip.GzipFile) -> int:
    """A row comes at a time: they are handed on in pieces, each of which is compressed at once."""
    with session.cursor() as cursor:
        with cursor.copy(statement) as copy:
            piece = bytearray()
            for row in copy:
                piece += row
                if len(piece) >= PIECE_BYTES:
                    file.write(piece)
                    piece.clear()
            file.write(piece)
        return cursor.rowcount


def read_rows(session: Connection[Any], path: Path, table: Composable, columns: Composable) -> int:
    """Write the file's rows into the table; their number."""
    with session.cursor() as cursor:
        with gzip.open(path) as file, cursor.copy(COPY_IN.format(table=table, columns=columns)) as copy:
            while piece := file.read(PIECE_BYTES):
                copy.write(piece)
        return cursor.rowcount


def as_kept(path: Path, rows: int) -> KeptFile:
    """A file that a program has written."""
    return KeptFile(path.name, rows, path.stat().st_size, digest_of(path))


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """For the eyes of this user; one that an earlier try has written begins anew."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


class _Digesting:
    """Writes on, and keeps the number of bytes and their hash."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def __enter__(self) -> "_Digesting":
        return self

    def __exit__(self, *_: object) -> None:
        self._target.flush()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.bytes += len(data)
        return self._target.write(data)

    def flush(self) -> None:
        self._target.flush()
