"""A rehearsal for a terminal and for a program."""

import json
from collections.abc import Iterable, Iterator

from migration_guard.rehearsal.holds import Hold, holds, new_tables, strongest, worth_reading
from migration_guard.rehearsal.results import Finding, MigrationResult, Rehearsal, Stall, StatementResult, as_dict
from migration_guard.rehearsal.telling import (
    MEANINGS,
    copied,
    cut,
    effort,
    grouped,
    growth,
    is_telling,
    longest_stall,
    on_all_rows,
    one_line,
    previous_release,
    printable,
    rewrites,
    rows_of,
    untold_failures,
    verdicts,
    waited,
    wal,
    way_back,
)
from migration_guard.units import count, duration, listed

# Of more migrations, those of which nothing is to be told are counted only.
MOST_MIGRATIONS = 20
MOST_LINES = 5
MOST_STATEMENTS = 4
LONGEST_MESSAGE = 2000


def as_json(rehearsal: Rehearsal) -> str:
    """One object: everything that was measured."""
    return json.dumps(as_dict(rehearsal), indent=2)


def as_text(rehearsal: Rehearsal) -> str:
    migrations = rehearsal.migrations
    is_short = len(migrations) <= MOST_MIGRATIONS
    told = [each for each in migrations if is_short or is_telling(each)]
    lines = [*_head(rehearsal), *_findings(rehearsal.findings, ""), ""]
    for migration in told:
        lines += [*_of_migration(migration), ""]
    if len(told) < len(migrations):
        lines += [_of_quiet([each for each in migrations if not is_telling(each)]), ""]
    return printable("\n".join([*lines, *_unseen(migrations), *_summary(rehearsal)]))


def _head(rehearsal: Rehearsal) -> Iterator[str]:
    source = rehearsal.source
    yield f"{rehearsal.verdict.upper()}. Rehearsed on {copied(source)}."
    if rehearsal.error:
        yield f"It broke off, and what was measured until then follows: {cut(rehearsal.error, LONGEST_MESSAGE)}"
    if source.kind in MEANINGS:
        yield MEANINGS[source.kind]
    yield from source.notes


def _of_migration(migration: MigrationResult) -> Iterator[str]:
    yield f"{migration.title}  {migration.verdict}, {duration(migration.seconds * 1000)}, WAL {wal(migration)}"
    of_tables = holds(migration)
    yield from _section("lock", (_lock(each) for each in of_tables.values() if strongest(each).blocks != "nobody"))
    if new := new_tables(migration):
        yield from _section("new", [f"{listed(sorted(new))}: the locks on what is new block nobody"])
    yield from _section("stall", (_stall(*item) for item in _longest_first(migration)))
    blocked = [name for name, each in of_tables.items() if strongest(each).blocks_somebody]
    if unprobed := [name for name in blocked if name not in migration.stall_ms]:
        yield from _section("not measured", [f"stalls of {listed(unprobed)}"])
    yield from _section("rewrite", rewrites(migration))
    yield from _section("size", growth(migration))
    yield from _statements(migration)
    yield from _section("previous release", [previous_release(migration)])
    yield from _section("", (one_line(failure) for failure in untold_failures(migration)))
    yield from _section("way back", [way_back(migration)])
    yield from _findings(migration.findings, "  ")


def _section(name: str, told: Iterable[str]) -> Iterator[str]:
    """A line for each, the first of them under the name; of many the first ones and how many more there are."""
    lines = list(told)
    more = [f"and {len(lines) - MOST_LINES:,} more: see --json"] if len(lines) > MOST_LINES else []
    for number, line in enumerate(lines[:MOST_LINES] + more):
        yield f"  {'' if number else name:<17} {line}"


def _lock(of_table: list[Hold]) -> str:
    hold = strongest(of_table)
    times = sum(each.mode == hold.mode for each in of_table)
    held = f"held for {duration(hold.ms)}{f', the longest of {times:,} times' if times > 1 else ''}"
    documented = "; as PostgreSQL documents it" if hold.documented else ""
    return f"{hold.table}: {hold.mode}, blocks {hold.blocks}, {held}{documented}"


def _longest_first(migration: MigrationResult) -> list[tuple[str, Stall]]:
    return sorted(migration.stall_ms.items(), key=lambda item: -max(item[1].read, item[1].write))


def _stall(table: str, stall: Stall) -> str:
    who = [_who("readers", stall, stall.read, stall.read_wait), _who("writers", stall, stall.write, stall.write_wait)]
    return f"{table} ({rows_of(stall)}): {', '.join(who)}; {duration(stall.floor)} with no migration beside them"


def _who(who: str, stall: Stall, time: float, wait: float) -> str:
    details = ", ".join(filter(None, [waited(time, wait), on_all_rows(stall, wait)]))
    return f"{who} {duration(time)}{f' ({details})' if details else ''}"


def _statements(migration: MigrationResult) -> Iterator[str]:
    told = worth_reading(migration, MOST_STATEMENTS)
    for number, statement in enumerate(told):
        yield f"  {'' if number else 'SQL':<17} {duration(statement.ms):<8}  {one_line(statement.sql)}"
        for remark in _remarks(statement):
            yield f"  {'':<27} {remark}"
    if more := len(migration.statements) - len(told):
        yield f"  {'':<17} and {count(more, 'more statement')}: see --json"


def _remarks(statement: StatementResult) -> Iterator[str]:
    if statement.times > 1:
        yield f"sent {statement.times:,} times with other values, which took that together"
    if statement.rewritten:
        yield f"rewrites {listed(statement.rewritten)}"
    if statement.error:
        yield f"fails: {one_line(statement.error)}"


def _findings(findings: list[Finding], indent: str) -> Iterator[str]:
    for group in grouped(findings):
        for message in group.messages[:MOST_LINES]:
            first, *rest = cut(message, LONGEST_MESSAGE).splitlines() or [""]
            yield f"{indent}{group.severity} {group.id}: {first}"
            yield from (f"{indent}    {line}" for line in rest)
        if len(group.messages) > MOST_LINES:
            yield f"{indent}    and {len(group.messages) - MOST_LINES:,} more like it: see --json"
        if group.hint:
            yield f"{indent}    {group.hint}"


def _of_quiet(quiet: list[MigrationResult]) -> str:
    slowest = max(quiet, key=lambda each: each.seconds)
    took = f"the slowest, {slowest.title}, took {duration(slowest.seconds * 1000)}"
    return f"{count(len(quiet), 'more migration')} passed without a finding; {took}."


def _unseen(migrations: list[MigrationResult]) -> Iterator[str]:
    past = [(migration.title, sql) for migration in migrations for sql in migration.unseen]
    if past:
        yield f"Not seen, since it went past Django's cursors: {count(len(past), 'statement')}."
        yield from _section("", (f"{title}: {one_line(sql)}" for title, sql in past))
    documented = sum(each.documented for migration in migrations for each in migration.statements)
    if documented:
        yield f"The locks of {count(documented, 'statement')} are as PostgreSQL documents them, and not all were seen."


def _summary(rehearsal: Rehearsal) -> Iterator[str]:
    stall = longest_stall(rehearsal.migrations)
    yield f"{verdicts(rehearsal)}; {effort(rehearsal)}.{f' Longest stall: {stall}.' if stall else ''}"
