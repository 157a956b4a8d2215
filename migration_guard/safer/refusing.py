"""What `makemigrations` refuses to write: names that say nothing, and what a retired column or table keeps out."""

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, CreateModel
from django.db.migrations.operations.base import Operation

from migration_guard.operations import DropRetiredField, DropRetiredModel
from migration_guard.safer.contracting import outstanding
from migration_guard.safer.names import proposal, says_nothing

FLAGS = {
    "empty": "--empty",
    "update": "--update",
    "as_written": "--as-written",
    "offline": "--offline",
    "contract": "--contract",
    "scriptable": "--scriptable",
}


class NameSaysNothing(CommandError):
    """A migration is named for its intent: the name is what a reader of the history has."""


def refuse_names(migrations: Iterable[Migration], options: dict[str, Any]) -> None:
    refused = [migration for migration in migrations if says_nothing(migration.name)]
    if refused:
        told = ", ".join(f"{migration.app_label}.{migration.name}" for migration in refused)
        lines = [f"  {_command_line(migration, options)}" for migration in refused]
        raise NameSaysNothing(
            f"The name says nothing about what the migration does: {told}. Nothing was written. Name it, such as:\n"
            + "\n".join(lines),
            returncode=2,
        )


class StillThere(CommandError):
    """A column or table is to be added that was retired and has not been dropped yet."""


def refuse_retired(changes: dict[str, list[Migration]]) -> None:
    added = [
        (migration.app_label, operation)
        for migrations in changes.values()
        for migration in migrations
        for operation in migration.operations
        if isinstance(operation, AddField | CreateModel)
    ]
    if not added:
        return
    loader = MigrationLoader(None, ignore_no_migrations=True)
    steps = outstanding(loader.graph, loader.unmigrated_apps)
    for app_label, operation in added:
        for step in steps.get(app_label, []):
            if _is_in_the_way(step, operation):
                raise StillThere(
                    f"{app_label}: {operation.describe()} needs a place that is taken: {step.describe()} is still to "
                    f"be done. Nothing was written. Do that first: python manage.py makemigrations {app_label} "
                    "--contract",
                    returncode=2,
                )


def _is_in_the_way(step: Operation, added: Operation) -> bool:
    if isinstance(step, DropRetiredField) and isinstance(added, AddField):
        return (step.model_name.lower(), step.name) == (added.model_name_lower, added.name)
    if isinstance(step, DropRetiredModel) and isinstance(added, CreateModel):
        return bool(step.name.lower() == added.name_lower)
    return False


def _command_line(migration: Migration, options: dict[str, Any]) -> str:
    flags = [flag for option, flag in FLAGS.items() if options.get(option)]
    flags += [] if options.get("interactive", True) else ["--noinput"]
    flags += [] if options.get("include_header", True) else ["--no-header"]
    words = ["python manage.py makemigrations", migration.app_label, *flags]
    return f"{' '.join(words)} --name {proposal(migration.operations)}"
