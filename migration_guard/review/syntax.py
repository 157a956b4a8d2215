"""SQL as a tree, by squawk's parser: its binary prints the tree, and this reads what it prints."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from sysconfig import get_path

from django.core.management.base import CommandError

# Its debug output is no promise: tests/migration_guard/test_syntax.py holds this version to it.
SQUAWK = "squawk-cli==2.70.0"
FILES_AT_ONCE = 1000
LINE = re.compile(r"( *)([A-Z_]+)@(\d+)\.\.(\d+)")
ERROR = re.compile(r'ERROR@(\d+) "(.*)"')
SYNTAX_ERROR = "SYNTAX_ERROR"
TRIVIA = {"WHITESPACE", "COMMENT"}


class ParserMissing(CommandError):
    """The program that parses SQL is not installed, or it is not the one that was tried."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"review reads SQL with squawk's parser: {found} Install it where Django is: pip install {SQUAWK}",
            returncode=2,
        )


@dataclass
class Node:
    """A piece of a script's tree; `start` and `end` are offsets in bytes."""

    kind: str
    start: int
    end: int
    source: bytes = field(repr=False)
    children: list["Node"] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.source[self.start : self.end].decode().strip()

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, *kinds: str) -> list["Node"]:
        return [node for node in self.walk() if node.kind in kinds]

    def first(self, *kinds: str) -> "Node | None":
        return next((node for node in self.walk() if node.kind in kinds), None)

    def has(self, *kinds: str) -> bool:
        return self.first(*kinds) is not None

    def child(self, *kinds: str) -> "Node | None":
        return next((node for node in self.children if node.kind in kinds), None)

    def name(self, *kinds: str) -> str:
        """The identifier below the first node of these kinds, as PostgreSQL stores it; empty where there is none."""
        node = self.first(*kinds)
        path = node and (node.first("PATH", "PATH_REF") or node)
        return ".".join(path.identifiers()).removeprefix("public.") if path else ""

    @property
    def text_of_type(self) -> str:
        """The type that the node gives a column, as it is written; empty where it gives none."""
        node = next((node for node in self.walk() if node.kind.endswith("_TYPE") and node.kind != "SET_TYPE"), None)
        return " ".join(node.text.split()) if node else ""

    def identifiers(self) -> list[str]:
        """The parts of a dotted name, folded or unquoted; leaves that are only punctuation are left out."""
        leaves = [node for node in self.walk() if not node.children and node.kind not in TRIVIA]
        return [_folded(leaf.text) for leaf in leaves if leaf.kind == "IDENT" or leaf.kind.endswith("_KW")]


@dataclass
class Statement:
    """One statement of a script, and what the parser found wrong within it."""

    node: Node
    errors: list[str]

    @property
    def kind(self) -> str:
        return SYNTAX_ERROR if self.errors else self.node.kind

    @property
    def text(self) -> str:
        return self.node.text


def parse(scripts: Sequence[str]) -> list[list[Statement]]:
    """The statements of each script. Raises ParserMissing."""
    parsed: list[list[Statement]] = []
    for first in range(0, len(scripts), FILES_AT_ONCE):
        parsed += _parse([script.encode(errors="replace") for script in scripts[first : first + FILES_AT_ONCE]])
    return parsed


def _parse(scripts: list[bytes]) -> list[list[Statement]]:
    with tempfile.TemporaryDirectory() as folder:
        for number, script in enumerate(scripts):
            Path(folder, f"{number:05}.sql").write_bytes(script)
        names = [f"{number:05}.sql" for number in range(len(scripts))]
        printed = subprocess.run([_squawk(), "--debug", "parse", *names], cwd=folder, capture_output=True, check=False)
    sections = re.split(r"^(?=SOURCE_FILE@)", printed.stdout.decode(), flags=re.MULTILINE)[1:]
    if len(sections) != len(scripts):
        said = printed.stderr.decode(errors="replace").strip() or "it printed something else than a tree."
        raise ParserMissing(f"another version answered: {said}")
    return [_read(section, script) for section, script in zip(sections, scripts, strict=True)]


def _squawk() -> str:
    """Beside the Python that runs, or on the path."""
    found = shutil.which("squawk", path=get_path("scripts")) or shutil.which("squawk")
    if found is None:
        raise ParserMissing("there is no `squawk` here.")
    return found


def _read(section: str, source: bytes) -> list[Statement]:
    tree, _, errors = section.partition("\n---\n")
    root = _tree(tree, source)
    found = [(int(offset), message) for offset, message in ERROR.findall(errors)]
    statements = [node for node in root.children if node.kind not in TRIVIA | {"SEMICOLON"}]
    # What stands before the first statement is counted to it.
    starts = [0, *(node.start for node in statements[1:]), len(source) + 1]
    return [
        Statement(node, [message for at, message in found if start <= at < end])
        for node, (start, end) in zip(statements, pairwise(starts), strict=False)
    ]


def _tree(printed: str, source: bytes) -> Node:
    root = Node("SOURCE_FILE", 0, len(source), source)
    path = [root]
    for line in printed.splitlines()[1:]:
        if match := LINE.match(line):
            depth = len(match[1]) // 2
            node = Node(match[2], int(match[3]), int(match[4]), source)
            del path[depth:]
            path[-1].children.append(node)
            path.append(node)
    return root


def _folded(identifier: str) -> str:
    """As PostgreSQL folds it: a quoted one as it is, any other in lower case."""
    if identifier.startswith('"') and identifier.endswith('"') and len(identifier) > 1:
        return identifier[1:-1].replace('""', '"')
    return identifier.lower()
