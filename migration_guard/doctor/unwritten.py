"""What `makemigrations` would write, as the project's own one detects it; nobody is asked, and nothing is written."""

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.core.management.commands import makemigrations as of_django
from django.db.migrations import Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState

from migration_guard.management.commands.makemigrations import Command
from migration_guard.safer.asking import SilentLoader
from migration_guard.safer.changes import Changes
from migration_guard.safer.names import proposal, says_nothing
from migration_guard.substitution import standing_in

# What would run without the guard.
OF_PROJECT: Any = Command.__base__


def unwritten(loader: MigrationLoader) -> Changes:
    """A command of the project's own may leave out what is of no meaning to a database, such as help texts."""
    changes = _silent(MigrationAutodetector)(loader.project_state(), ProjectState.from_apps(apps)).changes(loader.graph)
    return _told_by_command() if changes and OF_PROJECT is not of_django.Command else changes


def name_for(migrations: Sequence[Migration]) -> str:
    """One that `makemigrations` does not refuse."""
    name = str(migrations[0].suggest_name())
    return proposal(migrations[0].operations) if says_nothing(name) else name


def _told_by_command() -> Changes:
    told: Changes = {}

    class Asked(OF_PROJECT):  # type: ignore[misc]  # a class that is known at run time
        autodetector = _silent(OF_PROJECT.autodetector)

        def write_migration_files(self, changes: Changes, *_: Any) -> None:
            told.update(changes)

    with standing_in(of_django, "MigrationLoader", SilentLoader):
        call_command(Asked(), dry_run=True, interactive=False, verbosity=0)
    return told


def _silent(detector: Any) -> Any:
    """With the questioner that asks nobody: that of --no-input ends the process where a column has no default."""

    class Silent(detector):  # type: ignore[misc]  # a class that is known at run time
        def __init__(self, from_state: ProjectState, to_state: ProjectState, _questioner: Any = None) -> None:
            super().__init__(from_state, to_state, MigrationQuestioner(dry_run=True))

    return Silent
