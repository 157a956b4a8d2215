"""The ledger, looked at: what it says last about each migration. What writes it is in runs.py."""

import json
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration

from migration_guard.connections import rows
from migration_guard.fingerprints import Fingerprint, MigrationSource

MigrationKey = tuple[str, str]

# The actions after which a migration is applied.
LEAVE_APPLIED = {"apply", "fake apply", "adopt", "accept edit", "edited upstream", "replace"}

IS_THERE = "SELECT to_regclass('migration_guard_run') IS NOT NULL"
KNOWN = """
    SELECT DISTINCT ON (app, name) app, name, action, record_id, fingerprint, source_digest
    FROM migration_guard_run WHERE outcome = 'done'
    ORDER BY app, name, id DESC
"""
IS_UNFINISHED = "SELECT EXISTS (SELECT FROM migration_guard_run WHERE outcome = 'running')"
REPLACED = "SELECT replaced FROM migration_guard_run WHERE replaced <> ''"
PARTS = """
    SELECT parts FROM migration_guard_run
    WHERE app = %s AND name = %s AND outcome = 'done' AND parts <> '' ORDER BY id DESC LIMIT 1
"""


class Known(NamedTuple):
    """What the ledger says last about a migration, of what was done with it to the end."""

    action: str
    record_id: int | None
    fingerprint: str
    source_digest: str

    @property
    def is_applied(self) -> bool:
        return self.action in LEAVE_APPLIED


class Ledger:
    """The rows of one database. A database that the guard has not come to yet has none."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._exists = False

    @property
    def exists(self) -> bool:
        if not self._exists:
            ((self._exists,),) = rows(self.connection, IS_THERE)
        return self._exists

    @property
    def has_unfinished(self) -> bool:
        """Whether a run is at work, or was killed."""
        return self.exists and rows(self.connection, IS_UNFINISHED) == [(True,)]

    def known(self) -> dict[MigrationKey, Known]:
        found = rows(self.connection, KNOWN) if self.exists else []
        return {(app, name): Known(*rest) for app, name, *rest in found}

    def fingerprint_of(self, key: MigrationKey) -> Fingerprint:
        """The parts that the last finished run of the migration kept."""
        found = rows(self.connection, PARTS, key)
        return Fingerprint.from_json(found[0][0] if found else "[]")

    def replaced(self) -> set[MigrationKey]:
        """The migrations that a squash stands for."""
        found = rows(self.connection, REPLACED) if self.exists else []
        return {(app, name) for (line,) in found for app, name in json.loads(line)}


def source_of(migration: Migration) -> MigrationSource | None:
    """The module's file; None for a migration that no .py file defines, as one in a zip archive."""
    module = sys.modules[type(migration).__module__]
    is_file = isinstance(getattr(module, "__loader__", None), SourceFileLoader)
    return MigrationSource(Path(str(module.__file__))) if is_file else None
