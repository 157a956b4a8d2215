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
from zoneinfo import ZoneInfo

from django.db import DataError, IntegrityError, connection, transaction

from trader.booking.holding import LotsExceeded, Oversold
from trader.booking.numbers import plain
from trader.importing import binance, degiro, generic, ibkr
from trader.importing.activities import Cancellation, Correction, Destination, Format, Passed, Row
from trader.importing.copying import refused_by_database
from trader.importing.listings import Currencies, Listings
from trader.importing.placing import Placed, Placing
from trader.importing.preview import Foresight, Preview
from trader.importing.problems import FileRefused, Problem, Problems, Refusal
from trader.importing.survey import Survey
from trader.importing.writing import ROWS_AT_ONCE, Changes, Writer
from trader.models import Account, Execution, ImportBatch
from trader.operations.positions import project, project_instrument
from trader.operations.rates import Rates
from trader.operations.retrying import in_one_transaction

FORMATS: dict[str, Format] = {
    "generic": generic.FORMAT,
    "ibkr": ibkr.FORMAT,
    "degiro": degiro.FORMAT,
    "binance": binance.FORMAT,
}
# An autovacuum that looks at a table meanwhile counts none of this transaction's rows; the planner would then read
# whole indexes for each of them. A few rows are not worth the reading, nor that imports wait for each other.
ANALYZE = "ANALYZE trader_execution (account_id, instrument_id, exec_ref_id), trader_executionfee (execution_id)"

# Of a file that has no more, what was read stays in memory; any other is read again for each thing that is done.
KEPT_ROWS, KEPT_BYTES = 20_000, 2**22

# Told what is being done, and how many rows have been.
Watch = Callable[[str, int], None]


class Outcome(NamedTuple):
    """How many rows were read, came into the book, and did not: those said what it held or, as many as were `passed`,
    nothing that it books. With problems, none came. `batch` is the key of what was kept."""

    rows: int
    imported: int
    skipped: int
    problems: Problems
    passed: int = 0
    preview: Preview | None = None
    batch: int | None = None

    def told(self, verb: str) -> str:
        known = f"{self.skipped - self.passed:,} were known"
        passed = f", {self.passed:,} were passed over" if self.passed else ""
        return f"{verb} {self.imported:,} of {self.rows:,} rows; {known}{passed}."

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
    preview: bool = False,
    watch: Watch = lambda _doing, _rows: None,
) -> Outcome:
    """Take the activities of a file into the account; a dry run does all of it and keeps nothing. A preview says of
    each row what that is.

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
        intake = Intake(file, batch, watch, preview=preview)
        try:
            return _take_in(intake, dry_run=dry_run)
        except FileRefused as refusal:
            if refusal.problem:
                intake.problems.add(refusal.problem)
            return intake.outcome(0, 0)


@in_one_transaction
def _take_in(intake: "Intake", *, dry_run: bool) -> Outcome:
    outcome = intake.run()
    if dry_run or not outcome.imported:
        transaction.set_rollback(True)
        return outcome
    return outcome._replace(batch=intake.batch.pk)


class Intake:
    """One file on its way in; `run` may be run again in another transaction."""

    def __init__(self, file: BinaryIO, batch: ImportBatch, watch: Watch, *, preview: bool) -> None:
        self.rows = self.passed = 0
        self.problems = Problems()
        self._wants_preview = preview
        self._foresight: Foresight | None = None
        self._survey: Survey | None = None
        self._file = file
        self._is_small = file.seek(0, SEEK_END) <= KEPT_BYTES
        self._kept: list[tuple[Row, Placed]] = []
        self.batch = batch
        self._format = FORMATS[batch.source]
        self._watch = watch

    def run(self) -> Outcome:
        """Raises FileRefused."""
        self.problems = Problems(self._format.columns)
        self._foresight = Foresight() if self._wants_preview else None
        self._account = (
            Account.objects.select_for_update(of=("self",), no_key=True)
            .select_related("base_currency")
            .get(pk=self.batch.account_id)
        )
        self._destination = Destination(self._account.base_currency.code, ZoneInfo(self._account.time_zone))
        self._currencies = Currencies()
        self._placing = Placing(self._account, self._currencies, Listings(self._currencies), Rates())
        survey = self._survey = Survey(self._account, self.batch.source, self.problems)
        self._look_through(survey)
        if not survey.new:
            return self.outcome(0, self.rows)
        changes = self._write(survey)
        for position in changes.known:
            survey.is_new[position] = False
        imported = survey.new_rows
        survey.forget()
        # What is kept of each row would lie beside the lots.
        self._kept.clear()
        if imported >= ROWS_AT_ONCE:
            with connection.cursor() as cursor:
                cursor.execute(ANALYZE)
        self._project(changes)
        return self.outcome(imported, self.rows - imported)

    def outcome(self, imported: int, skipped: int) -> Outcome:
        preview = None
        if self._foresight and self._survey:
            preview = self._foresight.told(self._survey, self.problems)
        return Outcome(self.rows, imported, skipped, self.problems, self.passed, preview)

    def _look_through(self, survey: Survey) -> None:
        self.rows = self.passed = 0
        self._kept.clear()
        for found in self._read("Reading"):
            match found:
                case Row():
                    self._take(survey, found)
                case Passed():
                    self._pass(found)
                case None:
                    self._pass(Passed(self.problems.last_line or 0))
        survey.finish()
        self._stop_at_problems()

    def _take(self, survey: Survey, row: Row) -> None:
        self.rows += row.rows
        try:
            placed = self._placing.place(row.activity)
        except Refusal as refusal:
            self.problems.add(refusal.on(row.line))
            if self._foresight:
                self._foresight.refused(row.line, row.rows, row.activity)
            return
        if self._foresight:
            self._foresight.taken(len(survey.lines), row, placed)
        survey.take(row, placed.transact_time)
        if self._is_small and self.rows <= KEPT_ROWS:
            self._kept.append((row, placed))

    def _pass(self, rows: Passed) -> None:
        self.rows += rows.rows
        if rows.why:
            self.passed += rows.rows
        if self._foresight and rows.why:
            self._foresight.passed(rows.line, rows.rows, rows.why)
        elif self._foresight:
            self._foresight.refused(rows.line, rows.rows)

    def _write(self, survey: Survey) -> Changes:
        self.batch.account = self._account
        self.batch.save(force_insert=True)
        writer = Writer(self.batch, survey, self._currencies, self.problems)
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
        if last.import_row and last.import_row.batch_id == self.batch.pk:
            return Problem(last.import_row.row_number, "quantity", plain(last.last_qty), held)
        return Problem(None, "", last.exec_id, held)

    def _stop_at_problems(self) -> None:
        if self.problems:
            raise FileRefused

    def _rows_at(self, doing: str, positions: Iterable[int]) -> Iterator[tuple[int, Row, Placed]]:
        """The rows at these positions, which ascend."""
        rows, come = self._sound_rows(doing), 0
        for position in positions:
            yield position, *next(islice(rows, position - come, None))
            come = position + 1

    def _sound_rows(self, doing: str) -> Iterator[tuple[Row, Placed]]:
        """The rows of a file that was surveyed and has no problems, again."""
        if self._survey and len(self._kept) == len(self._survey.lines):
            for position, kept in enumerate(self._kept):
                self._watch(doing, position)
                yield kept
            return
        for row in self._read(doing):
            if isinstance(row, Row):
                yield row, self._placing.place(row.activity)

    def _read(self, doing: str) -> Iterator[Row | Passed | None]:
        self._file.seek(0)
        for position, row in enumerate(self._format.read(self._file, self.problems, self._destination)):
            self._watch(doing, position)
            yield row
