"""What a way back loses: what stands in the tables and columns that it drops, with what was written there meanwhile."""

from collections.abc import Collection, Iterable

from django.db.migrations import Migration
from django.db.migrations.state import ProjectState

from migration_guard.connections import execute
from migration_guard.losses import Losses
from migration_guard.rehearsal.attempts import CHECK_NOW
from migration_guard.rehearsal.keeping import KeptRows
from migration_guard.rehearsal.meanwhile import written_meanwhile
from migration_guard.rehearsal.modelled import models_there, tables_of
from migration_guard.rehearsal.results import RowLoss
from migration_guard.rehearsal.rows import make_up
from migration_guard.restoring.looking import Look


class Losing:
    """Of one migration, which is applied; rows and values are made up for what the application has written since."""

    def __init__(
        self,
        kept: KeptRows,
        migration: Migration,
        states: tuple[ProjectState, ProjectState],
        original: Look,
        new_tables: Collection[str],
    ) -> None:
        self.kept = kept
        self.connection = kept.connection
        self.migration = migration
        self.before, self.after = states
        self.new_tables = new_tables
        # New tables with rows that were made up, and what new columns took of made-up values, which is undone already.
        self.filled: set[str] = set()
        self._values = written_meanwhile(self.connection, original, self.after, new_tables)

    def count(self) -> list[RowLoss]:
        """Fill the new tables, and count what stands there now."""
        if self.new_tables:
            self.filled = make_up(self.connection, self.after, self.new_tables)
            # To fill has checked at once what the way back may leave to the end of its transaction.
            execute(self.connection, CHECK_NOW)
        told = self._told()
        counted = told + self._untold(told)
        self._settle(counted)
        return [loss for loss in counted if loss.rows != 0]

    def lost(self, after: Look) -> list[RowLoss]:
        """Further ones, of new columns that are not there any more after the way back."""
        return [loss for column, loss in self._values.items() if (column.table, column.number) not in after.columns]

    def has_made_up(self, losses: Iterable[RowLoss]) -> bool:
        made_up = {(table, None) for table in self.filled} | {loss[:2] for loss in self._values.values()}
        return any(loss[:2] in made_up for loss in losses)

    def _told(self) -> list[RowLoss]:
        """By the operations."""
        losses = list(Losses(self.connection).of(self.migration.app_label, self.migration.operations, self.before))
        there = tables_of(self.connection, {loss.table for loss in losses})
        names = {name: table.name for name, table in there.items()}
        return [RowLoss(names.get(loss.table, loss.table), loss.column, loss.rows) for loss in losses]

    def _untold(self, told: Iterable[RowLoss]) -> list[RowLoss]:
        """Of tables that plain SQL has made for a model."""
        tables = self.filled - {loss.table for loss in told if loss.column is None}
        if tables:
            tables &= {table.name for _, table in models_there(self.connection, self.after)}
        return [RowLoss(table, None, number) for table, number in self.kept.counts(sorted(tables)).items()]

    def _settle(self, counted: Iterable[RowLoss]) -> None:
        """What stands in a new column counts, and not what was made up for it."""
        numbers = {loss[:2]: loss.rows for loss in counted}
        for column, loss in [*self._values.items()]:
            if loss[:2] in numbers:
                if numbers[loss[:2]] != 0:
                    del self._values[column]
            # The migration itself may have filled what no operation told of.
            elif number := self.kept.values(loss.table, column.name):
                self._values[column] = loss._replace(rows=number)
