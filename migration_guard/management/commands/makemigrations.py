from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.core.management import find_commands, load_command_class
from django.core.management.base import CommandError, CommandParser
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

if TYPE_CHECKING:
    from django.core.management.commands.makemigrations import Command as NextCommand
else:

    def _next_command() -> type:
        """What `makemigrations` would be without the guard: that of the first app that has one, else Django's."""
        owners = [config.name for config in apps.get_app_configs() if _has_makemigrations(config)]
        return type(load_command_class(owners[0] if owners else "django.core", "makemigrations"))

    def _has_makemigrations(config: AppConfig) -> bool:
        own = config.name == "migration_guard"
        return not own and "makemigrations" in find_commands(str(Path(config.path, "management")))

    NextCommand = _next_command()


class Command(NextCommand):
    """As that of the project, and then: in the safer form, named for its intent, and shown as SQL."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--as-written", action="store_true", help="Keep the plain form of Django's operations, which may block."
        )
        parser.add_argument("--offline", action="store_true", help="Do not ask the database.")
        parser.add_argument(
            "--contract",
            action="store_true",
            help="Write the second steps: drop what stayed in the database for the previous release.",
        )

    def handle(self, *app_labels: Any, **options: Any) -> None:
        self.options = options
        self.written: list[tuple[str, Migration]] = []
        if options["contract"]:
            self.autodetector = contracting(self.autodetector)  # type: ignore[misc]  # of this call alone
        if options["offline"] and options["update"]:
            raise CommandError("--update has to ask the database whether the migration is applied.", returncode=2)
        with standing_in(makemigrations, "MigrationLoader", self._loader()):
            super().handle(*app_labels, **options)
        if self.written:
            self._review(self.written)
        elif options["contract"]:
            self.log("No second step is outstanding.")

    def write_migration_files(
        self, changes: Changes, update_previous_migration_paths: dict[str, str] | None = None
    ) -> None:
        if not self.dry_run:
            refuse_names(in_order(changes), self.options)
            refuse_retired(changes)
        if self._rewrites and not update_previous_migration_paths:
            changes = rewrite_changes(changes, MigrationLoader(None).project_state(), self._partitioned())
        migrations = list(in_order(changes))
        with standing_in(makemigrations, "MigrationWriter", GuardedWriter):
            # What cannot be written must fail before the first file is there.
            for migration in [] if self.dry_run else migrations:
                GuardedWriter(migration).as_string()
            super().write_migration_files(changes, update_previous_migration_paths)
        if not self.dry_run:
            self.written += [(migration.app_label, migration) for migration in migrations]

    def _loader(self) -> type[MigrationLoader]:
        if self.options["offline"]:
            return SilentLoader
        only_shows = self.options["check_changes"] or self.options["dry_run"]
        return MigrationLoader if only_shows else AskingLoader

    @property
    def _rewrites(self) -> bool:
        is_postgresql = connections[DEFAULT_DB_ALIAS].vendor == "postgresql"
        return is_postgresql and not self.options["as_written"] and not self.options["contract"]

    def _partitioned(self) -> set[str]:
        asks = not (self.options["offline"] or self.options["check_changes"] or self.dry_run)
        return partitioned_tables(connections[DEFAULT_DB_ALIAS]) if asks else set()

    def _review(self, written: list[tuple[str, Migration]]) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        for line in shown([migration for _, migration in written], connection, asks=not self.options["offline"]):
            self.log(line)
        self.log("Next: python manage.py migrate")
