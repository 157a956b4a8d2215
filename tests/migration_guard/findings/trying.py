"""Migrations written as fragments, reviewed in this process."""

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import indent
from types import ModuleType

from django.db import connections
from django.db.migrations import Migration
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.loader import MigrationLoader

from migration_guard.review.database import Database
from migration_guard.review.findings import Finding
from migration_guard.review.reviewing import review
from tests.migration_guard.stranger import INITIAL

HEADER = """
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.operations import (
    AddConstraintNotValid, AddIndexConcurrently, BtreeGistExtension, RemoveIndexConcurrently, ValidateConstraint,
)
from django.db import migrations, models
from django_pg_migration_tools.operations import SaferAddUniqueConstraint, SaferAlterFieldSetNotNull
from migration_guard.operations import (
    AddFieldKeepingDefault, AddUniqueConstraintConcurrently, AlterFieldConcurrently, AlterFieldForeignKeyNotValid,
    AlterFieldToNotNull, DropDefault, DropOldNameView, DropRetiredField, DropRetiredModel, RenameModelKeepingView,
    RetireField, RetireModel, RunSQLOnce, UniqueTogetherConcurrently, ValidateForeignKey,
)

"""
CLEANING = """
def clean(apps, schema_editor):
    pass
"""
DOCSTRING = re.compile(r'(""".*?"""\n)?(.*)', re.DOTALL)
NEXT_MIGRATION = re.compile(r"^(?:#|--) the next migration\n", re.MULTILINE)
NOT_ATOMIC = "-- atomic = False\n"
numbers = itertools.count(1)


@dataclass(frozen=True)
class Example:
    """Migrations of the app `shop` after its first one, and the ids of what there is to find in them.

    `text` is a fragment of Python, or SQL for a RunSQL that has a way back; a line `# the next migration` parts two.
    """

    name: str
    text: str
    expected: frozenset[str] = frozenset()
    is_sql: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def modules(self) -> list[str]:
        write = _of_sql if self.is_sql else _of_python
        return [write(part) for part in NEXT_MIGRATION.split(self.text)]


def found_in(example: Example, folder: Path, database: Database | None = None) -> set[str]:
    """The ids of what is found in the example's migrations; their modules are written into the folder."""
    return {finding.rule.id for finding in findings(example, folder, database)}


def findings(example: Example, folder: Path, database: Database | None = None) -> list[Finding]:
    modules = set(sys.modules)
    try:
        _make_importable(folder)
        return _review(example, folder, database)
    finally:
        for name in set(sys.modules) - modules:
            if name.startswith("shop"):
                del sys.modules[name]


def _review(example: Example, folder: Path, database: Database | None) -> list[Finding]:
    graph = MigrationGraph()
    keys: list[tuple[str, str]] = []
    for number, module in enumerate([HEADER + INITIAL, *example.modules], start=1):
        key = ("shop", f"{number:04}_{'step' if keys else 'initial'}")
        migration = _migration(key[1], module, folder, keys[-1:])
        graph.add_node(key, migration)
        if keys:
            graph.add_dependency(migration, key, keys[-1])
        keys.append(key)
    loader = MigrationLoader(None, load=False)
    loader.graph, loader.unmigrated_apps, loader.migrated_apps = graph, set(), {"shop"}
    reviewed = review(loader, keys[1:], connections["default"], database)
    return [finding for one in reviewed for finding in one.findings]


def _make_importable(folder: Path) -> None:
    """`shop.cleaning`, a module beside the migrations, of this folder and no other example's."""
    (folder / "shop").mkdir()
    (folder / "shop" / "cleaning.py").write_text(CLEANING)
    for name, path in (("shop", folder / "shop" / "__init__.py"), ("shop.cleaning", folder / "shop" / "cleaning.py")):
        path.touch()
        _import(name, path)


def _migration(name: str, code: str, folder: Path, dependencies: list[tuple[str, str]]) -> Migration:
    path = folder / "shop" / "migrations" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    # Never the name of an earlier one, whose source Python would remember.
    module = _import(f"shop_migrations_{next(numbers)}", path)
    module.Migration.dependencies = dependencies
    migration: Migration = module.Migration(name, "shop")
    return migration


def _import(name: str, path: Path) -> ModuleType:
    spec = spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)] if name == "shop" else None
    )
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _of_sql(sql: str) -> str:
    atomic, plain = not sql.startswith(NOT_ATOMIC), sql.removeprefix(NOT_ATOMIC)
    return (
        f"{HEADER}class Migration(migrations.Migration):\n"
        f"    atomic = {atomic}\n"
        f"    operations = [migrations.RunSQL({plain!r}, migrations.RunSQL.noop)]\n"
    )


def _of_python(fragment: str) -> str:
    """What stands before `atomic` and `operations` is the module's, these are the migration's."""
    if "class Migration" in fragment:
        docstring, code = DOCSTRING.fullmatch(fragment).groups("")  # type: ignore[union-attr]  # matches anything
        return f"{docstring}{HEADER}{code}"
    lines = fragment.splitlines(keepends=True)
    first = min(_lines_of_assignments(fragment))
    body = indent("".join(lines[first - 1 :]), "    ")
    return f"{HEADER}{''.join(lines[: first - 1])}\n\nclass Migration(migrations.Migration):\n{body}"


def _lines_of_assignments(fragment: str) -> Iterator[int]:
    for node in ast.parse(fragment).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="atomic" | "operations")]):
                yield node.lineno
