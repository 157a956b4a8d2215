"""Which lock was held on which table, and from when until when."""

from collections import defaultdict
from typing import NamedTuple

from migration_guard.rehearsal.measuring import MODES
from migration_guard.rehearsal.results import MigrationResult, StatementResult
from migration_guard.review.findings import BLOCKS

READS_AND_WRITES, WRITES = "reads and writes", "writes"


class Hold(NamedTuple):
    """A lock from the beginning of the statement that took it to the end of its transaction."""

    table: str
    mode: str
    began: float
    ended: float
    # Whether it is only what PostgreSQL documents of such a statement.
    documented: bool

    @property
    def ms(self) -> float:
        return self.ended - self.began

    @property
    def strength(self) -> int:
        return MODES.index(self.mode)

    @property
    def blocks(self) -> str:
        return blocks(self.mode)

    @property
    def blocks_somebody(self) -> bool:
        return self.blocks in {READS_AND_WRITES, WRITES}


def blocks(mode: str) -> str:
    """Whom a lock keeps waiting; the modes that a SELECT takes are not in BLOCKS."""
    return BLOCKS.get(mode, "nobody")


def released(statement: StatementResult) -> float:
    return statement.released or statement.began + statement.ms


def holds(migration: MigrationResult) -> dict[str, list[Hold]]:
    """By table, the tables under the strongest and longest locks first; without those that the migration makes."""
    new = new_tables(migration)
    found = defaultdict(list)
    for statement in migration.statements:
        for lock in statement.locks:
            if lock.relation not in new:
                hold = Hold(lock.relation, lock.mode, statement.began, released(statement), statement.documented)
                found[lock.relation].append(hold)
    return dict(sorted(found.items(), key=lambda item: _rank(strongest(item[1])), reverse=True))


def new_tables(migration: MigrationResult) -> set[str]:
    """Tables that nobody can be waiting for: nobody else has seen them yet."""
    return {each.table for each in migration.sizes if each.before is None}


def strongest(of_table: list[Hold]) -> Hold:
    """Of several of the strongest mode, as of several transactions, the longest."""
    return max(of_table, key=_rank)


def _rank(hold: Hold) -> tuple[int, float]:
    return hold.strength, hold.ms


def takes_strong_lock(statement: StatementResult, new: set[str]) -> bool:
    """Whether it takes a lock for which others wait, on a table that they know."""
    return any(blocks(lock.mode) in {READS_AND_WRITES, WRITES} and lock.relation not in new for lock in statement.locks)


def worth_reading(migration: MigrationResult, most: int) -> list[StatementResult]:
    """The statements that failed, rewrite, keep others waiting or take longest, in the order of their sending."""
    new = new_tables(migration)

    def rank(statement: StatementResult) -> tuple[bool, bool, bool, float]:
        return bool(statement.error), bool(statement.rewritten), takes_strong_lock(statement, new), statement.ms

    ranked = sorted(range(len(migration.statements)), key=lambda at: rank(migration.statements[at]), reverse=True)
    return [migration.statements[at] for at in sorted(ranked[:most])]
