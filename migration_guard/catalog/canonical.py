"""One text for what PostgreSQL writes in two ways.

It writes some definitions otherwise once their own text has been run, as pg_restore does and who mends a difference.
"""

import re
from typing import Any

LITERAL = r"'(?:[^']|'')*'::[a-z ]+(?:\([0-9, ]+\))?"
CAST_ARRAY = re.compile(rf"\(ARRAY\[({LITERAL}(?:, {LITERAL})*)\]\)::([a-z ]+)\[\]")
CONNECTIVES = (" AND ", " OR ")
PIECE = re.compile(rf"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]|{"|".join(CONNECTIVES)}|[^'"()\s]+|.""", re.DOTALL)

# A list of pieces of text and of what is in parentheses, which is such a list again.
Nodes = list[Any]


def canonical(definition: str) -> str:
    """The definition as it is written after another run; the text of a function is none that PostgreSQL writes."""
    if "])::" in definition:
        definition = CAST_ARRAY.sub(_cast_each, definition)
    if "((" in definition and any(connective in definition for connective in CONNECTIVES):
        definition = _write(_flat(_parse(definition)))
    return definition


def _cast_each(array: re.Match[str]) -> str:
    """`name IN ('a', 'b')` on a varchar is written as an array with a cast, which is read as an array of casts."""
    literals, type_ = array.groups()
    elements = ", ".join(f"({literal})::{type_}" for literal in re.findall(LITERAL, literals))
    return f"ARRAY[{elements}]"


def _parse(definition: str) -> Nodes:
    open_: list[Nodes] = [[]]
    for piece in PIECE.findall(definition):
        if piece == "(":
            open_.append([])
        elif piece == ")":
            closed = open_.pop()
            open_[-1].append(closed)
        else:
            open_[-1].append(piece)
    return open_[0]


def _flat(nodes: Nodes) -> Nodes:
    """`((a AND b) AND c)`, as BETWEEN and comparisons of rows are kept, is read as `(a AND b AND c)`."""
    nodes = [_flat(node) if isinstance(node, list) else node for node in nodes]
    connective = _connective(nodes)
    flat: Nodes = []
    for before, node, after in zip([connective, *nodes], nodes, [*nodes[1:], connective], strict=False):
        is_operand = isinstance(node, list) and before == after == connective is not None
        flat += node if is_operand and _connective(node) == connective else [node]
    return flat


def _connective(nodes: Nodes) -> str | None:
    """The one connective between the nodes; None where there is none, or both."""
    found = {node for node in nodes if isinstance(node, str)} & set(CONNECTIVES)
    return found.pop() if len(found) == 1 else None


def _write(nodes: Nodes) -> str:
    return "".join(f"({_write(node)})" if isinstance(node, list) else node for node in nodes)
