"""What a migration does, as a hash: of the syntax tree of its module, not of its bytes.

Two files have one fingerprint when they do the same: after a formatter, with other comments, docstrings, annotations or
dependencies. It needs neither Django nor settings and is the same on every Python from 3.11 on.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

VERSION = "1"
# Django's procedure for a squash edits these in migrations that are applied.
GRAPH_ATTRIBUTES = {"dependencies", "replaces", "run_before", "initial"}
WITHOUT_EFFECT = {"annotation", "returns", "ctx", "kind", "type_comment", "type_ignores", "type_params"}
DEEPEST_TREE = 20_000


class Part(NamedTuple):
    """A piece of a migration that can differ by itself: an operation, a function, an SQL file."""

    name: str
    digest: str
    text: str


class Fingerprint:
    """The parts of a migration, in the order in which they are written."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = tuple(parts)

    @cached_property
    def digest(self) -> str:
        """66 characters: the version of the method, a colon and 64 hexadecimal digits."""
        return f"{VERSION}:{_digest(''.join(part.digest for part in self.parts))}"

    @property
    def is_empty(self) -> bool:
        """Whether the migration does nothing, as one that only merges two branches."""
        return not any(part.name.startswith("operation") for part in self.parts)

    def operation_digests(self) -> list[str]:
        return [part.digest for part in self.parts if part.name.startswith("operation ")]

    def as_json(self) -> str:
        """ASCII only, so that a database of any encoding can keep it."""
        return json.dumps([[part.name, part.digest, part.text] for part in self.parts])

    @classmethod
    def from_json(cls, text: str) -> "Fingerprint":
        return cls(Part(*part) for part in json.loads(text))


class MigrationSource:
    """The module of a migration, and the SQL files below its app that the module names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def code(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def bytes_digest(self) -> str:
        """A hash of the bytes: where it is unchanged, so is the fingerprint, and nothing needs to be parsed."""
        digest = hashlib.sha256(self.code)
        for sql_file in self.sql_files:
            digest.update(b"\0" + sql_file.name.encode() + b"\0" + sql_file.read_bytes())
        return digest.hexdigest()

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Raises SyntaxError where the module is no Python."""
        with _deep_recursion():
            parts = [*_code_parts(self._tree, self.code), *(self._sql_part(sql_file) for sql_file in self.sql_files)]
        return Fingerprint(parts)

    @cached_property
    def sql_files(self) -> list[Path]:
        """The files that a string of the module names; of several with that name, those in the folders it names."""
        if b".sql" not in self.code:
            return []
        folders = {part for constant in self._strings for part in Path(constant).parts}
        found: set[Path] = set()
        for name in (constant for constant in self._strings if constant.endswith(".sql")):
            candidates = _named(self._sql_below_app, name)
            scores = [len(folders.intersection(path.parent.parts)) for path in candidates]
            found |= {path for path, score in zip(candidates, scores, strict=True) if score == max(scores)}
        return sorted(found)

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self.code)

    @cached_property
    def _strings(self) -> list[str]:
        constants = (node.value for node in ast.walk(self._tree) if isinstance(node, ast.Constant))
        return [constant for constant in constants if isinstance(constant, str) and "\0" not in constant]

    @cached_property
    def _sql_below_app(self) -> list[Path]:
        return [path for path in self.path.parent.parent.rglob("*.sql") if path.is_file()]

    def _sql_part(self, path: Path) -> Part:
        text = path.read_bytes().replace(b"\r\n", b"\n").decode(errors="surrogateescape")
        return Part(path.relative_to(self.path.parent.parent).as_posix(), _digest(ascii(text)), text)


def describe_difference(before: Fingerprint, after: Fingerprint) -> Iterator[str]:
    """The parts that differ, each as a unified diff of its text; a part that was only moved is shown as such."""
    # Few runs have a difference to tell.
    import difflib  # noqa: PLC0415

    matcher = difflib.SequenceMatcher(
        a=[part.digest for part in before.parts], b=[part.digest for part in after.parts], autojunk=False
    )
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag != "equal":
            old, new = before.parts[start:end], after.parts[new_start:new_end]
            yield from difflib.unified_diff(
                _lines(old), _lines(new), _names(old) or "(nothing)", _names(new) or "(nothing)", lineterm=""
            )


def _names(parts: Sequence[Part]) -> str:
    return ", ".join(part.name for part in parts)


def _lines(parts: Sequence[Part]) -> list[str]:
    return [line for part in parts for line in part.text.splitlines()]


def _named(paths: list[Path], name: str) -> list[Path]:
    """`create.sql` and `../sql/create.sql` name a file; `.sql` or `_up.sql`, the end of an f-string, several."""
    name = name.rpartition("../")[2].removeprefix("/")
    return [path for path in paths if path.match(name)] or [path for path in paths if path.as_posix().endswith(name)]


# The parts of a module


def _code_parts(tree: ast.Module, code: bytes) -> list[Part]:
    text, writer = _SourceText(code), _Writer()
    parts: list[Part] = []
    for node in tree.body:
        if _is_migration(node):
            parts += _migration_parts(node, text, writer)
        elif written := writer.write(node):
            parts.append(Part(_name_of(node), _digest(written), text.of(node)))
    # An import that only the dependencies need is no part of what the module does.
    imports = "\n".join(sorted(set(_imports(tree.body, used=writer.names))))
    return [Part("imports", _digest(imports), imports), *parts]


def _migration_parts(migration: ast.ClassDef, text: "_SourceText", writer: "_Writer") -> Iterator[Part]:
    header = ast.ClassDef(migration.name, migration.bases, migration.keywords, [], migration.decorator_list)
    header_text = ", ".join(map(text.of, [*migration.decorator_list, *migration.bases]))
    yield Part("class Migration", _digest(writer.write(header)), f"class {migration.name}: {header_text}")
    if imports := "\n".join(sorted(set(_imports(migration.body)))):
        yield Part("imports of the class", _digest(imports), imports)
    for node in migration.body:
        names = _assigns(node)
        if names and names <= GRAPH_ATTRIBUTES:
            continue
        if names == {"operations"} and isinstance(getattr(node, "value", None), ast.List):
            operations = node.value.elts  # type: ignore[attr-defined]
            for number, operation in enumerate(operations, start=1):
                name = f"operation {number}: {_name_of(operation)}"
                yield Part(name, _digest(writer.write(operation)), text.of(operation))
        elif written := writer.write(node):
            yield Part(_name_of(node), _digest(written), text.of(node))


def _name_of(node: ast.AST) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return f"function {name}"
        case ast.ClassDef(name=name):
            return f"class {name}"
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name
        case ast.Assign() | ast.AnnAssign():
            return ", ".join(sorted(_assigns(node))) or "assignment"
        case _:
            return type(node).__name__


def _is_migration(node: ast.stmt) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and node.name == "Migration"


def _assigns(node: ast.stmt) -> set[str]:
    match node:
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


class _SourceText:
    """The text of a node; ast.get_source_segment splits the whole source at each call."""

    def __init__(self, code: bytes) -> None:
        self._lines = code.splitlines(keepends=True)

    def of(self, node: ast.stmt | ast.expr) -> str:
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        lines = self._lines[first - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        indent = node.col_offset
        kept = [lines[0][indent:], *(line[len(line[:indent]) - len(line[:indent].lstrip()) :] for line in lines[1:])]
        return b"".join(kept).decode(errors="replace")


# The canonical form of a tree


class _Writer:
    """Writes trees as texts that are the same for the same effect, and empty for none.

    `names` are the names that what was written refers to.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()

    def write(self, node: Any) -> str:
        kind = type(node)
        if kind is ast.Constant:
            # ascii(): what repr() escapes depends on the Unicode tables of the Python that runs.
            return f"{type(node.value).__name__}:{node.value!a}"
        if kind is ast.Name:
            self.names.add(node.id)
            return f"Name({node.id!a})"
        if kind is list:
            return f"[{self._block(node)}]"
        if kind in _NOT_AS_WRITTEN:
            return self._special(node)
        return f"{kind.__name__}({self._fields(node)})" if isinstance(node, ast.AST) else ascii(node)

    def _special(self, node: ast.AST) -> str:
        match node:
            case ast.AnnAssign(target=target, value=value):
                return self.write(ast.Assign([target], value)) if value else ""
            case ast.Delete(targets=[ast.Tuple(elts=targets)]):
                return self.write(ast.Delete(targets))
            case ast.JoinedStr(values=values):
                return f"JoinedStr[{self._joined([value for value in values if not _is_empty_constant(value)])}]"
            case ast.BinOp():
                return f"BinOp[{self._terms(node)}]"
            case ast.Expr(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                return f"Expr({self.write(value)})"
            case ast.Delete():
                return f"Delete({self._fields(node)})"
            case _:
                return ""

    def _terms(self, node: ast.expr) -> str:
        """A sum of a thousand strings without a thousand nested calls, which 3.12 refuses whatever limit is set."""
        terms = []
        while isinstance(node, ast.BinOp):
            terms.append(f"{type(node.op).__name__} {self.write(node.right)}")
            node = node.left
        return ",".join([self.write(node), *reversed(terms)])

    def _fields(self, node: ast.AST) -> str:
        written = []
        kind: Any = type(node)
        for name in _effective_fields(kind):
            value = getattr(node, name, None)
            if value is not None and value != []:
                written.append(f"{name}={self.write(value)}")
        return ",".join(written)

    def _block(self, nodes: list[Any]) -> str:
        """A list of statements begins with its imports, as a set: isort moves and splits them, and drops doubles."""
        return self._joined([*sorted(set(_imports(nodes))), *nodes])

    def _joined(self, nodes: Iterable[Any]) -> str:
        return ",".join(filter(None, [node if isinstance(node, str) else self.write(node) for node in nodes]))


_NOT_AS_WRITTEN = {ast.AnnAssign, ast.BinOp, ast.Delete, ast.Expr, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Pass}


@cache
def _effective_fields(kind: Any) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in WITHOUT_EFFECT)


def _is_empty_constant(node: ast.expr) -> bool:
    """3.12 adds one to the format of an f-string's field."""
    return isinstance(node, ast.Constant) and node.value == ""


def _imports(nodes: Iterable[Any], used: Container[str] | None = None) -> Iterator[str]:
    """One line for each imported name, of those in `used` where it is given."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = f"from {'.' * node.level}{node.module or ''} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                if used is None or bound in used or bound == "*":
                    yield f"{origin}import {alias.name} as {alias.asname or alias.name}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """A sum of a thousand strings is a tree a thousand deep."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, DEEPEST_TREE))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
