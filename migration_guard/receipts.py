"""Receipts: the files beside the migrations that say which of them have passed a rehearsal, and on what schema."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration

from migration_guard.catalog import Catalog, read
from migration_guard.conf import GuardSettings
from migration_guard.connections import major_of
from migration_guard.ledger import source_of

FOLDER = "receipts"
# A file's name has up to 255 bytes, of which a migration's may take 252.
LONGEST_NAME = 255 - len(".json")
MAKE = "python manage.py rehearse"


@dataclass
class TableChange:
    """The schema of a table before and after a migration, as fingerprints; empty where there is no such table."""

    before: str
    after: str


@dataclass
class Receipt:
    """What a rehearsal has shown of one migration, without what differs from one time to the next."""

    migration: str
    fingerprint: str
    # The major versions of PostgreSQL that it passed on, each with what was copied.
    passed_on: dict[str, str] = field(default_factory=dict)
    # The strongest lock on each table.
    locks: dict[str, str] = field(default_factory=dict)
    previous_release: str = ""
    way_back: str = ""
    tables: dict[str, TableChange] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError for what is no receipt."""
        try:
            values = json.loads(text)
            tables = {table: TableChange(**change) for table, change in values.pop("tables").items()}
            return cls(**values, tables=tables)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"it is no receipt: {error!r}") from error

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    def is_as_good_as(self, other: "Receipt") -> bool:
        """Whether it says of the migration and its tables what the other one says."""
        return self.fingerprint == other.fingerprint and self.tables == other.tables


def path_of(migration: Migration) -> Path | None:
    """Where its receipt belongs; None for a migration that no file defines."""
    source = source_of(migration)
    name = migration.name.encode()[:LONGEST_NAME].decode(errors="ignore")
    return source.path.parent / FOLDER / f"{name}.json" if source else None


def is_guarded(migration: Migration) -> bool:
    source = source_of(migration)
    return source is not None and GuardSettings.load().guards(migration.app_label, source.path)


def receipt_of(migration: Migration) -> Receipt | None:
    """The one that is there. Raises ValueError for a file that is none."""
    path = path_of(migration)
    if path is None or not path.exists():
        return None
    try:
        return Receipt.from_json(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def readable_receipt_of(migration: Migration) -> Receipt | None:
    """One that cannot be read is as good as none."""
    try:
        return receipt_of(migration)
    except ValueError:
        return None


def has_receipt(migration: Migration) -> bool:
    """Whether it has one, for what it does now, whichever schema that was on."""
    receipt, source = readable_receipt_of(migration), source_of(migration)
    return bool(receipt and source and receipt.fingerprint == source.fingerprint.digest)


def require_receipts(
    pending: Iterable[Migration], connection: BaseDatabaseWrapper, *, partial: Collection[tuple[str, str]]
) -> Iterator[str]:
    """Raise CommandError where a pending migration has no receipt for this database; gives what a reader should know.

    `partial` are those of which some operations are in the database, so that its tables are on their way.
    """
    guarded = [migration for migration in pending if is_guarded(migration)]
    if not guarded:
        return
    checking = _Checking(connection, {app for app, _ in partial})
    problems = [problem for migration in guarded if (problem := checking.problem_of(migration))]
    if problems:
        raise CommandError(
            "\n".join(problems)
            + f"\nNothing was changed. Rehearse on a copy of this database, or of one like it: {MAKE}\nThen commit the "
            "receipts that it writes. Where that has to wait: migrate --without-receipt --reason '...'",
            returncode=2,
        )
    yield from checking.warnings


class _Checking:
    """Walks the plan: what a migration makes of a table is what the next one has to have been rehearsed on."""

    def __init__(self, connection: BaseDatabaseWrapper, unsettled_apps: Collection[str]) -> None:
        self.catalog: Catalog = read(connection)
        self.major = str(major_of(connection))
        self.unsettled_apps = unsettled_apps
        self.expected: dict[str, str] = {}
        self.warnings: list[str] = []

    def problem_of(self, migration: Migration) -> str | None:
        try:
            receipt = receipt_of(migration)
        except ValueError as error:
            return f"{migration}: its receipt cannot be read. {error}"
        if receipt is None:
            return (
                f"{migration} has no receipt ({_shown(path_of(migration))}): nobody has seen what it does to real data."
            )
        problem = self._problem_of(migration, receipt)
        self.expected |= {table: change.after for table, change in receipt.tables.items()}
        return problem

    def _problem_of(self, migration: Migration, receipt: Receipt) -> str | None:
        source = source_of(migration)
        if source and source.fingerprint.digest != receipt.fingerprint:
            return f"{migration} was edited since it was rehearsed."
        if self.major not in receipt.passed_on:
            majors = ", ".join(receipt.passed_on)
            if not any(abs(int(major) - int(self.major)) == 1 for major in receipt.passed_on):
                return f"{migration} was rehearsed on PostgreSQL {majors}, and this is {self.major}."
            self.warnings.append(f"{migration} was rehearsed on PostgreSQL {majors}; this is {self.major}.")
        others = [
            table
            for table, change in receipt.tables.items()
            if self.expected.get(table, fingerprint_of(self.catalog, table)) != change.before
        ]
        if others and migration.app_label not in self.unsettled_apps:
            return (
                f"{migration} was rehearsed on another schema of {', '.join(others)} than this database has: drift "
                "tells whether it was changed by hand."
            )
        return None


def fingerprint_of(catalog: Catalog, table: str) -> str:
    """Of one table; empty where there is none."""
    return catalog.fingerprint({table}) if table in catalog.tables else ""


def _shown(path: Path | None) -> str:
    if path is None:
        return "it is in no file"
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
