"""Lines of bars in the plain form, which PostgreSQL reads just as the book does, recognised many at a time.

What it reads otherwise is not of that form: NaN, more places than are kept, 24:00, dates without zeros, quotes, blanks.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import psycopg
from django.db import connection

from trader.importing.reading import Layout

PIECE_BYTES = 2**18
# No quantifier gives back what it took: a piece of lines is matched in one pass, whatever is in it.
DATE = rb"(?:19|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9]"
TIME = rb"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6}+)?+(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])?+"
PRICE = rb"[0-9]{1,16}+(?:\.[0-9]{1,12}+)?+"
VOLUME = rb"(?:[0-9]{1,18}+(?:\.[0-9]{1,18}+)?+)?+"
INSTANT = rb"%b(?:[T ]%b)?+" % (DATE, TIME)
SESSION = rb"%b(?:[T ]00:00:00(?:Z|\+00:00)?+)?+" % DATE


class NotPlain(Exception):
    """Every line is of the plain form; a file of another one is read cell by cell."""


def plain_header(file: BinaryIO, layout: Layout) -> list[str]:
    """The columns of the file, which is then at its second line. Raises NotPlain."""
    names = file.readline(PIECE_BYTES).decode(errors="replace").rstrip("\r\n").split(",")
    if len(set(names)) < len(names) or not set(layout.required) <= set(names) <= set(layout.columns):
        raise NotPlain
    return names


def plain_pieces(file: BinaryIO, columns: Sequence[str], *, is_daily: bool) -> Iterator[bytes]:
    """The rest of the file, in pieces of whole lines. Raises NotPlain."""
    lines = _lines(columns, is_daily=is_daily)
    rest = b""
    while read := file.read(PIECE_BYTES):
        text = rest + read
        end = text.rfind(b"\n") + 1
        if not end or not lines.fullmatch(text, 0, end):
            raise NotPlain
        yield text[:end]
        rest = text[end:]
    if rest:
        if not lines.fullmatch(rest + b"\n"):
            raise NotPlain
        yield rest + b"\n"


def copy_in(statement: str, pieces: Iterable[bytes]) -> None:
    """Hand the pieces to COPY. Raises NotPlain when it has ended, so that what the database refuses comes first."""
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        stopped = _write(copy, pieces)
    if stopped:
        raise stopped


def _write(copy: psycopg.Copy, pieces: Iterable[bytes]) -> NotPlain | None:
    try:
        for piece in pieces:
            copy.write(piece)
    except NotPlain as stopped:
        return stopped
    return None


def _lines(columns: Sequence[str], *, is_daily: bool) -> re.Pattern[bytes]:
    forms = {"ts": SESSION if is_daily else INSTANT, "volume": VOLUME}
    line = b",".join(forms.get(column, PRICE) for column in columns)
    return re.compile(rb"(?:%b\r?\n)*+" % line)
