"""Files of price bars on the shortest way into the book.

A file in the plain form goes to PostgreSQL as it is, whose own rules judge it. What they refuse, and any other file, is
read cell by cell, so that every line is named.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import SEEK_END
from itertools import islice
from typing import BinaryIO

import psycopg
from django.db import DataError, IntegrityError, connection, transaction

from trader.importing.bar_rows import COLUMNS, DAILY, LAYOUT, Bar, Series, read_bars
from trader.importing.copying import refused_by_database
from trader.importing.files import Outcome
from trader.importing.plain_bars import NotPlain, copy_in, plain_header, plain_pieces
from trader.importing.problems import FileRefused, Problems
from trader.importing.staged_bars import Staging
from trader.operations.retrying import in_one_transaction

# Imports of one instrument's bars take turns, so that what one finds in the book stays as it is.
TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('trader_pricebar', %s))"
CONSTANTS = ("instrument_id", "timeframe", "source", "split_adjusted")
REFUSALS = (NotPlain, FileRefused, IntegrityError, DataError)
BARS_AT_ONCE = 1_000

# Told what is being done, how many rows have been, and what part of the file that is.
Watch = Callable[[str, int, float], None]


def import_bars(
    source: BinaryIO, *, series: Series, dry_run: bool = False, watch: Watch = lambda _doing, _rows, _part: None
) -> Outcome:
    """Enter the bars that the book does not have of the series yet, all of the file or nothing; a dry run does all of
    it and keeps nothing. A time without an offset is one of UTC."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(source, file)
        intake = Intake(file, series, watch)
        try:
            return _take_in(intake, dry_run=dry_run)
        except FileRefused:
            intake.problems.kept.sort(key=lambda problem: problem.line or 0)
            return Outcome(intake.rows, 0, 0, intake.problems)


@in_one_transaction
def _take_in(intake: "Intake", *, dry_run: bool) -> Outcome:
    outcome = intake.run()
    if dry_run:
        transaction.set_rollback(True)
    return outcome


class Intake:
    """One file on its way in; `run` may be run again in another transaction."""

    def __init__(self, file: BinaryIO, series: Series, watch: Watch) -> None:
        self.rows = 0
        self.problems = Problems()
        self._file = file
        self._size = file.seek(0, SEEK_END)
        self._series = series
        self._watch = watch

    def run(self) -> Outcome:
        """Raises FileRefused."""
        with connection.cursor() as cursor:
            cursor.execute(TAKE_TURNS, [self._series.instrument.pk])
        try:
            with transaction.atomic():
                return self._take_straight()
        except REFUSALS as refusal:
            has_known_bars = isinstance(refusal.__cause__, psycopg.errors.UniqueViolation)
        if has_known_bars:
            with suppress(*REFUSALS), transaction.atomic():
                return self._take_beside_known()
        return self._take_cell_by_cell()

    def _take_straight(self) -> Outcome:
        """A bar that the book has is refused, whatever it holds."""
        columns = self._plain_columns()
        before = _constants(self._series)
        behind = b"\n" + before
        statement = f"COPY trader_pricebar ({', '.join([*CONSTANTS, *columns])}) FROM STDIN (FORMAT csv)"
        pieces = self._plain_pieces(columns)
        copy_in(statement, (before + piece[:-1].replace(b"\n", behind) + b"\n" for piece in pieces))
        return self._finish(self.rows)

    def _take_beside_known(self) -> Outcome:
        columns = self._plain_columns()
        return self._take_staged(self._plain_pieces(columns), columns)

    def _take_cell_by_cell(self) -> Outcome:
        self._rewind()
        try:
            return self._take_staged(self._read_pieces(), ["line", *COLUMNS])
        except (IntegrityError, DataError) as error:
            self.problems.add(refused_by_database(error))
            raise FileRefused from error

    def _take_staged(self, pieces: Iterator[bytes], columns: Sequence[str]) -> Outcome:
        staging = Staging(self._series, self.problems)
        staging.fill(pieces, columns)
        self._watch("Comparing with the book", self.rows, 1)
        staging.judge()
        if self.problems:
            raise FileRefused
        return self._finish(staging.insert())

    def _finish(self, written: int) -> Outcome:
        # What would be asked at COMMIT, when nobody is left to report it.
        self._watch("Checking", self.rows, 1)
        connection.check_constraints()
        return Outcome(self.rows, written, self.rows - written, self.problems)

    def _rewind(self) -> None:
        self._file.seek(0)
        self.rows, self.problems = 0, Problems()

    def _plain_columns(self) -> list[str]:
        self._rewind()
        return plain_header(self._file, LAYOUT)

    def _plain_pieces(self, columns: Sequence[str]) -> Iterator[bytes]:
        for piece in plain_pieces(self._file, columns, is_daily=self._series.timeframe == DAILY):
            self.rows += piece.count(b"\n")
            self._watch("Copying", self.rows, self._file.tell() / self._size)
            yield piece

    def _read_pieces(self) -> Iterator[bytes]:
        """The bars that can be read, each with its line."""
        bars = read_bars(self._file, self.problems, timeframe=self._series.timeframe)
        while some := list(islice(bars, BARS_AT_ONCE)):
            self.rows += len(some)
            self._watch("Reading", self.rows, self._file.tell() / self._size)
            yield "".join(map(_csv, filter(None, some))).encode()


def _constants(series: Series) -> bytes:
    """What stands before each line."""
    source = series.source.replace('"', '""')
    return f'{series.instrument.pk},"{series.timeframe}","{source}",{series.split_adjusted},'.encode()


def _csv(bar: Bar) -> str:
    *values, volume = bar
    return f"{','.join(map(str, values))},{'' if volume is None else volume}\n"
