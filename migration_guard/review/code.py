"""What the function of a RunPython does, as far as its source says it."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

from django.core.cache import cache, caches
from django.core.files.storage import default_storage
from django.db import models
from django.db.migrations.operations import RunPython

# What a migration talks to when it calls into these.
EXTERNAL = {
    "aiohttp", "anymail", "boto3", "botocore", "celery", "elasticsearch", "ftplib", "httpx", "kombu", "paramiko",
    "pika", "redis", "requests", "smtplib", "socket", "stripe", "subprocess", "urllib", "urllib3",
}  # fmt: skip
EXTERNAL_FUNCTIONS = {"send_mail", "send_mass_mail", "mail_admins", "mail_managers"}
MANAGERS = {"objects", "_default_manager", "_base_manager", "all_objects"}
BOUNDED = {"iterator", "first", "last", "count", "exists", "get", "aggregate", "earliest", "latest", "in_bulk"}


class Code:
    """A function with those of its module that it calls."""

    def __init__(self, function: Callable[..., object]) -> None:
        while isinstance(function, functools.partial):
            function = function.func
        self.function: Any = inspect.unwrap(function)

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__qualname__", None) or type(self.function).__name__)

    @property
    def module(self) -> str:
        return str(getattr(self.function, "__module__", None) or type(self.function).__module__)

    @property
    def is_nothing(self) -> bool:
        return self.function is RunPython.noop

    def is_of(self, module: str) -> bool:
        """Whether it stands in that module, or is Django's own, as RunPython.noop."""
        return self.module == module or self.module.startswith("django.")

    def imported_models(self) -> Iterator[str]:
        for node, names in self._nodes():
            is_use = isinstance(node, ast.Name) and _is_real_model(names.get(node.id))
            is_import = isinstance(node, ast.ImportFrom) and (node.module or "").endswith("models")
            is_user = isinstance(node, ast.Name) and node.id == "get_user_model"
            if (is_use or is_import or is_user) and not _is_of_django(node):
                yield _line(node)

    def imported_calls(self) -> Iterator[str]:
        """Functions of the same project, in other modules, that it calls."""
        package = self.module.partition(".")[0]
        for node, names in self._nodes():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                value = names.get(node.func.id)
                origin = str(getattr(value, "__module__", ""))
                if inspect.isfunction(value) and origin != self.module and origin.partition(".")[0] == package:
                    yield _line(node)

    def external_calls(self) -> Iterator[str]:
        for node, names in self._nodes():
            if isinstance(node, ast.Call) and _is_external(node.func, names):
                yield _line(node)

    def raw_cursors(self) -> Iterator[str]:
        for node, _ in self._nodes():
            match node:
                case ast.Call(func=ast.Attribute(attr="cursor" | "raw")):
                    yield _line(node)
                case ast.Call(func=ast.Attribute(value=ast.Name(id="schema_editor" | "editor"), attr="execute")):
                    yield _line(node)

    def whole_changes(self) -> Iterator[str]:
        """Changes of all rows of a queryset at once."""
        for tree, _ in self._functions:
            querysets = _names_of_querysets(tree)
            for node in ast.walk(tree):
                match node:
                    case ast.Call(func=ast.Attribute(attr="bulk_update"), args=[objects, *_], keywords=keywords):
                        is_batched = any(keyword.arg == "batch_size" for keyword in keywords)
                        if _is_queryset(objects, querysets) and not is_batched:
                            yield _line(node)
                    case ast.Call(func=ast.Attribute(value=value, attr="update" | "delete")):
                        if _is_queryset(value, querysets) and not _is_one_row(value):
                            yield _line(node)

    def whole_loops(self) -> Iterator[str]:
        """Loops over a queryset that hold all of its rows."""
        yield from (_line(loop.iter) for loop in self._loops() if not _is_bounded(loop.iter))

    def long_writes(self) -> Iterator[str]:
        """Loops that hold few rows of a queryset at a time, and write each of them."""
        for loop in self._loops():
            if "iterator" in _chain(loop.iter) and _writes(loop):
                yield _line(loop.iter)

    def _loops(self) -> Iterator[ast.For]:
        for tree, _ in self._functions:
            querysets = _names_of_querysets(tree)
            for node in ast.walk(tree):
                if isinstance(node, ast.For) and _is_queryset(node.iter, querysets):
                    yield node

    def _nodes(self) -> Iterator[tuple[ast.AST, dict[str, Any]]]:
        for tree, names in self._functions:
            for node in ast.walk(tree):
                yield node, names

    @cached_property
    def _functions(self) -> list[tuple[ast.AST, dict[str, Any]]]:
        """The trees of the function and of its helpers in the same module, with the names that they see."""
        found: dict[Any, tuple[ast.AST, dict[str, Any]]] = {}
        waiting = [self.function]
        while waiting:
            function = waiting.pop()
            tree = _tree_of(function)
            if function in found or tree is None:
                continue
            own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            names = {name: value for name, value in _globals(function).items() if name not in own}
            names |= dict(_imported_within(tree))
            found[function] = tree, names
            called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            waiting += [value for name in called if _is_helper(value := names.get(name), self.module)]
        return list(found.values())


def _line(node: ast.AST) -> str:
    """The statement's first line, as it is written."""
    return ast.unparse(node).splitlines()[0]


def _tree_of(function: Any) -> ast.AST | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    return _ForPostgreSQL().visit(tree)  # type: ignore[no-any-return]


class _ForPostgreSQL(ast.NodeTransformer):
    """Leaves out what stands under `if connection.vendor == "sqlite"`."""

    def visit_If(self, node: ast.If) -> Any:
        match node.test:
            case ast.Compare(
                left=ast.Attribute(attr="vendor"), ops=[ast.Eq()], comparators=[ast.Constant(value=vendor)]
            ):
                if vendor != "postgresql":
                    return [self.visit(each) for each in node.orelse] or ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)


def _globals(function: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(function, "__globals__", {})
    return found


def _imported_within(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    """What imports inside the function bind; nothing for what is not installed, or does not load, here."""
    for node in ast.walk(tree):
        with suppress(Exception):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.asname or alias.name.partition(".")[0], import_module(alias.name.partition(".")[0])
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    yield alias.asname or alias.name, getattr(import_module(node.module), alias.name)


def _is_helper(value: Any, module: str) -> bool:
    return inspect.isfunction(value) and value.__module__ == module


def _is_real_model(value: Any) -> bool:
    is_model = inspect.isclass(value) and issubclass(value, models.Model)
    return is_model and value is not models.Model and value.__module__ != "__fake__"


def _is_of_django(node: ast.AST) -> bool:
    """`from django.db import models` and `from django.db.models import F` bring no model."""
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django.")


def _is_external(function: ast.expr, names: dict[str, Any]) -> bool:
    root: ast.expr = function
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return False
    value = names.get(root.id)
    if value is cache or value is caches or value is default_storage:
        return True
    origin = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
    is_network = origin.split(".")[0] in EXTERNAL and not origin.startswith("urllib.parse")
    return is_network or (root.id in EXTERNAL_FUNCTIONS and origin.startswith("django.core.mail"))


def _names_of_querysets(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_queryset(value, found):
                if not _is_bounded(value):
                    found.add(name)
    return found


def _chain(node: ast.expr) -> list[str]:
    """The attributes that an expression goes through, from the last to the first."""
    names = []
    while True:
        match node:
            case ast.Attribute(value=value, attr=name):
                names.append(name)
                node = value
            case ast.Call(func=function):
                node = function
            case ast.Name(id=name):
                return [*names, name]
            case _:
                return names


def _is_queryset(node: ast.expr, known: set[str]) -> bool:
    chain = _chain(node)
    is_manager = bool(MANAGERS & set(chain[:-1])) or (bool(chain) and chain[-1] in known)
    makes_rows = not {"create", "get_or_create", "update_or_create", "bulk_create"} & set(chain)
    return is_manager and makes_rows


def _is_bounded(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) or bool(BOUNDED & set(_chain(node)))


def _writes(loop: ast.For) -> bool:
    called = (node.func for node in ast.walk(loop) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Attribute) and function.attr in {"save", "delete"} for function in called)


def _is_one_row(node: ast.expr) -> bool:
    """`filter(pk=...)`: at most one row."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and any(word.arg in {"pk", "id", "pk__in", "id__in"} for word in call.keywords):
            return True
    return False
