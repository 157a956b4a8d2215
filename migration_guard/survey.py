"""What the code, the database and the ledger say about the same migrations, and where they differ."""

from collections.abc import Container
from textwrap import indent
from typing import Any

from django.core.management.base import CommandError
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from migration_guard.conf import GuardSettings
from migration_guard.fingerprints import VERSION, MigrationSource, describe_difference
from migration_guard.ledger import Known, Ledger, MigrationKey, source_of


class Survey:
    """The differences, found without writing anything."""

    def __init__(self, loader: MigrationLoader, ledger: Ledger) -> None:
        self.ledger = ledger
        self.known = ledger.known()
        self.on_disk = loader.disk_migrations or {}
        # Applied without the guard: its row in django_migrations is none that the guard made.
        self.to_adopt: dict[MigrationKey, int] = {}
        self.edited: dict[MigrationKey, MigrationSource] = {}
        self.edited_upstream: dict[MigrationKey, MigrationSource] = {}
        # Applied here by the guard, and not in this code.
        self.unknown: list[MigrationKey] = []
        # New names of applied migrations, each with the name that it was applied under.
        self.renamed: dict[MigrationKey, MigrationKey] = {}
        # Other bytes, the same fingerprint: parsed each time until the new bytes are noted.
        self.reformatted: dict[MigrationKey, MigrationSource] = {}
        self._find_differences(loader)

    def _find_differences(self, loader: MigrationLoader) -> None:
        # The loader does not tell the row of a squash.
        rows: dict[MigrationKey, Any] = (
            recorder_of(loader).applied_migrations() if loader.replacements else loader.applied_migrations
        )
        applied = {key: row.pk for key, row in rows.items()}
        for key, record_id in applied.items():
            self._compare(key, record_id)
        self._forget_replaced(loader)
        self._find_renamed(applied)

    @property
    def has_news(self) -> bool:
        """Whether there is something to write into the ledger."""
        return bool(self.to_adopt or self.edited_upstream or self.ledger.has_unfinished)

    def refuse_edits(self, accepted: set[MigrationKey], *, renamed: bool) -> None:
        """Raise CommandError for applied migrations whose operations are others now, or whose name is."""
        if edited := [item for item in self.edited.items() if item[0] not in accepted]:
            raise CommandError("\n".join(self._tell_edit(*item) for item in edited), returncode=2)
        if renamed and self.renamed:
            raise CommandError("\n".join(_tell_renaming(*pair) for pair in self.renamed.items()), returncode=2)

    def refuse_two_histories(self, pending: list[Migration], accepted: set[MigrationKey]) -> None:
        """Raise CommandError where an app has applied migrations that the code lacks, and pending ones on top."""
        labels = {migration.app_label for migration in pending} & {app for app, _ in set(self.unknown) - accepted}
        for app in sorted(labels):
            lacking = ", ".join(f"{key[0]}.{key[1]}" for key in self.unknown if key[0] == app)
            further = ", ".join(str(migration) for migration in pending if migration.app_label == app)
            raise CommandError(
                f"Two histories of {app}: applied in this database and not in this code: {lacking}; in the code and "
                f"not applied: {further}. Nothing was changed. Bring the missing file back (history {app} NAME --json "
                f"has its text), or say that it is to be forgotten: migrate --accept-edited {app} NAME --reason '...'",
                returncode=2,
            )

    def _compare(self, key: MigrationKey, record_id: int) -> None:
        known, migration = self.known.get(key), self.on_disk.get(key)
        if known is None or not known.is_applied or known.record_id != record_id:
            self.to_adopt[key] = record_id
        elif migration is None:
            if known.fingerprint:
                self.unknown.append(key)
        elif (source := source_of(migration)) and source.bytes_digest != known.source_digest:
            if not _differs(source, known):
                self.reformatted[key] = source
            elif GuardSettings.load().guards(migration.app_label, source.path):
                self.edited[key] = source
            else:
                self.edited_upstream[key] = source

    def _forget_replaced(self, loader: MigrationLoader) -> None:
        """Files that a squash replaced may go; their rows stay until they are pruned."""
        if self.unknown:
            replaced = self.ledger.replaced()
            for migration in loader.replacements.values():
                replaced |= set(migration.replaces)
            self.unknown = [key for key in self.unknown if key not in replaced]

    def _find_renamed(self, applied: Container[MigrationKey]) -> None:
        """Pair what is unknown with what does the same; where that is recorded too, the old name is settled."""
        for old in list(self.unknown):
            for key, migration in self.on_disk.items():
                if key[0] == old[0] and _does(migration, self.known[old].fingerprint):
                    if key in applied:
                        self.unknown.remove(old)
                    else:
                        self.renamed[key] = old
                    break

    def _tell_edit(self, key: MigrationKey, source: MigrationSource) -> str:
        app, name = key
        difference = "\n".join(describe_difference(self.ledger.fingerprint_of(key), source.fingerprint))
        return (
            f"{app}.{name} was edited after it was applied to this database:\n{indent(difference, '    ')}\n"
            "What is applied stays as it was, so that code and database differ. Nothing was changed. Take the edit "
            "back and write a new migration. Where it is applied nowhere else: take the edit back, rollback, edit, "
            "migrate. Where the edit changes nothing in the database, say so: "
            f"migrate --accept-edited {app} {name} --reason '...'"
        )


def unrecorded_squashes(loader: MigrationLoader) -> list[Migration]:
    """Squashes whose replaced migrations are all applied, and that are not recorded themselves."""
    if not loader.replacements:
        return []
    applied = recorder_of(loader).applied_migrations()
    return [
        migration
        for key, migration in loader.replacements.items()
        if key not in applied and all(replaced in applied for replaced in migration.replaces)
    ]


def recorder_of(loader: MigrationLoader) -> MigrationRecorder:
    return MigrationRecorder(loader.connection)  # type: ignore[arg-type]  # None only where it checks files alone


def _differs(source: MigrationSource, known: Known) -> bool:
    """Fingerprints of another version of the method cannot be compared."""
    return known.fingerprint.startswith(f"{VERSION}:") and source.fingerprint.digest != known.fingerprint


def _does(migration: Migration, digest: str) -> bool:
    """Whether the migration has this fingerprint; two that do nothing, as merges, are not the same for that."""
    source = source_of(migration)
    return source is not None and not source.fingerprint.is_empty and source.fingerprint.digest == digest


def _tell_renaming(key: MigrationKey, old: MigrationKey) -> str:
    app, name = key
    return (
        f"{app}.{name} does what {app}.{old[1]} did, which is applied in this database and no longer in this code: it "
        "was renamed after it was applied, and applying it again would fail or do it twice. Nothing was changed. "
        f"Rename it back to {old[1]}; or say in the renamed file which one it replaces, which migrate then records: "
        f"replaces = [('{app}', '{old[1]}')]"
    )
