"""`makemigrations` from end to end: in the safer form, named for its intent, and shown as SQL."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import makemigrations
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from migration_guard.safer.asking import AskingLoader, SilentLoader, partitioned_tables
from migration_guard.safer.changes import Changes, in_order, rewrite_changes
from migration_guard.safer.contracting import contracting
from migration_guard.safer.refusing import refuse_names, refuse_retired
from migration_guard.safer.showing import shown
from migration_guard.safer.writing import GuardedWriter
from migration_guard.substitution import standing_in


class Making:
    """One call of `makemigrations`, by the command that the project has without the guard."""

    def __init__(self, command: makemigrations.Command, options: dict[str, Any]) -> None:
        self.command = command
        self.options = options
        self.connection = connections[DEFAULT_DB_ALIAS]
        self.written: list[Migration] = []

    def run(self, as_next: Callable[[], object]) -> None:
        if self.options["contract"]:
            self.command.autodetector = contracting(self.command.autodetector)  # type: ignore[misc]  # of this call
        if self.options["offline"] and self.options["update"]:
            raise CommandError("--update has to ask the database whether the migration is applied.", returncode=2)
        with standing_in(makemigrations, "MigrationLoader", self._loader()):
            as_next()
        if self.written:
            self._review()
        elif self.options["contract"]:
            self.command.log("No second step is outstanding.")

    def write(self, changes: Changes, previous_paths: dict[str, str] | None, as_next: Callable[..., None]) -> None:
        """What is detected, in the files that are wanted of it."""
        is_written = not self.command.dry_run
        if is_written:
            refuse_names(in_order(changes), self.options)
            refuse_retired(changes)
        if self._rewrites and not previous_paths:
            changes = rewrite_changes(changes, MigrationLoader(None).project_state(), self._partitioned())
        migrations = list(in_order(changes))
        with standing_in(makemigrations, "MigrationWriter", GuardedWriter):
            # What cannot be written must fail before the first file is there.
            for migration in migrations if is_written else []:
                GuardedWriter(migration).as_string()
            as_next(changes, previous_paths)
        if is_written:
            self.written += migrations

    def _loader(self) -> type[MigrationLoader]:
        if self.options["offline"]:
            return SilentLoader
        only_shows = self.options["check_changes"] or self.options["dry_run"]
        return MigrationLoader if only_shows else AskingLoader

    @property
    def _rewrites(self) -> bool:
        is_postgresql = self.connection.vendor == "postgresql"
        return is_postgresql and not self.options["as_written"] and not self.options["contract"]

    def _partitioned(self) -> set[str]:
        asks = not (self.options["offline"] or self.command.dry_run)
        return partitioned_tables(self.connection) if asks else set()

    def _review(self) -> None:
        for line in shown(self.written, self.connection, asks=not self.options["offline"]):
            self.command.log(line)
        self.command.log("Next: python manage.py migrate")
