"""Drift: where a live schema is not what the migrations build that are applied in it.

They are run once in a scratch database on the same server, which is kept under a name that tells what is in it.
"""

import json
from typing import NamedTuple

from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader

from migration_guard.applied import Applied, Say
from migration_guard.catalog import Catalog, Difference, differences, read
from migration_guard.catalog.telling import as_script
from migration_guard.connections import own_session, require_postgresql
from migration_guard.databases import alone
from migration_guard.scratch import Scratches


class Drift(NamedTuple):
    """What `find` found; the notes say what a reader of the differences has to know."""

    database: str
    differences: list[Difference]
    notes: list[str]


def find(alias: str, say: Say, progress: Say) -> Drift:
    """Compare the database with its applied migrations; nothing is written in it.

    `say` is told once what this waits for, `progress` often how far it is. Raises CouldNotBuild.
    """
    with own_session(alias) as live:
        require_postgresql(live)
        applied = Applied(live)
        with alone(live, "drift", say):
            expected = Scratches(live).catalog_of(applied, progress)
        found = read(live)
        notes = list(applied.notes())
    of_no_migration = _tables_of_no_migration(applied.loader) - expected.relations
    of_no_migration |= _further_partitions(found, expected)
    return Drift(applied.database, differences(found.without(of_no_migration), expected), notes)


def _tables_of_no_migration(loader: MigrationLoader) -> set[str]:
    """Tables that Django knows and no migration makes: of apps without migrations, not managed, or of a cache."""
    models = apps.get_models(include_auto_created=True)
    tables = {
        model._meta.db_table
        for model in models
        if model._meta.app_label in loader.unmigrated_apps or not model._meta.managed
    }
    caches = settings.CACHES.values()
    return tables | {cache["LOCATION"] for cache in caches if cache["BACKEND"].endswith("db.DatabaseCache")}


def _further_partitions(found: Catalog, expected: Catalog) -> set[str]:
    """Partitions that were made since of what migrations partitioned: they come and go with the rows, and are data."""

    def grown_from(name: str) -> str:
        parent = found.tables[name].parent
        return grown_from(parent) if parent in found.tables and parent not in expected.tables else parent

    return {
        name
        for name in found.tables.keys() - expected.tables.keys()
        if (root := expected.tables.get(grown_from(name))) and root.partition_key
    }


def as_text(drift: Drift) -> str:
    """A script for psql, whose comments tell the differences."""
    if not drift.differences:
        return f"-- No drift: {drift.database} is what its applied migrations build."
    count = len(drift.differences)
    end = f"-- {count} difference{'' if count == 1 else 's'} in {drift.database}."
    return "\n".join([*as_script(drift.differences), end])


def as_json(drift: Drift) -> str:
    found = [difference._asdict() for difference in drift.differences]
    return json.dumps({"database": drift.database, "differences": found}, indent=2)
