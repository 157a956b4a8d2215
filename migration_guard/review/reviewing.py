"""Migrations, judged: each statement by the rules about its kind, in the order in which the server would see it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from migration_guard.ledger import MigrationKey
from migration_guard.review import rules
from migration_guard.review.actions import Action, actions
from migration_guard.review.collecting import LeanState, Work, advance, collect
from migration_guard.review.database import Database
from migration_guard.review.findings import JUDGES, Finding, Rule, Severity, declare
from migration_guard.review.offline import offline
from migration_guard.review.scene import Scene
from migration_guard.review.silences import Layout, Silence, layout_of
from migration_guard.review.syntax import Statement, parse

# How many migrations of the same app before the first one are read for what they have prepared.
LOOK_BACK = 5
LONGEST_STATEMENT = 2000
STRONGEST = "ACCESS EXCLUSIVE"
# What the operations that makemigrations writes do at the time when it is safe, or after looking first.
ON_PURPOSE = {
    "create-trigger",
    "drop-column",
    "drop-constraint",
    "drop-default",
    "drop-not-null",
    "drop-table",
    "if-not-exists-hides-invalid",
    "one-update-of-everything",
    "rename-column",
    "rename-table",
}

SILENCE_WITHOUT_REASON = declare(
    Rule("silence-without-reason", Severity.ERROR, "# review: the-id: the reason why it is no danger here")
)
SILENCE_UNUSED = declare(Rule("silence-unused", Severity.INFO, "Delete the comment."))


@dataclass(frozen=True)
class Reviewed:
    """A migration with what was found in it, and where it stands in its file."""

    key: MigrationKey
    layout: Layout
    findings: list[Finding]
    works: list[Work]


def review(
    loader: MigrationLoader,
    keys: Collection[MigrationKey],
    connection: BaseDatabaseWrapper,
    database: Database | None = None,
) -> list[Reviewed]:
    """Review these migrations, in the order of the plan; `connection` is not used but for its engine and settings.

    Raises ParserMissing.
    """
    silent = offline(connection, database.version if database else None)
    wanted = list(_with_predecessors(loader, keys))
    collected = list(_collect(loader, wanted, silent))
    scripts = [script for _, works in collected for work in works for script in work.scripts]
    parsed = iter(parse(scripts))
    scene = Scene(silent, database)
    reviewed = []
    for key, works in collected:
        layout = layout_of(loader.graph.nodes[key])
        found = list(_judge(works, parsed, scene))
        if key in keys:
            reviewed.append(Reviewed(key, layout, _without_silenced(key, found, layout.silences), works))
    return reviewed


def _with_predecessors(loader: MigrationLoader, keys: Collection[MigrationKey]) -> Iterator[MigrationKey]:
    """The keys in the order of the plan, and before them what the same app did last."""
    plan = plan_of(loader, keys)
    for app in dict.fromkeys(app for app, _ in keys):
        own = [key for key in plan if key[0] == app]
        first = min(own.index(key) for key in keys if key[0] == app)
        yield from own[max(first - LOOK_BACK, 0) : first]
    yield from keys


def plan_of(loader: MigrationLoader, keys: Collection[MigrationKey]) -> list[MigrationKey]:
    """The migrations and all that they need, in the order of their application."""
    return list(dict.fromkeys(step for key in sorted(keys) for step in loader.graph.forwards_plan(key)))


def _collect(
    loader: MigrationLoader, wanted: Collection[MigrationKey], connection: BaseDatabaseWrapper
) -> Iterator[tuple[MigrationKey, list[Work]]]:
    state = LeanState(real_apps=loader.unmigrated_apps)
    chosen = set(wanted)
    for key in plan_of(loader, chosen):
        migration = loader.graph.nodes[key]
        if key in chosen:
            yield key, collect(migration, state, connection)
        else:
            for operation in migration.operations:
                advance(operation, migration.app_label, state)


def _judge(works: list[Work], parsed: Iterator[list[Statement]], scene: Scene) -> Iterator[Finding]:
    statements = [(work, [statement for _ in work.scripts for statement in next(parsed)]) for work in works]
    if not works:
        return
    scene.begin(works[0].migration)
    for rule, shown, message in rules.operations.of_migration(works[0].migration, works):
        yield _finding(rule, rule.severity, works[0], shown, message, number=0)
    seen: set[int] = set()
    for work, told in statements:
        if id(work.operation) not in seen:
            seen.add(id(work.operation))
            for rule, shown, message in rules.operations.of_work(work, scene):
                yield _finding(rule, rule.severity, work, shown, message)
        for action in (action for statement in told for action in actions(statement, work)):
            yield from _judge_action(action, scene)
            scene.observe(action)
    for rule, work, number, shown, message in rules.operations.at_the_end(works, scene):
        yield _finding(rule, rule.severity, work, shown, message, number=number)


def _judge_action(action: Action, scene: Scene) -> Iterator[Finding]:
    for rule, judge in JUDGES.get(action.kind, []):
        if action.work.is_safer and rule.id in ON_PURPOSE:
            continue
        if message := judge(action, scene):
            severity, lock, size = rule.severity, rule.lock, scene.size(action.table)
            if rule.by_size and size and size.rows is not None:
                message = f"{message} It has {size}."
                severity = Severity(severity - 1) if size.is_small else severity
            if lock and lock != STRONGEST and action.is_atomic and action.table in scene.locked:
                message = f"{message} A statement before it has locked the table for readers too, until the commit."
                lock = STRONGEST
            yield _finding(rule, severity, action.work, action.statement.text, message, lock=lock)


def _finding(
    rule: Rule,
    severity: Severity,
    work: Work,
    statement: str,
    message: str,
    *,
    number: int | None = None,
    lock: str | None = None,
) -> Finding:
    migration = work.migration
    number = work.number if number is None else number
    return Finding(
        rule,
        severity,
        migration.app_label,
        migration.name,
        number,
        work.description if number else "the migration",
        statement[:LONGEST_STATEMENT],
        message,
        rule.lock if lock is None else lock,
    )


def _without_silenced(key: MigrationKey, found: list[Finding], silences: list[Silence]) -> list[Finding]:
    """What no comment takes back, and what is wrong with the comments."""
    used: set[Silence] = set()
    kept = []
    for finding in dict.fromkeys(found):
        matching = [
            silence for silence in silences if silence.id == finding.rule.id and silence.number in {0, finding.number}
        ]
        used.update(matching)
        if not any(silence.reason for silence in matching):
            kept.append(finding)
    for silence in dict.fromkeys(silences):
        if not silence.reason:
            message = "It takes a finding back without saying why; it is not heeded."
            kept.append(_about(SILENCE_WITHOUT_REASON, key, silence, message))
        elif silence not in used:
            kept.append(_about(SILENCE_UNUSED, key, silence, f"There is no {silence.id} here."))
    return kept


def _about(rule: Rule, key: MigrationKey, silence: Silence, message: str) -> Finding:
    return Finding(rule, rule.severity, *key, silence.number, "a comment", silence.text, message, rule.lock)
