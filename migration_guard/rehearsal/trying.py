"""One migration on a copy: forward beside readers and writers, back, forward again, and what each of that has shown."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.state import ProjectState

from migration_guard.catalog import Catalog, Difference, differences, read
from migration_guard.catalog.telling import as_script
from migration_guard.connections import execute, rows
from migration_guard.content_types import content_types_forgotten
from migration_guard.executor import GuardedExecutor, key_of, run_deferred
from migration_guard.patience import Patience, sqlstate_of
from migration_guard.receipts import fingerprint_of
from migration_guard.rehearsal.attempts import CHECK_DEFERRED, CHECK_NOW
from migration_guard.rehearsal.keeping import KeptRows, changes, empty
from migration_guard.rehearsal.losing import Losing
from migration_guard.rehearsal.measuring import Recorder
from migration_guard.rehearsal.predicting import predicted_tables
from migration_guard.rehearsal.relations import TABLE_KINDS, identifier, relations
from migration_guard.rehearsal.results import Finding, Lock, MigrationResult, Size, StatementResult, Verdict
from migration_guard.rehearsal.stalls import Measured, ProberDied, Probers, jobs_for
from migration_guard.restoring.looking import Look
from migration_guard.review.findings import Severity
from migration_guard.runs import RunLedger

SIZES = """
    SELECT name, pg_total_relation_size(to_regclass(quoted))
    FROM unnest(%s::text[], %s::text[]) AS tables (name, quoted)
"""
MOST_DIFFERENCES = 10
OBJECT_IN_USE = "55006"
# What a migration may raise; its code may end the program, as a script does.
FAILURES = (Exception, SystemExit)


class Broken(Exception):
    """A migration failed: nothing after it can be rehearsed."""


class ChecksPending(Exception):
    """A table has checks pending that may come of the one transaction around the ways back and forward.

    A key that stays as it is is checked again in a row that the same transaction has written, and only there.
    """


@dataclass
class Stage:
    """The copy, what measures on it, and its schema as it stands."""

    connection: BaseDatabaseWrapper
    executor: GuardedExecutor
    probers: Probers
    kept: KeptRows
    catalog: Catalog

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper, say: Callable[[str], None]) -> "Stage":
        return cls(
            connection, executor_of(connection, say), Probers(connection), KeptRows(connection), read(connection)
        )


def executor_of(connection: BaseDatabaseWrapper, say: Callable[[str], None]) -> GuardedExecutor:
    """The one that `migrate` works with; the turn is held."""
    ledger = RunLedger(connection)
    ledger.settle()
    ledger.ensure_table()
    executor = GuardedExecutor(connection, None, ledger=ledger, patience=Patience.of(connection, say=say))
    executor.recorder.ensure_schema()
    return executor


class Trial:
    """One migration; `state` is the one before it, and `result` is filled as far as it comes."""

    def __init__(
        self,
        stage: Stage,
        migration: Migration,
        state: ProjectState,
        result: MigrationResult,
        tell: Callable[[str], None],
    ) -> None:
        self.stage = stage
        self.connection = stage.connection
        self.migration = migration
        self.state = state
        self.result = result
        self.tell = tell
        self.after: ProjectState
        # Tables that were there before and that it locks as one that changes them does.
        self.touched: set[str] = set()
        self._used: set[str] = set()
        self.new_tables: set[str] = set()
        # Of those that are there, the name before and the one after.
        self.renamed: dict[str, str] = {}
        self._known: dict[int, str] = {}
        # As it was before, and what is known of its tables by number: to compare rows that nobody wrote takes long.
        self._original = Look({}, {})
        self._unwritten: set[int] = set()
        self._unaltered: set[int] = set()
        # Whether what is lost on the way back is of rows or values that were made up.
        self.has_made_up_losses = False
        self._losing: Losing
        # What was measured while nobody was beside it.
        self._alone: list[StatementResult] = []
        result.reversible = all(operation.reversible for operation in migration.operations)

    @property
    def is_resumed(self) -> bool:
        """Whether the source has some of its operations already, so that the way back leads further than the start."""
        return key_of(self.migration) in self.stage.executor.partial

    @property
    def _new_names(self) -> set[str]:
        """Tables that are made, and those that are there under another name."""
        return self._forward_catalog.tables.keys() - self._catalog_before.tables.keys()

    def _names(self, numbers: set[int]) -> set[str]:
        """What these tables were called before."""
        return {self._known[oid] for oid in numbers & self._known.keys()}

    def look(self) -> None:
        """Find out what it touches: in a transaction that is rolled back, or by what its SQL says."""
        self.tell("what it touches")
        if not self.migration.atomic or self.is_resumed:
            known = {relation.name for relation in relations(self.connection).values() if relation.kind in TABLE_KINDS}
            self.touched = predicted_tables(self.migration, self.state, self.connection, known)
            return
        recorder = Recorder(self.connection)
        with (
            self._filling_in(recorder),
            content_types_forgotten(),
            transaction.atomic(using=self.connection.alias),
        ):
            self._original = Look.at(self.connection)
            with recorder.at_work(), self.connection.schema_editor(atomic=True) as editor:
                self.migration.apply(self.state.clone(), editor)
                run_deferred(editor)
            after = Look.at(self.connection)
            self._unwritten = self._original.tables.keys() - self._original.written_until(after)
            self._unaltered = self._unwritten - self._original.altered_until(after)
            transaction.set_rollback(True, using=self.connection.alias)
        self.touched, self._used = recorder.changed, recorder.used
        self._alone = recorder.statements

    def run(self) -> None:
        """Leave it applied. Raises Broken where it fails."""
        self._catalog_before = self.stage.catalog
        if not self._original.tables:
            self._original = Look.at(self.connection)
        self.stage.kept.keep(self.touched)
        known = relations(self.connection)
        sizes, counted = self._sizes(self.touched), changes(self.connection)
        self._forward_beside()
        self._forward_catalog = read(self.connection)
        tables = {oid: table for oid, table in relations(self.connection).items() if table.kind in TABLE_KINDS}
        self.new_tables = {table.name for oid, table in tables.items() if oid not in known}
        self._known = {oid: table.name for oid, table in known.items()}
        self.renamed = {known[oid].name: table.name for oid, table in tables.items() if oid in known}
        self._note_sizes(sizes)
        self._note_uncompared(counted)
        if self.result.reversible and not self.is_resumed:
            self._back_and_forward()
        self._take_wal()
        self._note_schema()
        self.stage.catalog = self._forward_catalog

    def _forward_beside(self) -> None:
        """Forward, with a reader and a writer of each touched table beside it."""
        self.tell("forward, beside readers and writers")
        measured = None
        try:
            with self.stage.probers.beside(jobs_for(self.connection, self.touched)) as measured:
                self._forward(measured.observer.take_seen)
        except ProberDied as error:
            self.result.verdict = Verdict.COULD_NOT_RUN
            self._find("not-measured", Severity.ERROR, f"{error} How long others wait is not known.", "Try again.")
            if measured is None:
                self._forward(list)
        if measured:
            self._note_stalls(measured)

    def _forward(self, seen: Callable[[], Collection[Lock]]) -> None:
        recorder = Recorder(self.connection, seen, only_times=bool(self._alone))
        began = time.monotonic()
        executor = self.stage.executor
        with self._filling_in(recorder), executor.patience.at_work(), recorder.at_work():
            self.after = executor.apply_migration(self.state.clone(), self.migration)
        self.result.seconds = time.monotonic() - began
        if self._alone:
            self._put_together()
        else:
            self._used = recorder.used

    def _put_together(self) -> None:
        """What each statement did, as it was seen before, with the times that it took beside others."""
        timed, self.result.statements = self.result.statements, self._alone
        if len(timed) == len(self._alone):
            for alone, beside in zip(self._alone, timed, strict=True):
                alone.began, alone.ms, alone.released = beside.began, beside.ms, beside.released

    @contextmanager
    def _filling_in(self, recorder: Recorder) -> Iterator[None]:
        """Keep what was recorded, also of what fails."""
        try:
            yield
        except FAILURES as error:
            raise Broken(f"{self.migration} fails: {type(error).__name__}: {error}") from error
        finally:
            self.result.statements = recorder.statements
            self.result.unseen = recorder.unseen

    def _note_stalls(self, measured: Measured) -> None:
        self.result.stall_ms = measured.stalls
        for table, error in measured.errors.items():
            hint = "Whoever uses the table at that moment meets the same."
            self._find("prober-failed", Severity.WARNING, f"A reader or writer of {table} failed: {error}", hint)

    def _back_and_forward(self) -> None:
        """Leave it applied; what is atomic stays so, in a transaction around both that is rolled back if it can be."""
        self.tell("back")
        states = (self.state, self.after)
        self._losing = Losing(self.stage.kept, self.migration, states, self._original, self.new_tables)
        sums = self.stage.kept.checksums((self.touched - self._names(self._unaltered)) | self._new_names)
        counted = changes(self.connection)
        if not self.migration.atomic or not self._rolled_back_round_trip(sums):
            self._round_trip(sums)
        self.stage.executor.loader.applied_migrations[key_of(self.migration)] = self.migration
        self.has_made_up_losses = self._losing.has_made_up(self.result.losses)
        # The server counts rows that were rolled back, too: all of an atomic way back that fails.
        if self.result.reversible or not self.migration.atomic:
            self._note_uncompared(counted)

    def _rolled_back_round_trip(self, sums: dict[str, tuple[int, str]]) -> bool:
        """Whether that has shown what transactions of their own would show."""
        try:
            with transaction.atomic(using=self.connection.alias):
                self._round_trip(sums)
                transaction.set_rollback(True, using=self.connection.alias)
        except ChecksPending:
            return False
        return True

    def _round_trip(self, sums: dict[str, tuple[int, str]]) -> None:
        self.result.losses = self._losing.count()
        before = Look.at(self.connection)
        if not self._back():
            return
        after = Look.at(self.connection)
        self.result.losses += self._losing.lost(after)
        self._unwritten -= before.written_until(after) | self._original.lost_until(after)
        # Else what is deferred to the end of the transaction would stand in the way of the next statement.
        execute(self.connection, CHECK_NOW)
        self._compare_with_before()
        self.tell("forward again")
        recorder = Recorder(self.connection, only_times=bool(self._alone))
        executor = self.stage.executor
        try:
            with executor.patience.at_work(), recorder.at_work():
                executor.apply_migration(self.state.clone(), self.migration)
        except FAILURES as error:
            self._require_reliable(error)
            told = f"Once it is undone, it cannot be applied again: {type(error).__name__}: {error}"
            self._find("forward-fails", Severity.ERROR, told, "Let the way back remove what the way forward makes.")
            if not self.connection.in_atomic_block:
                self._leave_applied(told)
            return
        self._alone = self._alone or recorder.statements
        self._compare_with_first(sums)

    def _back(self) -> bool:
        executor = self.stage.executor
        try:
            with executor.patience.at_work():
                executor.unapply_migration(self.state.clone(), self.migration)
        except FAILURES as error:
            self._require_reliable(error)
            self.result.reversible = False
            told = f"It calls itself reversible, and its way back fails: {type(error).__name__}: {error}"
            self._find("reverse-fails", Severity.ERROR, told, "Mend the way back, or say that there is none.")
            self._recover()
            return False
        executor.loader.applied_migrations.pop(key_of(self.migration), None)
        return True

    def _require_reliable(self, error: BaseException) -> None:
        """Raise ChecksPending where the error may come of the transaction around both ways."""
        if self.connection.in_atomic_block and sqlstate_of(error) == OBJECT_IN_USE:
            raise ChecksPending from error

    def _leave_applied(self, told: str) -> None:
        """What has been undone for good, and what is atomic: where each row is checked at once, none is pending."""
        if not self.migration.atomic:
            raise Broken(f"{self.migration}: {told}")
        executor = self.stage.executor
        try:
            with executor.patience.at_work(), transaction.atomic(using=self.connection.alias):
                execute(self.connection, CHECK_DEFERRED)
                executor.apply_migration(self.state.clone(), self.migration)
        except FAILURES as error:
            raise Broken(f"{self.migration}: {told}") from error

    def _recover(self) -> None:
        """What is not atomic may be undone in part; forward leads from there to its end."""
        if self.connection.in_atomic_block:
            return
        if there := self._losing.filled & read(self.connection).tables.keys():
            empty(self.connection, there)
        if self.migration.atomic:
            return
        executor = self.stage.executor
        executor.partial = executor.ledger.partial()
        executor.loader.applied_migrations.pop(key_of(self.migration), None)
        try:
            with executor.patience.at_work():
                executor.apply_migration(self.state.clone(), self.migration)
        except FAILURES as error:
            raise Broken(
                f"{self.migration}: its way back fails, and so does the way forward from there: {error}"
            ) from error
        executor.partial = executor.ledger.partial()

    def _compare_with_before(self) -> None:
        found = differences(read(self.connection), self._catalog_before)
        hint = "Its ways forward and back must meet: what is made by hand is undone by hand."
        self._find_differences("reverse-differs", found, "Forward and back lead to another schema", hint)
        returned = self.stage.kept.compare(self._names(self._unwritten))
        self.result.reverse_lossless = not returned.losses
        known = {(loss.table, loss.column) for loss in self.result.losses}
        self.result.losses += [loss for loss in returned.losses if loss[:2] not in known]
        for table, number in returned.added.items():
            self._find("rows-added", Severity.WARNING, f"Forward and back add {number:,} rows to {table}.", "")
        for column, number in returned.filled.items():
            message = f"Forward and back leave {column} with a value in {number:,} rows where there was none."
            self._find("values-added", Severity.INFO, message, "")

    def _compare_with_first(self, sums: dict[str, tuple[int, str]]) -> None:
        again = read(self.connection)
        hint = "What the way back leaves changes what the way forward does."
        found = differences(again, self._forward_catalog)
        self._find_differences("forward-differs", found, "Forward again leads to another schema", hint)
        if not self.connection.in_atomic_block:
            self._forward_catalog = again
        now = self.stage.kept.checksums(sums)
        for table in sorted(table for table in sums if now.get(table) != sums[table]):
            message = f"Forward again leaves other rows in {table} than the first time."
            self._find("rows-differ", Severity.INFO, message, "As where it writes times or random values.")

    def _note_uncompared(self, counted: dict[str, int]) -> None:
        now = changes(self.connection)
        changed = {table for table, number in now.items() if number != counted.get(table, 0)}
        hint = "Name the table in the SQL, or make it atomic."
        if self.migration.atomic:
            hint = "Its way forward leaves them alone: see by hand what its way back does to them."
        for table in sorted(changed - self.touched - self._new_names):
            message = f"Rows of {table} are changed, which was not foreseen: they were not compared."
            self._find("not-compared", Severity.WARNING, message, hint)

    def _sizes(self, tables: Collection[str]) -> dict[str, int | None]:
        quoted = [identifier(name).as_string(self.connection.connection) for name in tables]
        return dict(rows(self.connection, SIZES, [[*tables], quoted]))

    def _note_sizes(self, before: dict[str, int | None]) -> None:
        after = self._sizes(self.touched | self._new_names | self.new_tables)
        self.result.sizes = [Size(table, before.get(table), size) for table, size in after.items()]

    def _note_schema(self) -> None:
        self.result.schema = {
            table: (fingerprint_of(self._catalog_before, table), fingerprint_of(self._forward_catalog, table))
            for table in sorted(self._used | self.touched | self._new_names)
        }

    def _take_wal(self) -> None:
        """Of the time when nobody was beside it, where the same was sent then."""
        alone = [statement.sql for statement in self._alone]
        if alone == [statement.sql for statement in self.result.statements]:
            for statement, quiet in zip(self.result.statements, self._alone, strict=True):
                statement.wal_bytes = quiet.wal_bytes
        elif self.result.statements:
            self._find("wal-upper-bound", Severity.INFO, "Its WAL holds that of others beside it.", "")

    def _find_differences(self, id_: str, found: list[Difference], message: str, hint: str) -> None:
        """Where only names differ, as Django's of constraints, nothing that works on it meets the difference."""
        if found:
            told = "\n".join([f"{message}:", *list(as_script(found))[:MOST_DIFFERENCES]])
            only_names = all(not each.ddl or " RENAME " in each.ddl for each in found)
            self._find(id_, Severity.WARNING if only_names else Severity.ERROR, told, hint)

    def _find(self, id_: str, severity: Severity, message: str, hint: str) -> None:
        finding = Finding(id_, severity, message, hint)
        if finding not in self.result.findings:
            self.result.findings.append(finding)
