from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.core.management import find_commands, load_command_class
from django.core.management.base import CommandParser

if TYPE_CHECKING:
    from django.core.management.commands.makemigrations import Command as NextCommand

    from migration_guard.safer.changes import Changes
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
        # A check of Django's loads this module in every command: all of them would wait for what it imports.
        from migration_guard.safer.making import Making  # noqa: PLC0415

        self.making = Making(self, options)
        self.making.run(partial(super().handle, *app_labels, **options))

    def write_migration_files(
        self, changes: "Changes", update_previous_migration_paths: dict[str, str] | None = None
    ) -> None:
        self.making.write(changes, update_previous_migration_paths, super().write_migration_files)
