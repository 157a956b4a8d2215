"""`restore`: bring what a point has kept back into the database that it was taken of."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from migration_guard.applied import Say
from migration_guard.connections import execute
from migration_guard.patience import Patience
from migration_guard.programs import ProgramFailed
from migration_guard.restoring.points import RestorePoint
from migration_guard.restoring.returning import CHECK_NOW, RETURNING, NotRestored, Returning
from migration_guard.turns import turn


class Restoring:
    """One point, in the session that has the turn; what it kept is staged there, beside the tables."""

    def __init__(self, connection: BaseDatabaseWrapper, point: RestorePoint, say: Say) -> None:
        self.connection = connection
        self.point = point
        self.say = say
        self.parts: list[Returning] = []

    @classmethod
    @contextmanager
    def staged(cls, connection: BaseDatabaseWrapper, point: RestorePoint, say: Say) -> Iterator["Restoring"]:
        """The tables are as they were until `restore` is called. Raises NotRestored."""
        require_whole(point)
        with turn(connection, say=say) as session:
            restoring = cls(session, point, say)
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

    def describe(self) -> Iterator[str]:
        """What would come back, in numbers, and what that overwrites."""
        for returning in self.parts:
            yield from returning.describe()
        manifest = self.point.manifest
        applied = MigrationRecorder(self.connection).applied_migrations()
        if manifest.direction == "apply" and (manifest.app, manifest.migration) in applied:
            yield (
                f"{manifest.app}.{manifest.migration} is applied: undo it first where it can be undone (rollback), so "
                "that what it took away is there as the migrations make it."
            )

    def restore(self) -> None:
        """In one transaction, compared row by row with what was kept. Raises NotRestored, and LockNotObtained."""
        patience = Patience(self.connection, say=self.say)
        with telling_why(self.connection), patience.at_work(), patience.bounding():
            patience.transaction(self._work, f"Restoring {self.point.name}")

    def _work(self) -> None:
        with transaction.atomic(using=self.connection.alias), self.connection.wrap_database_errors:
            for returning in sorted(self.parts, key=lambda returning: not returning.is_gone):
                returning.work()
            for returning in self.parts:
                returning.connect()
            execute(self.connection, CHECK_NOW)
            for returning in self.parts:
                returning.check()


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
    except (DatabaseError, ProgramFailed) as error:
        raise NotRestored(f"{' '.join(str(error).split())}.") from error
