"""A finding, and the rules that findings come from."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migration_guard.review.actions import Action
    from migration_guard.review.scene import Scene

# Whom a lock keeps waiting on its table, by PostgreSQL's table of conflicting lock modes.
BLOCKS = {
    "": "nobody",
    "ROW EXCLUSIVE": "nobody, except for the rows that it changes",
    "SHARE UPDATE EXCLUSIVE": "neither reads nor writes",
    "SHARE": "writes",
    "SHARE ROW EXCLUSIVE": "writes",
    "EXCLUSIVE": "writes",
    "ACCESS EXCLUSIVE": "reads and writes",
}


class Severity(IntEnum):
    """How bad it is: ERROR stops the application or a release, WARNING may, INFO is worth knowing."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Rule:
    """One id of docs/findings.md. `by_size`: how bad it is depends on how many rows the table has."""

    id: str
    severity: Severity
    hint: str
    lock: str = ""
    by_size: bool = False


@dataclass(frozen=True)
class Finding:
    """What a rule found in one statement, or in the code, of an operation."""

    rule: Rule
    severity: Severity
    app: str
    name: str
    # Counted from 1; 0 for what concerns the whole migration.
    number: int
    operation: str
    statement: str
    message: str
    lock: str

    def as_dict(self) -> dict[str, str]:
        return {
            "id": self.rule.id,
            "severity": str(self.severity),
            "app": self.app,
            "name": self.name,
            "operation": self.operation,
            "statement": self.statement,
            "lock": self.lock,
            "blocks": BLOCKS[self.lock],
            "message": self.message,
            "hint": self.rule.hint,
        }


# A judge says what is wrong with an action, or nothing.
Judge = Callable[["Action", "Scene"], str | None]
RULES: dict[str, Rule] = {}
JUDGES: dict[str, list[tuple[Rule, Judge]]] = {}


def declare(rule: Rule) -> Rule:
    """Add the rule to those that can be found, documented and silenced."""
    if rule.id in RULES:
        raise ValueError(f"There are two rules called {rule.id}.")
    RULES[rule.id] = rule
    return rule


def judges(rule: Rule, *kinds: str) -> Callable[[Judge], Judge]:
    """Declare the rule; the decorated judge is asked about each action of these kinds, as the parser calls them."""
    declare(rule)

    def register(judge: Judge) -> Judge:
        for kind in kinds:
            JUDGES.setdefault(kind, []).append((rule, judge))
        return judge

    return register
