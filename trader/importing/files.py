"""Taking a file in: whole or not at all, and nothing of it twice."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from io import SEEK_END
from itertools import compress, count, islice
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID

from django.db import DataError, IntegrityError, connection, transaction

from trader.booking.holding import LotsExceeded, Oversold
from trader.booking.numbers import plain
from trader.importing import generic
from trader.importing.activities import Cancellation, Correction, Read, Row
from trader.importing.copying import refused_by_database
from trader.importing.listings import Currencies, Listings
from trader.importing.placing import Placed, Placing
from trader.importing.problems import FileRefused, Problem, Problems, Refusal
from trader.importing.survey import Survey
from trader.importing.writing import ROWS_AT_ONCE, Changes, Writer
from trader.models import Account, Execution, ImportBatch
from trader.operations.positions import project, project_instrument
from trader.operations.rates import Rates
from trader.operations.retrying import in_one_transaction

FORMATS: dict[str, Read] = {"generic": generic.read}
# An autovacuum that looks at a table meanwhile counts none of this transaction's rows; the planner would then read
# whole indexes for each of them. A few rows are not worth the reading, nor that imports wait for each other.
ANALYZE = "ANALYZE trader_execution (account_id, instrument_id, exec_ref_id), trader_executionfee (execution_id)"

# Of a file that has no more, what was read stays in memory; any other is read again for each thing that is done.
KEPT_ROWS, KEPT_BYTES = 20_000, 2**22

# Told what is being done, and how many rows have been.
Watch = Callable[[str, int], None]


class Outcome(NamedTuple):
    """How many rows were read, came into the book, and said what it held; with problems, none came."""

    rows: int
    imported: int
    skipped: int
    problems: Problems

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        errors = [problem._asdict() for problem in self.problems.kept]
        return {"rows": self.rows, "imported": self.imported, "skipped": self.skipped, "errors": errors}


def import_file(
    source: BinaryIO,
    *,
    account: Account,
    file_format: str,
    file_name: str,
    actor: str,
    now: datetime,
    dry_run: bool = False,
    watch: Watch = lambda _doing, _rows: None,
) -> Outcome:
    """Take the activities of a file into the account; a dry run does all of it and keeps nothing.

    One transaction, in which imports into an account take turns. A large file is read more than once, from a copy that
    nobody writes to: what is in memory grows little with what it holds.
    """
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(source, file)
        file.seek(0)
        batch = ImportBatch(
            account=account,
            source=file_format,
            file_name=file_name,
            sha256=hashlib.file_digest(file, "sha256").hexdigest(),
            actor=actor,
            imported_at=now,
        )
        intake = Intake(file, batch, watch)
        try:
            return _take_in(intake, dry_run=dry_run)
        except FileRefused as refusal:
            if refusal.problem:
                intake.problems.add(refusal.problem)
            return Outcome(intake.rows, 0, 0, intake.problems)


@in_one_transaction
def _take_in(intake: "Intake", *, dry_run: bool) -> Outcome:
    outcome = intake.run()
    if dry_run or not outcome.imported:
        transaction.set_rollback(True)
    return outcome


class Intake:
    """One file on its way in; `run` may be run again in another transaction."""

    def __init__(self, file: BinaryIO, batch: ImportBatch, watch: Watch) -> None:
        self.rows = 0
        self.problems = Problems()
        self._file = file
        self._is_small = file.seek(0, SEEK_END) <= KEPT_BYTES
        self._kept: list[tuple[Row, Placed]] = []
        self._batch = batch
        self._format = FORMATS[batch.source]
        self._watch = watch

    def run(self) -> Outcome:
        """Raises FileRefused."""
        self.problems = Problems()
        self._account = (
            Account.objects.select_for_update(of=("self",), no_key=True)
            .select_related("base_currency")
            .get(pk=self._batch.account_id)
        )
        self._currencies = Currencies()
        self._placing = Placing(self._account, self._currencies, Listings(self._currencies), Rates())
        survey = self._survey()
        new = survey.new
        if not new:
            return Outcome(self.rows, 0, self.rows, self.problems)
        changes = self._write(survey)
        # What they keep of each row would lie beside the lots.
        del survey
        self._kept.clear()
        if new >= ROWS_AT_ONCE:
            with connection.cursor() as cursor:
                cursor.execute(ANALYZE)
        self._project(changes)
        imported = new - changes.known
        return Outcome(self.rows, imported, self.rows - imported, self.problems)

    def _survey(self) -> Survey:
        survey = Survey(self._account, self._batch.source, self.problems)
        self.rows = 0
        self._kept.clear()
        for row in self._read("Reading"):
            self.rows += 1
            if row is None:
                continue
            try:
                placed = self._placing.place(row.activity)
            except Refusal as refusal:
                self.problems.add(refusal.on(row.line))
                continue
            survey.take(row, placed.transact_time)
            if self._is_small and self.rows <= KEPT_ROWS:
                self._kept.append((row, placed))
        survey.finish()
        self._stop_at_problems()
        return survey

    def _write(self, survey: Survey) -> Changes:
        self._batch.account = self._account
        self._batch.save(force_insert=True)
        writer = Writer(self._batch, survey, self._currencies, self.problems)
        for position, row, placed in self._rows_at("Writing", compress(count(), survey.is_new)):
            try:
                writer.write(position, row, placed)
            except Refusal as refusal:
                self.problems.add(refusal.on(row.line))
        self._stop_at_problems()
        for position, row, placed in self._amending(survey):
            if isinstance(row.activity, Correction | Cancellation):
                writer.amend(position, row, row.activity, placed)
        return writer.finish()

    def _amending(self, survey: Survey) -> Iterator[tuple[int, Row, Placed]]:
        """The rows that restate trades or take them back, in the order in which that was done."""
        if not survey.descends:
            yield from self._rows_at("Correcting", survey.amending)
            return
        for end in range(len(survey.amending), 0, -KEPT_ROWS):
            positions = survey.amending[max(end - KEPT_ROWS, 0) : end]
            yield from reversed(list(self._rows_at("Correcting", positions)))

    def _project(self, changes: Changes) -> None:
        try:
            self._watch("Counting positions", 0)
            # What would be asked at COMMIT, when nobody is left to report it.
            connection.check_constraints()
            project(self._account, changes.traded)
            for split in changes.splits:
                project_instrument(split.instrument, since=split.ex_date)
        except (Oversold, LotsExceeded) as error:
            raise FileRefused(self._not_held(error)) from error
        except (IntegrityError, DataError) as error:
            raise FileRefused(refused_by_database(error)) from error
        except ArithmeticError as error:
            raise FileRefused(Problem(None, "", "", "quantities and amounts that the book has room for")) from error

    def _not_held(self, error: Oversold | LotsExceeded) -> Problem:
        """On the line of the trade's last report, where that came with this file."""
        reports = Execution.objects.filter(trade=UUID(error.trade)).select_related(
            "account", "instrument", "import_row"
        )
        last = reports.latest("recorded_at", "pk")
        held = f"no more than {last.account} holds of {last.instrument} on {last.trade_date}: {error}"
        if last.import_row and last.import_row.batch_id == self._batch.pk:
            return Problem(last.import_row.row_number, "quantity", plain(last.last_qty), held)
        return Problem(None, "", last.exec_id, held)

    def _stop_at_problems(self) -> None:
        if self.problems:
            raise FileRefused

    def _rows_at(self, doing: str, positions: Iterable[int]) -> Iterator[tuple[int, Row, Placed]]:
        """The rows at these positions, which ascend."""
        rows, passed = self._sound_rows(doing), 0
        for position in positions:
            yield position, *next(islice(rows, position - passed, None))
            passed = position + 1

    def _sound_rows(self, doing: str) -> Iterator[tuple[Row, Placed]]:
        """The rows of a file that was surveyed and has no problems, again."""
        if len(self._kept) == self.rows:
            for position, kept in enumerate(self._kept):
                self._watch(doing, position)
                yield kept
            return
        for row in self._read(doing):
            if row:
                yield row, self._placing.place(row.activity)

    def _read(self, doing: str) -> Iterator[Row | None]:
        self._file.seek(0)
        for position, row in enumerate(self._format(self._file, self.problems)):
            self._watch(doing, position)
            yield row
