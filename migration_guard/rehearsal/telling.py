"""What was measured in words, as the report and the page both tell it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from migration_guard.rehearsal.results import (
    Finding,
    MigrationResult,
    Outcome,
    Rehearsal,
    RowLoss,
    Size,
    Source,
    Stall,
    Verdict,
)
from migration_guard.rehearsal.verdict import ORDER
from migration_guard.review.findings import Severity
from migration_guard.units import count, duration, listed, size

KINDS = {
    "live": "a copy of the database {name}",
    "dump": "a copy restored from the dump {name}",
    "sample": "{percent:g} % of the rows of the database {name}",
    "schema": "the tables of {name} without their rows",
    "history": "an empty database, from the first migration of {name} on",
}
MEANINGS = {
    "sample": "Statements, locks and the previous release are as they will be; times and sizes are those of the "
    "sample. A wait for a lock is also told for all rows, in proportion to those of its table: an estimate.",
    "schema": "Locks are as they will be; how long they are held over rows, and what becomes of the rows, was not "
    "measured.",
    "history": "Each table had rows of the database's own, or made-up ones, as soon as it was there.",
}
# A table that did not grow by a tenth, or by this, is not worth a line.
GROWTH_BYTES = 1_000_000


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text) - limit:,} more characters)"


def one_line(text: str, limit: int = 300) -> str:
    return cut(" ".join(text.split()), limit)


def printable(text: str) -> str:
    """Without what would move a terminal's cursor or turn the direction of the writing; line ends are kept."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)


def copied(source: Source) -> str:
    """As "a copy of the database shop (1.2 GB, PostgreSQL 15.4)"."""
    kind = KINDS.get(source.kind, "{name}").format(name=source.name, percent=source.percent or 0)
    facts = [size(source.copied_bytes)] if source.copied_bytes else []
    return f"{kind} ({', '.join([*facts, f'PostgreSQL {source.server_version}'])})"


def rows_of(stall: Stall) -> str:
    return f"{stall.rows:,} of {stall.rows_in_source:,} rows" if stall.scale > 1 else count(stall.rows, "row")


def on_all_rows(stall: Stall, wait: float) -> str:
    """What a wait for a lock comes to on all rows of the source; empty where all of them were there."""
    return f"about {duration(wait * stall.scale)} on all rows" if stall.scale > 1 and wait else ""


def wal(migration: MigrationResult) -> str:
    """A part of the statements may not have been measured."""
    measured = [each.wal_bytes for each in migration.statements if each.wal_bytes is not None]
    if not measured:
        return "not measured" if migration.statements else size(0)
    return f"{'' if len(measured) == len(migration.statements) else 'at least '}{size(sum(measured))}"


def way_back(migration: MigrationResult) -> str:
    if not migration.reversible:
        return "irreversible"
    losses = [_loss(loss) for loss in migration.losses]
    if losses:
        return f"loses {listed(losses)}"
    return {True: "lossless", False: "not lossless", None: "not compared"}[migration.reverse_lossless]


def _loss(loss: RowLoss) -> str:
    rows = "an unknown number of rows" if loss.rows is None else count(loss.rows, "row")
    return f"{rows} of {loss.table}" if loss.column is None else f"{loss.table}.{loss.column} in {rows}"


def previous_release(migration: MigrationResult) -> str:
    """As "409 of 415 probes passed, 3 failed, 3 not probed"."""
    if not migration.previous_release:
        return "not probed"
    counts = Counter(probe.outcome for probe in migration.previous_release)
    parts = [f"{counts[Outcome.PASSED]:,} of {count(len(migration.previous_release), 'probe')} passed"]
    parts += [f"{counts[each]:,} {each}" for each in (Outcome.FAILED, Outcome.NOT_PROBED) if counts[each]]
    return ", ".join(parts)


def untold_failures(migration: MigrationResult) -> list[str]:
    """What the previous release cannot do, where no finding of the migration tells it."""
    if any(finding.id == "previous-release" for finding in migration.findings):
        return []
    failed = [probe for probe in migration.previous_release if probe.outcome == Outcome.FAILED]
    return [f"cannot {probe.operation} {probe.model}: {probe.error}" for probe in failed]


def waited(time: float, wait: float) -> str:
    """How much of the time was spent waiting for a lock; empty where that was nearly all of it."""
    return f"{duration(wait)} of it for a lock" if 0 < wait < 0.8 * time else ""


class Group(NamedTuple):
    """Findings that differ in their message only."""

    severity: Severity
    id: str
    hint: str
    messages: list[str]


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """The worst first."""
    groups: dict[tuple[Severity, str, str], list[str]] = {}
    for finding in findings:
        key = Severity(finding.severity), finding.id, finding.hint
        groups.setdefault(key, []).append(finding.message)
    return sorted((Group(*key, messages) for key, messages in groups.items()), key=lambda each: -each.severity)


def rewrites(migration: MigrationResult) -> Iterator[str]:
    """Tables and indexes that were written anew; a table with its sizes."""
    sizes = {each.table: each for each in migration.sizes}
    for name in dict.fromkeys(name for statement in migration.statements for name in statement.rewritten):
        yield f"{name} ({_sizes(sizes[name])})" if name in sizes else name


def growth(migration: MigrationResult) -> Iterator[str]:
    """Tables that were there before, were not written anew and have another size now."""
    rewritten = {name for statement in migration.statements for name in statement.rewritten}
    for each in migration.sizes:
        if each.before is None or each.table in rewritten:
            continue
        if abs((each.after or 0) - each.before) >= max(GROWTH_BYTES, each.before / 10):
            yield f"{each.table} ({_sizes(each)})"


def _sizes(each: Size) -> str:
    return f"{size(each.before)} before, {size(each.after)} after"


def longest_stall(migrations: Iterable[MigrationResult]) -> str:
    """As "2.05 s, readers of shop_item in shop.0002_v"; empty where nobody was measured."""
    stalls = [
        (max(time, wait * stall.scale), duration(time), on_all_rows(stall, wait), f"{who} of {table} in {each.title}")
        for each in migrations
        for table, stall in each.stall_ms.items()
        for who, time, wait in (
            ("readers", stall.read, stall.read_wait),
            ("writers", stall.write, stall.write_wait),
        )
    ]
    return ", ".join(filter(None, max(stalls)[1:])) if stalls else ""


def verdicts(rehearsal: Rehearsal) -> str:
    """As "3 migrations: 1 failed, 2 passed", the worst first."""
    counts = Counter(migration.verdict for migration in rehearsal.migrations)
    if not counts:
        return "No migration was pending" if not rehearsal.error else "No migration was rehearsed"
    parts = [f"{counts[each]:,} {each}" for each in reversed(ORDER) if counts[each]]
    return f"{count(len(rehearsal.migrations), 'migration')}: {', '.join(parts)}"


def effort(rehearsal: Rehearsal) -> str:
    """As "rehearsed in 4.2 s on PostgreSQL 18, copied in 12 s"."""
    server = f" on PostgreSQL {rehearsal.server_major}" if rehearsal.server_major else ""
    copying = rehearsal.source.copy_seconds
    copying_told = f", copied in {duration(copying * 1000)}" if copying else ""
    return f"rehearsed in {duration(rehearsal.seconds * 1000)}{server}{copying_told}"


def is_telling(migration: MigrationResult) -> bool:
    """Whether there is more to say of it than that it has passed."""
    return migration.verdict != Verdict.PASSED or bool(migration.findings or migration.unseen)
