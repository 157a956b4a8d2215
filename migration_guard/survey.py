"""What the code, the database and the ledger say about the same migrations, and where they differ."""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.db import transaction
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from migration_guard.conf import GuardSettings
from migration_guard.fingerprints import VERSION, MigrationSource, describe_difference
from migration_guard.ledger import Action, Known, Ledger, MigrationKey, Outcome, Run, source_of


@dataclass
class Survey:
    """The differences, found without writing anything."""

    ledger: Ledger
    known: dict[MigrationKey, Known]
    # Applied without the guard: its row in django_migrations is none that the guard made.
    to_adopt: dict[MigrationKey, int] = field(default_factory=dict)
    edited: dict[MigrationKey, MigrationSource] = field(default_factory=dict)
    edited_upstream: dict[MigrationKey, MigrationSource] = field(default_factory=dict)
    # Applied here by the guard, and not in this code.
    unknown: list[MigrationKey] = field(default_factory=list)
    # New names of applied migrations, each with the name that it was applied under.
    renamed: dict[MigrationKey, MigrationKey] = field(default_factory=dict)
    # Other bytes, the same fingerprint: parsed each time until the new bytes are noted.
    reformatted: dict[MigrationKey, MigrationSource] = field(default_factory=dict)
    on_disk: dict[MigrationKey, Migration] = field(default_factory=dict)

    @classmethod
    def of(cls, loader: MigrationLoader, ledger: Ledger) -> "Survey":
        survey = cls(ledger, ledger.known(), on_disk=loader.disk_migrations or {})
        # The loader does not tell the row of a squash.
        rows: dict[MigrationKey, Any] = (
            recorder_of(loader).applied_migrations() if loader.replacements else loader.applied_migrations
        )
        applied = {key: row.pk for key, row in rows.items()}
        for key, record_id in applied.items():
            survey._compare(key, record_id)
        survey._forget_replaced(loader)
        survey._find_renamed(applied)
        return survey

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

    def describe_unknown(self, accepted: set[MigrationKey]) -> Iterator[str]:
        """What an older release has to know of a newer database; raises CommandError where it must not start.

        An app that this code does not have at all is told of only where it refuses: it may have been taken out.
        """
        installed = {config.label for config in apps.get_app_configs()}
        runs = self.ledger.runs.filter(outcome=Outcome.DONE).defer("parts")
        for app, name in sorted(set(self.unknown) - accepted):
            run = runs.filter(app=app, name=name).order_by("-id")[0]
            if app not in installed and run.serves_previous_release is not False:
                continue
            told = (
                f"{app}.{name} is applied in this database ({run.finished_at:%Y-%m-%d %H:%M}, by {run.who}@{run.host}"
            )
            told += f", release {run.release})" if run.release else ")"
            if run.serves_previous_release is False:
                raise CommandError(
                    f"{told} and not known to this code, which it is declared not to serve (serves_previous_release = "
                    "False). This release must not start on it: deploy one that has the migration, or undo it with "
                    f"that release: rollback {app} NAME_BEFORE_IT",
                    returncode=2,
                )
            serves = "declared to serve this code" if run.serves_previous_release else "not declared to serve this code"
            yield f"{told} and not known to this code: {serves}."

    def record(self, accepted: set[MigrationKey], reason: str, say: Callable[[str], None]) -> None:
        """Write the news into the ledger; the turn is held."""
        with transaction.atomic(using=self.ledger.connection.alias):
            for key, record_id in self.to_adopt.items():
                self.ledger.note(self._run(key, Action.ADOPT, record_id=record_id))
        if self.to_adopt:
            say(f"Adopted {len(self.to_adopt)} migrations that were applied without the guard.")
        for key in self.edited_upstream:
            self.ledger.note(self._run(key, Action.EDITED_UPSTREAM, record_id=self.known[key].record_id))
            say(f"{key[0]}.{key[1]} was edited by its package after it was applied here; recorded.")
        for (app, name), source in self.reformatted.items():
            self.ledger.runs.filter(app=app, name=name, fingerprint=source.fingerprint.digest).update(
                source_digest=source.bytes_digest
            )
        for key in sorted(accepted):
            self.ledger.note(self._run(key, Action.ACCEPT_EDIT, record_id=self.known[key].record_id, reason=reason))
            say(f"Accepted {key[0]}.{key[1]} as it is now: {reason}")

    def _run(self, key: MigrationKey, action: Action, **values: object) -> Run:
        migration = self.on_disk.get(key)
        return Run.of(migration, action, **values) if migration else Run.without_code(key, action, **values)

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
