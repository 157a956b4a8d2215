"""Comments beside an operation that take findings back, each with its reason: `# review: id: reason`."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db.migrations import Migration

from migration_guard.ledger import source_of

COMMENT = re.compile(r"#\s*review:\s*([\w, -]+?)\s*(?::\s*(.*))?$")


@dataclass(frozen=True)
class Silence:
    """One id that a comment takes back; `number` is that of the operation, 0 for the whole migration."""

    id: str
    reason: str
    number: int
    text: str


@dataclass(frozen=True)
class Layout:
    """Where the operations of a migration stand in its file, and what comments say beside them."""

    path: Path | None
    lines: dict[int, int]
    silences: list[Silence]


def layout_of(migration: Migration) -> Layout:
    """Nothing is known of a migration that no file defines, or whose operations are computed."""
    source = source_of(migration)
    if source is None:
        return Layout(None, {0: 1}, [])
    tree = ast.parse(source.code)
    spans = dict(_spans(tree))
    comments = _comments(source.code)
    alone = {line for line, (_, is_alone) in comments.items() if is_alone}
    silences = [
        Silence(name.strip(), (match[2] or "").strip(), number, text)
        for number, (first, last) in spans.items()
        for line in [*_above(first, alone), *range(first, last + 1)]
        if line in comments and (match := COMMENT.match(text := comments[line][0]))
        for name in match[1].split(",")
    ]
    return Layout(source.path, {number: first for number, (first, _) in spans.items()}, silences)


def _spans(tree: ast.Module) -> Iterator[tuple[int, tuple[int, int]]]:
    """The lines of each operation; for the migration as a whole, its first line alone."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Migration":
            yield 0, (node.lineno, node.lineno)
            for statement in node.body:
                yield from _operations(statement)


def _operations(statement: ast.stmt) -> Iterator[tuple[int, tuple[int, int]]]:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id="operations")], value=ast.List(elts=elements))
            | ast.AnnAssign(target=ast.Name(id="operations"), value=ast.List(elts=elements))
        ):
            for number, element in enumerate(elements, start=1):
                yield number, (element.lineno, element.end_lineno or element.lineno)


def _comments(code: bytes) -> dict[int, tuple[str, bool]]:
    """The comments by line, each with whether it stands alone there."""
    tokens = tokenize.tokenize(io.BytesIO(code).readline)
    return {
        token.start[0]: (token.string, not token.line[: token.start[1]].strip())
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _above(line: int, alone: set[int]) -> list[int]:
    first = line
    while first - 1 in alone:
        first -= 1
    return list(range(first, line))
