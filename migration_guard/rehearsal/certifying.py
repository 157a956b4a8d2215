"""Receipts from what a rehearsal has measured."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from django.db.migrations import Migration

from migration_guard.ledger import MigrationKey, source_of
from migration_guard.receipts import Receipt, TableChange, is_guarded, path_of, readable_receipt_of
from migration_guard.rehearsal.measuring import strongest
from migration_guard.rehearsal.results import MigrationResult, Outcome, Rehearsal, Verdict

# Of what is not there, nothing was shown.
WITHOUT_ROWS = {"schema"}


def write_receipts(
    rehearsal: Rehearsal, migrations: Mapping[MigrationKey, Migration], *, adds_major: bool
) -> Iterator[Path]:
    """Write those that are missing or stale, of what has passed; with `adds_major` also this server's version."""
    for migration, receipt in _receipts(rehearsal, migrations):
        path, present = path_of(migration), readable_receipt_of(migration)
        if path is None:
            continue
        if present and present.is_as_good_as(receipt):
            if not adds_major or receipt.passed_on.keys() <= present.passed_on.keys():
                continue
            receipt.passed_on = dict(sorted((present.passed_on | receipt.passed_on).items()))
        path.parent.mkdir(exist_ok=True)
        path.write_text(receipt.as_json())
        yield path


def stale_receipts(rehearsal: Rehearsal, migrations: Mapping[MigrationKey, Migration]) -> Iterator[str]:
    """What is wrong with the receipts of what has passed."""
    for migration, receipt in _receipts(rehearsal, migrations):
        present = readable_receipt_of(migration)
        if present is None:
            yield f"{migration} has no receipt."
        elif not present.is_as_good_as(receipt):
            yield f"{migration} has a stale receipt: it, or a table that it touches, is another one by now."


def _receipts(
    rehearsal: Rehearsal, migrations: Mapping[MigrationKey, Migration]
) -> Iterator[tuple[Migration, Receipt]]:
    if rehearsal.source.kind in WITHOUT_ROWS:
        return
    for result in rehearsal.migrations:
        migration = migrations[result.app, result.name]
        if result.verdict in {Verdict.PASSED, Verdict.WARNED} and is_guarded(migration):
            yield migration, _receipt(rehearsal, result, migration)


def _receipt(rehearsal: Rehearsal, result: MigrationResult, migration: Migration) -> Receipt:
    source = source_of(migration)
    modes: dict[str, list[str]] = {}
    for lock in (lock for statement in result.statements for lock in statement.locks):
        modes.setdefault(lock.relation, []).append(lock.mode)
    return Receipt(
        migration=result.title,
        fingerprint=source.fingerprint.digest if source else "",
        passed_on={str(rehearsal.server_major): rehearsal.source.kind},
        locks={table: strongest(found) for table, found in sorted(modes.items())},
        previous_release=_previous_release(result),
        way_back=_way_back(result),
        tables={table: TableChange(*change) for table, change in sorted(result.schema.items())},
    )


def _previous_release(result: MigrationResult) -> str:
    outcomes = {probe.outcome for probe in result.previous_release}
    if Outcome.FAILED in outcomes:
        return "breaks, as declared"
    return "works" if Outcome.PASSED in outcomes else "not probed"


def _way_back(result: MigrationResult) -> str:
    if not result.reversible:
        return "none"
    return "loses rows" if result.reverse_lossless is False else "lossless"
