"""What the measurements of a rehearsal amount to: findings, and by them the verdict."""

from collections.abc import Iterable, Iterator

from migration_guard.conf import GuardSettings
from migration_guard.rehearsal.results import Finding, MigrationResult, Outcome, Rehearsal, Stall, Verdict
from migration_guard.review.findings import Severity

BY_SEVERITY = {Severity.INFO: Verdict.PASSED, Severity.WARNING: Verdict.WARNED, Severity.ERROR: Verdict.FAILED}
# From the best to the worst.
ORDER = (Verdict.PASSED, Verdict.WARNED, Verdict.FAILED, Verdict.COULD_NOT_RUN)


def judge(result: MigrationResult, *, breaks_on_purpose: bool, known_failures: Iterable[tuple[str, str]]) -> None:
    """Add what the measurements say to the findings, and set the verdict.

    `breaks_on_purpose`: the migration declares that the previous release cannot work on what it makes. `known_failures`
    are the models and operations of it that failed before this migration.
    """
    result.findings += [
        *_stalls(result.stall_ms),
        *_previous_release(result, set(known_failures), breaks_on_purpose=breaks_on_purpose),
        *_way_back(result),
    ]
    result.verdict = worst([result.verdict, *(BY_SEVERITY[Severity(finding.severity)] for finding in result.findings)])


def conclude(rehearsal: Rehearsal) -> None:
    """The verdict on the whole: the worst of its parts; of a history, which nobody can change in a library, its own."""
    own = [each for each in rehearsal.migrations if each.is_guarded]
    counted = own if rehearsal.source.kind == "history" and own and not rehearsal.error else rehearsal.migrations
    of_findings = [BY_SEVERITY[finding.severity] for finding in rehearsal.findings]
    rehearsal.verdict = worst([rehearsal.verdict, *of_findings, *(each.verdict for each in counted)])


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=ORDER.index)


def _stalls(stalls: dict[str, Stall]) -> Iterator[Finding]:
    settings = GuardSettings.load()
    for table, stall in stalls.items():
        for who, wait in (("Readers", stall.read_wait), ("Writers", stall.write_wait)):
            on_all_rows = wait * stall.scale
            if on_all_rows <= settings.STALL_WARNS * 1000:
                continue
            rows = max(stall.rows, stall.rows_in_source)
            fails = on_all_rows > settings.STALL_FAILS * 1000 and rows > settings.STALL_ROWS
            told = f"{who} of {table} ({rows:,} rows) waited {wait:,.0f} ms for a lock"
            if stall.scale > 1:
                told += f" on {stall.rows:,} of its rows: about {on_all_rows:,.0f} ms on all of them"
            yield Finding(
                "stall",
                Severity.ERROR if fails else Severity.WARNING,
                f"{told}.",
                "Take what needs the time out of the transaction that holds the lock: review says which form does. "
                "A longer wait is allowed by MIGRATION_GUARD['STALL_FAILS'] and ['STALL_WARNS'].",
            )


def _previous_release(
    result: MigrationResult, known_failures: set[tuple[str, str]], *, breaks_on_purpose: bool
) -> Iterator[Finding]:
    failed = [probe for probe in result.previous_release if probe.outcome == Outcome.FAILED]
    new = [probe for probe in failed if probe[:2] not in known_failures]
    for model in dict.fromkeys(probe.model for probe in new):
        probes = [probe for probe in new if probe.model == model]
        operations = ", ".join(probe.operation for probe in probes)
        yield Finding(
            "previous-release",
            Severity.WARNING if breaks_on_purpose else Severity.ERROR,
            f"The release before cannot {operations} {model} any more: {probes[0].error}",
            "Change the schema in two releases: first what both can work with, then, once the first is nowhere at "
            "work, the rest; or declare it in the migration: serves_previous_release = False.",
        )


def _way_back(result: MigrationResult) -> Iterator[Finding]:
    # One that fails is told where it was tried.
    is_tried = any(finding.id == "reverse-fails" for finding in result.findings)
    if not result.reversible and not is_tried:
        yield Finding(
            "irreversible",
            Severity.WARNING,
            "There is no way back.",
            "Only a backup returns what it changes. Give it a way back, if only one that does nothing.",
        )
    if result.reverse_lossless is False:
        yield Finding(
            "loses-rows",
            Severity.WARNING,
            "Forward and back, and not all that was in the tables is there again.",
            "Keep what is removed until nobody will want it back: see the losses.",
        )
