"""What a statement does, one thing at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from migration_guard.review.collecting import Work
from migration_guard.review.syntax import TRIVIA, Node, Statement

# Of ALTER TABLE and what is in it: what is no action of its own, and what is told by the node below it.
NO_ACTION = {"TABLE_RELATION_NAME", "RELATION_NAME", "TABLE_NAME_REF", "IF_EXISTS", "COMMA", "SEMICOLON"}
WRAPPERS = {"ALTER_COLUMN", "ADD_CONSTRAINT"}
IN_WRAPPERS = {"COLUMN_NAME_REF", "IF_EXISTS", "CONSTRAINT_NAME_CLAUSE"}
ROW_CHANGES = ("UPDATE", "DELETE", "INSERT", "MERGE")
TABLE_NAMES = ("TABLE_NAME_REF", "RELATION_NAME_REF", "TABLE_NAME", "RELATION_NAME")


@dataclass(frozen=True)
class Action:
    """One thing that a statement does; ALTER TABLE may do several, each on the same table."""

    kind: str
    node: Node
    statement: Statement
    work: Work
    table: str

    @property
    def column(self) -> str:
        return self.node.name("COLUMN_NAME", "COLUMN_NAME_REF")

    @property
    def constraint(self) -> str:
        return self.node.name("CONSTRAINT_NAME", "CONSTRAINT_NAME_REF")

    @property
    def indexed(self) -> list[str]:
        """The columns of the index that it creates; empty names for expressions."""
        columns = self.node.first("PARTITION_ITEM_LIST")
        return [item.name("NAME_REF") for item in columns.all("PARTITION_ITEM")] if columns else []

    @property
    def is_atomic(self) -> bool:
        return bool(self.work.migration.atomic)


def actions(statement: Statement, work: Work) -> Iterator[Action]:
    node = statement.node
    if statement.kind in {*ROW_CHANGES, "SELECT"}:
        for change in node.all(*ROW_CHANGES):
            yield Action(change.kind, change, statement, work, _table_of(change))
    if statement.kind == "ALTER_TABLE":
        yield Action(statement.kind, node, statement, work, _table_of(node))
        for child in node.children:
            if child.kind not in NO_ACTION | TRIVIA and not child.kind.endswith("_KW"):
                yield Action(_kind_of(child), child, statement, work, _table_of(node))
    elif statement.kind not in ROW_CHANGES:
        yield Action(statement.kind, node, statement, work, _table_of(node))


def _kind_of(node: Node) -> str:
    """ALTER COLUMN and ADD CONSTRAINT are told by what they do: SET_NOT_NULL, CHECK_CONSTRAINT."""
    if node.kind not in WRAPPERS:
        return node.kind
    inner = (child.kind for child in node.children if child.kind not in IN_WRAPPERS | TRIVIA)
    return next((kind for kind in inner if not kind.endswith("_KW")), node.kind)


def _table_of(node: Node) -> str:
    return node.name(*TABLE_NAMES)
