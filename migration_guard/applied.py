"""The migrations that are applied in a database, as one thing: what they are, and what they build where nothing is."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import django
from django.conf import settings
from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from migration_guard.connections import major_of, rows
from migration_guard.ledger import Known, Ledger, MigrationKey, source_of
from migration_guard.runs import RunLedger
from migration_guard.turns import is_taken

WHERE = "SELECT current_database(), current_schema(), current_setting('search_path'), current_user"

Say = Callable[[str], None]


class CouldNotBuild(CommandError):
    """There is no scratch database that holds what the applied migrations build."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=2)


class Applied:
    """The migrations that are recorded in a database and that this code has; a squash stands for what it replaces."""

    def __init__(self, live: BaseDatabaseWrapper) -> None:
        self.live = live
        ((self.database, self.schema, self.search_path, self.user),) = rows(live, WHERE)
        if self.schema is None:
            raise CouldNotBuild(f"No schema of the search_path ({self.search_path}) exists in {self.database}.")
        self.loader = MigrationLoader(live)
        self.loader.check_consistent_history(live)
        self.ledger = Ledger(live)
        self.keys = set(self.loader.applied_migrations)

    def notes(self) -> Iterator[str]:
        if is_taken(self.live):
            yield "Migrations are being applied at this moment: what they have done so far may be told as a difference."
        if unknown := self._not_on_disk():
            yield (
                f"Applied in this database and not in this code: {_names(unknown)}. What they made is told as extra, "
                "and what they dropped as missing: run drift with the release that has them."
            )
        if partial := RunLedger(self.live).partial().keys() - self.keys:
            yield f"Applied in part, so that what they have done so far is told as a difference: {_names(partial)}."

    def fingerprint(self) -> str:
        """Tells databases apart in which the same migrations would build another schema."""
        known = self.ledger.known()
        migrations = [(*key, _digest(migration, known.get(key))) for key, migration in self._by_key().items()]
        major = major_of(self.live)
        circumstances = [django.__version__, major, self.search_path, self.schema, settings.AUTH_USER_MODEL]
        text = json.dumps([circumstances, sorted(migrations)])
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def apply_to(self, scratch: BaseDatabaseWrapper, progress: Say) -> None:
        """Run them in an empty database, in Django's order; raises CouldNotBuild for the one that fails."""
        total, started = len(self._by_key()), list[Migration]()

        def told(action: str, migration: Any = None, *_: Any) -> None:
            if action == "apply_start":
                started.append(migration)
                progress(f"Building the schema to compare with: {len(started)} of {total}, {migration}")

        # The stubs know no argument of the callback's by its name.
        callback: Any = told
        executor = MigrationExecutor(scratch, callback)
        executor.loader = self.loader
        self.loader.applied_migrations = {}
        full_plan = executor.migration_plan(self.loader.graph.leaf_nodes(), clean_start=True)
        plan = [step for step in full_plan if (step[0].app_label, step[0].name) in self.keys]
        try:
            executor.migrate(targets=None, plan=plan)
        except Exception as error:
            what = f"{started[-1]} fails" if started else "The migrations fail"
            raise CouldNotBuild(
                f"{what} in an empty database, where drift runs the applied migrations to see what they build: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _by_key(self) -> dict[MigrationKey, Migration]:
        nodes = self.loader.graph.nodes
        return {key: nodes[key] for key in self.keys & nodes.keys()}

    def _not_on_disk(self) -> set[MigrationKey]:
        on_disk = self.loader.disk_migrations or {}
        replaced = {key for migration in self.loader.replacements.values() for key in migration.replaces}
        return self.keys - on_disk.keys() - replaced - self.ledger.replaced()


def _digest(migration: Migration, known: Known | None) -> str:
    """The fingerprint that the ledger has for these bytes, else a hash of them: to parse every file takes long."""
    source = source_of(migration)
    if source is None:
        return ""
    is_recorded = known is not None and known.source_digest == source.bytes_digest
    return known.fingerprint if known and is_recorded else source.bytes_digest


def _names(keys: Iterable[MigrationKey]) -> str:
    return ", ".join(f"{app}.{name}" for app, name in sorted(keys))
