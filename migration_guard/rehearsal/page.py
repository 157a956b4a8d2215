"""A rehearsal as one page for a reviewer: nothing in it is loaded from elsewhere, and no script runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from django.template import Context, Engine

from migration_guard.rehearsal.holds import Hold, holds, new_tables, released, strongest, worth_reading
from migration_guard.rehearsal.results import Finding, Lock, MigrationResult, Rehearsal, Stall, StatementResult, Verdict
from migration_guard.rehearsal.telling import (
    MEANINGS,
    Group,
    copied,
    cut,
    effort,
    grouped,
    growth,
    is_telling,
    longest_stall,
    on_all_rows,
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
from migration_guard.rehearsal.timeline import TimeLine, timeline
from migration_guard.rehearsal.verdict import ORDER
from migration_guard.units import count, duration, listed, size

TEMPLATE = "page.html"
# Of more migrations, these are told each by itself, and the others are rows of a table.
MOST_MIGRATIONS = 40
MOST_STATEMENTS = 30
MOST_TABLES = 50
MOST_MESSAGES = 10
LONGEST_SQL = 3000
LONGEST_MESSAGE = 2000
MARKS = {Verdict.PASSED: "\u2713", Verdict.WARNED: "!", Verdict.FAILED: "\u2717", Verdict.COULD_NOT_RUN: "?"}


def as_html(rehearsal: Rehearsal) -> str:
    """In ASCII alone, so that it reads the same in whatever encoding it is written."""
    engine = Engine(dirs=[str(Path(__file__).parent / "templates")], autoescape=True)
    # Numbers come as texts, and none is turned into another language's.
    context = Context(_content(rehearsal), use_l10n=False, use_tz=False)
    page = printable(engine.get_template(TEMPLATE).render(context))
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


class Badge(NamedTuple):
    text: str
    mark: str
    # The class by which it is coloured.
    kind: str


class Fact(NamedTuple):
    name: str
    value: str


@dataclass
class Line:
    """A migration in the table; `anchor` leads to its section, where it has one."""

    title: str
    badge: Badge
    seconds: str
    read: str
    write: str
    wal: str
    way_back: str
    previous_release: str
    anchor: str


@dataclass
class Section:
    """A migration by itself."""

    title: str
    badge: Badge
    anchor: str
    facts: list[Fact]
    findings: list[Group]
    failures: list[str]
    unseen: list[str]
    timeline: TimeLine
    statements: list[dict[str, str]]
    statements_told: str
    tables: list[dict[str, str]]


def _content(rehearsal: Rehearsal) -> dict[str, Any]:
    chosen = _chosen(rehearsal.migrations)
    anchors = {id(each): f"migration-{number}" for number, each in enumerate(chosen, start=1)}
    others = [each for each in rehearsal.migrations if id(each) not in anchors]
    return {
        "name": rehearsal.source.name,
        "badge": _badge(rehearsal.verdict),
        "summary": verdicts(rehearsal),
        "longest_stall": longest_stall(rehearsal.migrations),
        "error": cut(rehearsal.error, LONGEST_MESSAGE),
        "source": list(_source(rehearsal)),
        "meaning": MEANINGS.get(rehearsal.source.kind, ""),
        "notes": rehearsal.source.notes,
        "tables": _copied_tables(rehearsal),
        "findings": _findings(rehearsal.findings),
        "lines": [_line(each, anchors[id(each)]) for each in chosen],
        "others": [_line(each, "") for each in others],
        "others_told": count(len(others), "more migration"),
        "sections": [_section(each, anchors[id(each)]) for each in chosen],
    }


def _chosen(migrations: list[MigrationResult]) -> list[MigrationResult]:
    """The worst, the telling and the slowest ones, in their order."""

    def rank(at: int) -> tuple[int, bool, float]:
        each = migrations[at]
        return ORDER.index(each.verdict), is_telling(each), each.seconds

    ranked = sorted(range(len(migrations)), key=rank, reverse=True)
    return [migrations[at] for at in sorted(ranked[:MOST_MIGRATIONS])]


def _badge(verdict: Verdict) -> Badge:
    return Badge(str(verdict), MARKS[verdict], verdict.replace(" ", "-"))


def _source(rehearsal: Rehearsal) -> Iterator[Fact]:
    yield Fact("Rehearsed on", copied(rehearsal.source))
    yield Fact("Took", effort(rehearsal))


def _copied_tables(rehearsal: Rehearsal) -> list[dict[str, str]]:
    """The largest, where the copy does not hold all of their rows."""
    partial = [each for each in rehearsal.source.tables if each.in_source != each.in_copy]
    largest = sorted(partial, key=lambda each: -each.in_source)[:MOST_TABLES]
    return [{"name": each.table, "source": f"{each.in_source:,}", "copy": f"{each.in_copy:,}"} for each in largest]


def _line(migration: MigrationResult, anchor: str) -> Line:
    stalls = migration.stall_ms.values()
    return Line(
        title=migration.title,
        badge=_badge(migration.verdict),
        seconds=duration(migration.seconds * 1000),
        read=_longest([(stall, stall.read, stall.read_wait) for stall in stalls]),
        write=_longest([(stall, stall.write, stall.write_wait) for stall in stalls]),
        wal=wal(migration),
        way_back=way_back(migration),
        previous_release=previous_release(migration),
        anchor=anchor,
    )


def _longest(stalls: list[tuple[Stall, float, float]]) -> str:
    if not stalls:
        return "not measured"
    stall, time, wait = max(stalls, key=lambda each: max(each[1], each[2] * each[0].scale))
    return ", ".join(filter(None, [duration(time), on_all_rows(stall, wait)]))


def _section(migration: MigrationResult, anchor: str) -> Section:
    statements = worth_reading(migration, MOST_STATEMENTS)
    every = count(len(migration.statements), "statement")
    is_cut = len(statements) < len(migration.statements)
    return Section(
        title=migration.title,
        badge=_badge(migration.verdict),
        anchor=anchor,
        facts=list(_facts(migration)),
        findings=_findings(migration.findings),
        failures=_first([cut(each, LONGEST_MESSAGE) for each in untold_failures(migration)]),
        unseen=_first([cut(each, LONGEST_SQL) for each in migration.unseen]),
        timeline=timeline(migration),
        statements=[_statement(each) for each in statements],
        statements_told=f"{len(statements)} of {every}; the others are in the JSON" if is_cut else every,
        tables=[_table(name, *each) for name, each in _by_table(migration).items()],
    )


def _facts(migration: MigrationResult) -> Iterator[Fact]:
    yield Fact("Time", duration(migration.seconds * 1000))
    yield Fact("WAL", wal(migration))
    yield Fact("Way back", way_back(migration))
    yield Fact("Previous release", previous_release(migration))
    for name, told in (("Written anew", rewrites(migration)), ("Other size", growth(migration))):
        if every := list(told):
            yield Fact(name, listed(every))
    if new := new_tables(migration):
        yield Fact("New tables", f"{listed(sorted(new))}: the locks on what is new block nobody")


def _findings(findings: list[Finding]) -> list[Group]:
    return [
        group._replace(messages=_first([cut(message, LONGEST_MESSAGE) for message in group.messages]))
        for group in grouped(findings)
    ]


def _first(texts: list[str]) -> list[str]:
    more = len(texts) - MOST_MESSAGES
    return [*texts[:MOST_MESSAGES], f"and {more:,} more in the JSON"] if more > 0 else texts


def _statement(statement: StatementResult) -> dict[str, str]:
    documented = " (as PostgreSQL documents them)" if statement.documented else ""
    locks = _named(statement.locks)
    return {
        "sql": cut(statement.sql, LONGEST_SQL),
        "operation": statement.operation,
        "began": duration(statement.began),
        "took": duration(statement.ms) + (f", sent {statement.times:,} times" if statement.times > 1 else ""),
        "released": duration(released(statement)) if locks else "",
        "locks": f"{locks}{documented}" if locks else "none that the transaction did not hold already",
        "rewritten": listed(statement.rewritten),
        "wal": "not measured" if statement.wal_bytes is None else size(statement.wal_bytes),
        "error": cut(statement.error, LONGEST_MESSAGE),
    }


def _named(locks: list[Lock]) -> str:
    return listed((f"{lock.mode} on {lock.relation}" for lock in locks), most=10)


def _by_table(migration: MigrationResult) -> dict[str, tuple[list[Hold], Stall | None]]:
    held = holds(migration)
    names = dict.fromkeys([*held, *migration.stall_ms])
    return {name: (held.get(name, []), migration.stall_ms.get(name)) for name in list(names)[:MOST_TABLES]}


def _table(name: str, of_table: list[Hold], stall: Stall | None) -> dict[str, str]:
    hold = strongest(of_table) if of_table else None
    return {
        "name": name,
        "rows": rows_of(stall) if stall else "not measured",
        "lock": f"{hold.mode}, blocks {hold.blocks}" if hold else "none seen",
        "held": f"{duration(hold.ms)}, from {duration(hold.began)}" if hold else "",
        "read": _time(stall, stall.read, stall.read_wait) if stall else "not measured",
        "write": _time(stall, stall.write, stall.write_wait) if stall else "not measured",
        "floor": duration(stall.floor) if stall else "not measured",
    }


def _time(stall: Stall, time: float, wait: float) -> str:
    return ", ".join(filter(None, [duration(time), waited(time, wait), on_all_rows(stall, wait)]))
