"""All migrations of one call of `makemigrations`, in their safer form: numbered on, and depending on each other."""

from collections.abc import Iterator
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.operations import CreateModel
from django.db.migrations.state import ProjectState

from migration_guard.safer.names import split
from migration_guard.safer.pieces import Tables
from migration_guard.safer.rewriting import rewrite

Changes = dict[str, list[Migration]]
Key = tuple[str, str]


def rewrite_changes(changes: Changes, state: ProjectState, partitioned: set[str]) -> Changes:
    """`state` is that of all migrations on disk; it is moved past the changes."""
    tables = Tables(new=_created(changes), partitioned=partitioned)
    rewritten: Changes = {app_label: [] for app_label in changes}
    last_of: dict[Key, Key] = {}
    for migration in in_order(changes):
        app_label, key = migration.app_label, (migration.app_label, migration.name)
        depending: Any = migration
        depending.dependencies = [last_of.get(needed, needed) for needed in migration.dependencies]
        migration.name = _renumbered(migration.name, rewritten[app_label])
        pieces = rewrite(migration, state, tables)
        rewritten[app_label] += pieces
        last_of[key] = app_label, pieces[-1].name
    return rewritten


def in_order(changes: Changes) -> Iterator[Migration]:
    """Each after those of the others that it depends on."""
    waiting = [migration for migrations in changes.values() for migration in migrations]
    while waiting:
        unmet = {(migration.app_label, migration.name) for migration in waiting}
        ready = next(migration for migration in waiting if not _needed(migration, changes) & unmet)
        waiting.remove(ready)
        yield ready


def _needed(migration: Migration, changes: Changes) -> set[Key]:
    needed: set[Any] = set()
    for app_label, name in migration.dependencies:
        if name == "__first__" and app_label != migration.app_label:
            needed |= {(app_label, other.name) for other in changes.get(app_label, [])[:1]}
        else:
            needed.add((app_label, name))
    return needed


def _renumbered(name: str, before: list[Migration]) -> str:
    """Where an earlier one of the app has become several."""
    number, rest = split(name)
    last, _ = split(before[-1].name) if before else (None, "")
    return name if number is None or last is None else f"{last + 1:04d}_{rest}"


def _created(changes: Changes) -> set[Key]:
    """Models whose tables the changes make: they have no rows when the rest comes."""
    return {
        (migration.app_label, operation.name_lower)
        for migrations in changes.values()
        for migration in migrations
        for operation in migration.operations
        if isinstance(operation, CreateModel)
    }
