"""`restore`: bring what a point has kept back into the database that it was taken of."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from graphlib import CycleError, TopologicalSorter

from django.core.management.base import CommandError
from django.db import DatabaseError, DataError, IntegrityError, ProgrammingError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from migration_guard.applied import Say
from migration_guard.connections import execute, rows
from migration_guard.ledger import Ledger
from migration_guard.patience import Patience, sqlstate_of
from migration_guard.programs import ProgramFailed
from migration_guard.restoring.files import plainly
from migration_guard.restoring.points import RestorePoint
from migration_guard.restoring.returning import RETURNING, ColumnReturning, NotRestored, Returning, RowsReturning
from migration_guard.restoring.tables import Name
from migration_guard.restoring.triggers import without_triggers
from migration_guard.restoring.uniques import without_uniques
from migration_guard.turns import turn

REFERS_TO = "SELECT confrelid::bigint FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass(%s)"
STARTED_THEN = "SELECT started_at = %s FROM migration_guard_run WHERE id = %s"
OID = "SELECT to_regclass(%s)::oid::bigint"
# A row has the value already: for good, or until that row has its own again.
TAKEN = {"23505", "23P01"}

# What was committed until the tables were locked is seen, whatever the settings say.
ISOLATION = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
# With less, rows are joined piece by piece, and changed in that order and not the table's: that takes twice as long.
WORK_MEMORY = "SET LOCAL work_mem = '256MB'"

# What stands in the way of rows for as long as they return.
Without = Callable[[BaseDatabaseWrapper, Sequence[Name]], AbstractContextManager[None]]


class Restoring:
    """One point, in the session that has the turn; what it kept is staged there, beside the tables."""

    def __init__(self, connection: BaseDatabaseWrapper, point: RestorePoint, say: Say) -> None:
        self.connection = connection
        self.point = point
        self.say = say
        self.patience = Patience(connection, say=say)
        self.parts: list[Returning] = []

    @classmethod
    @contextmanager
    def staged(cls, connection: BaseDatabaseWrapper, point: RestorePoint, say: Say) -> Iterator["Restoring"]:
        """The tables are as they were until `restore` is called. Raises NotRestored."""
        require_whole(point)
        with turn(connection, say=say) as session:
            restoring = cls(session, point, say)
            with restoring.patience.at_work():
                with telling_why(session):
                    restoring._stage()
                yield restoring

    def _stage(self) -> None:
        for number, part in enumerate(self.point.manifest.parts):
            if part.kind not in RETURNING:
                raise NotRestored(
                    f"{self.point.name} has the whole database. Restore it --into another one, and take from there "
                    "what is wanted, or let the application use that one."
                )
            returning = RETURNING[part.kind](self.connection, self.point, part, number)
            returning.stage()
            self.parts.append(returning)
        for returning in self.parts:
            if isinstance(returning, RowsReturning):
                returning.values = [
                    other for other in self.parts if isinstance(other, ColumnReturning) and other.name == returning.name
                ]

    def describe(self) -> Iterator[str]:
        """What would come back, in numbers, and what that overwrites. Raises NotRestored."""
        with telling_why(self.connection), plainly(self.connection.connection, encoded=False):
            lines = [line for returning in self.parts for line in returning.describe()]
        yield from lines
        manifest = self.point.manifest
        if not self._is_of_this_database():
            yield (
                f"The history of this database has no such run: {self.point.name} was taken in another one, called "
                f"{manifest.database} too. What returns is what that one held."
            )
        applied = MigrationRecorder(self.connection).applied_migrations()
        if manifest.direction == "apply" and (manifest.app, manifest.migration) in applied:
            yield (
                f"{manifest.app}.{manifest.migration} is applied: undo it first where it can be undone (rollback), so "
                "that what it took away is there as the migrations make it."
            )

    def _is_of_this_database(self) -> bool:
        """Points of before this was written down are taken for its own."""
        manifest = self.point.manifest
        if manifest.run_started_at is None:
            return True
        asked = [manifest.run_started_at, manifest.run]
        return Ledger(self.connection).exists and rows(self.connection, STARTED_THEN, asked) == [(True,)]

    def restore(self) -> None:
        """In one transaction, compared row by row with what was kept. Raises NotRestored, and LockNotObtained."""
        what = f"Restoring {self.point.name}"
        with telling_why(self.connection), self.patience.bounding():
            try:
                notes = self.patience.transaction(partial(self._work, without_triggers), what)
            except IntegrityError as error:
                if sqlstate_of(error) not in TAKEN:
                    raise
                notes = self.patience.transaction(partial(self._work, without_triggers, without_uniques), what)
            for line in notes:
                self.say(line)

    def _work(self, *without: Without) -> list[str]:
        with transaction.atomic(using=self.connection.alias), self.connection.wrap_database_errors:
            execute(self.connection, ISOLATION)
            execute(self.connection, WORK_MEMORY)
            for returning in self.parts:
                returning.lock()
            with plainly(self.connection.connection, encoded=False):
                return self._bring_back(without)

    def _bring_back(self, without: Iterable[Without]) -> list[str]:
        there = sorted({returning.name for returning in self.parts if not returning.is_gone})
        with ExitStack() as stack:
            for what in without:
                stack.enter_context(what(self.connection, there))
            for returning in in_order(self.connection, self.parts):
                returning.work()
        notes = [line for returning in self.parts for line in returning.refer()]
        notes += [line for returning in self.parts for line in returning.let_refer()]
        for returning in self.parts:
            returning.check()
        return notes


def in_order(connection: BaseDatabaseWrapper, parts: Iterable[Returning]) -> list[Returning]:
    """Columns first, which partitions have too; whole tables; then rows, of a table after those that they refer to."""
    first, by_table = list[Returning](), dict[int, Returning]()
    for part in parts:
        if isinstance(part, RowsReturning) and not part.is_gone:
            by_table[rows(connection, OID, [str(part.name)])[0][0]] = part
        else:
            first.append(part)
    first.sort(key=lambda part: part.is_gone)
    refer_to = {
        oid: {other for (other,) in rows(connection, REFERS_TO, [str(part.name)])} & by_table.keys() - {oid}
        for oid, part in by_table.items()
    }
    # Tables that refer to each other have constraints that wait for the end.
    with suppress(CycleError):
        return first + [by_table[oid] for oid in TopologicalSorter(refer_to).static_order()]
    return [*first, *by_table.values()]


def require_whole(point: RestorePoint) -> None:
    if problems := list(point.problems()):
        raise NotRestored(f"{point.name} is not what was kept: {'; '.join(problems)}.")


@contextmanager
def telling_why(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """What PostgreSQL or pg_restore refuse, as NotRestored."""
    try:
        with connection.wrap_database_errors:
            yield
    except CommandError:
        raise
    except IntegrityError as error:
        raise NotRestored(
            f"{_told(error)}. Mend the rows that are in the way, or restore it --into another "
            "database, and take from there what is wanted."
        ) from error
    except (DataError, ProgrammingError) as error:
        raise NotRestored(
            f"{_told(error)}. Where the tables are not as they were, undo what came since first, or restore it --into "
            "another database, and take from there what is wanted."
        ) from error
    except (DatabaseError, ProgramFailed) as error:
        raise NotRestored(f"{_told(error)}.") from error


def _told(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
