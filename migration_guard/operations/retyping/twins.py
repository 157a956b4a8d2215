"""The indexes and rules of a column, and the like of each for the column that is to replace it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from migration_guard.operations.editing import build_index, compose, has_constraint, rows, run
from migration_guard.operations.retyping.shadow import Shadow, other_name

INDEXES = """
    SELECT index.relname, conname, indisunique, quote_ident(index.relname), indisvalid, pg_get_indexdef(index.oid),
        format('%%I.%%I', CASE table_.relpersistence WHEN 't' THEN 'pg_temp' ELSE nspname END, table_.relname)
    FROM pg_index
    JOIN pg_class AS index ON index.oid = indexrelid
    JOIN pg_class AS table_ ON table_.oid = indrelid
    JOIN pg_namespace ON pg_namespace.oid = table_.relnamespace
    JOIN pg_attribute ON attrelid = indrelid
    LEFT JOIN pg_constraint ON conindid = indexrelid AND conrelid = indrelid
    WHERE indrelid = to_regclass(%s) AND attname = %s AND (attnum = ANY (indkey) OR EXISTS (
        SELECT FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = indexrelid
            AND refclassid = 'pg_class'::regclass AND refobjid = indrelid AND refobjsubid = attnum))
    ORDER BY 1
"""
CHECKS = """
    SELECT conname, pg_get_constraintdef(pg_constraint.oid), convalidated
    FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE contype = 'c' AND conrelid = to_regclass(%s) AND attname = %s
    ORDER BY 1
"""
NOT_NULL = "SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND attnotnull"
COPY = "pg_temp.migration_guard_shadow"
CREATE_COPY = "CREATE TEMPORARY TABLE migration_guard_shadow (LIKE {table})"
DROP_SHADOW_OF_COPY = "ALTER TABLE pg_temp.migration_guard_shadow DROP COLUMN IF EXISTS {shadow}"
RENAME_IN_COPY = "ALTER TABLE pg_temp.migration_guard_shadow RENAME COLUMN {column} TO {shadow}"
CREATE_INDEX = "CREATE {unique}INDEX {concurrently}{name} ON {table} USING {definition}"
ADD_CHECK = "ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
VALIDATE = "ALTER TABLE {table} VALIDATE CONSTRAINT {name}"
DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS {name}"
DROP_CONSTRAINT = "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
RENAME_INDEX = "ALTER INDEX {twin} RENAME TO {name}"
USE_INDEX = "ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {twin}"
RENAME_CONSTRAINT = "ALTER TABLE {table} RENAME CONSTRAINT {twin} TO {name}"
ANALYZE = "ANALYZE {table} ({shadow})"


class TwinMissing(CommandError):
    """The new column lacks an index or a rule of the old one, which the swap would lose."""


@dataclass(frozen=True)
class Index:
    name: str
    constraint: str | None
    is_unique: bool
    is_valid: bool
    # From the access method on: what does not depend on the names of index and table.
    definition: str

    @property
    def twin(self) -> str:
        return other_name(self.name)


@dataclass(frozen=True)
class Check:
    name: str
    definition: str
    is_validated: bool

    @property
    def twin(self) -> str:
        return other_name(self.name)


class Twins:
    """What the shadow needs in order to take its column's place."""

    def __init__(self, shadow: Shadow) -> None:
        self.shadow = shadow
        self.editor = shadow.editor
        self.indexes = indexes_of(shadow.editor, shadow.editor.quote_name(shadow.table), shadow.column)
        self.checks = checks_of(shadow.editor, shadow.editor.quote_name(shadow.table), shadow.column)
        self.is_not_null = bool(self._catalog(NOT_NULL, shadow.column))

    @property
    def not_null_check(self) -> str:
        return other_name(self.shadow.column, "_retyped_not_null")

    def build(self, *, concurrently: bool) -> None:
        """Build what is missing; concurrently, each commits by itself and readers and writers go on."""
        indexes, checks = self._definitions()
        for index in indexes:
            self._build_index(index, concurrently=concurrently)
        if self.is_not_null:
            definition = f"CHECK ({self.shadow.parts['shadow']} IS NOT NULL)"
            checks.append(Check(self.not_null_check, definition, is_validated=True))
        for check in checks:
            self._add_check(check)

    def _build_index(self, index: Index, *, concurrently: bool) -> None:
        create = compose(
            CREATE_INDEX,
            unique="UNIQUE " if index.is_unique else "",
            concurrently="CONCURRENTLY " if concurrently else "",
            name=self.editor.quote_name(index.name),
            table=self.shadow.parts["table"],
            definition=index.definition,
        )
        if concurrently:
            build_index(self.editor, create)
        else:
            self.editor.execute(create, params=None)

    def _add_check(self, check: Check) -> None:
        parts = {"table": self.shadow.parts["table"], "name": self.editor.quote_name(check.name)}
        if not has_constraint(self.editor, self.shadow.table, check.name):
            suffix = " NOT VALID" if check.is_validated else ""
            run(self.editor, ADD_CHECK, **parts, definition=f"{check.definition}{suffix}")
        if check.is_validated:
            run(self.editor, VALIDATE, **parts)

    def _definitions(self) -> tuple[list[Index], list[Check]]:
        """The indexes and rules as they are for the shadow, by the names of the twins.

        The server writes them: on an empty copy of the table, whose column it is told to rename.
        """
        if not self.indexes and not self.checks:
            return [], []
        with self._copy_with_column_renamed():
            shadow = self.shadow.name
            return indexes_of(self.editor, COPY, shadow), checks_of(self.editor, COPY, shadow)

    @contextmanager
    def _copy_with_column_renamed(self) -> Iterator[None]:
        alias = self.editor.connection.alias
        with transaction.atomic(using=alias):
            self._on_copy(CREATE_COPY)
            self._on_copy(DROP_SHADOW_OF_COPY)
            for index in self.indexes:
                unique = "UNIQUE " if index.is_unique else ""
                name = self.editor.quote_name(index.twin)
                given = {"unique": unique, "concurrently": "", "name": name, "definition": index.definition}
                self._on_copy(CREATE_INDEX, **given, table=COPY)
            for check in self.checks:
                name = self.editor.quote_name(check.twin)
                self._on_copy(ADD_CHECK, name=name, definition=check.definition, table=COPY)
            self._on_copy(RENAME_IN_COPY)
            yield
            transaction.set_rollback(True, using=alias)

    def _on_copy(self, template: str, **parts: str) -> None:
        """Past the editor: it is no part of the migration's SQL."""
        with self.editor.connection.cursor() as cursor:
            cursor.execute(compose(template, **(self.shadow.parts | parts)))

    def analyze(self) -> None:
        """Let the planner know the new column before queries come to it."""
        run(self.editor, ANALYZE, **self.shadow.parts)

    def drop(self) -> None:
        """Drop what there is, leaving the column's own."""
        for check in [*(check.twin for check in self.checks), self.not_null_check]:
            run(self.editor, DROP_CONSTRAINT, table=self.shadow.parts["table"], name=self.editor.quote_name(check))
        for index in self.indexes:
            run(self.editor, DROP_INDEX, name=self.editor.quote_name(index.twin))

    def require_all(self) -> None:
        """Raise TwinMissing where the swap would lose something, as an index that was made since."""
        if self.editor.collect_sql:
            return
        table, shadow = self.editor.quote_name(self.shadow.table), self.shadow.name
        there = {index.name for index in indexes_of(self.editor, table, shadow) if index.is_valid}
        there |= {check.name for check in checks_of(self.editor, table, shadow) if check.is_validated}
        needed = {index.twin: index.name for index in self.indexes}
        needed |= {check.twin: check.name for check in self.checks if check.is_validated}
        if self.is_not_null:
            needed[self.not_null_check] = "NOT NULL"
        missing = sorted(name for twin, name in needed.items() if twin not in there)
        if missing:
            raise TwinMissing(
                f"{self.shadow.table}.{shadow} has nothing yet for {', '.join(missing)} of the column that it is to "
                "replace. Nothing was changed. Add another IndexShadowColumn in a migration before this one.",
                returncode=2,
            )

    def take_the_names(self) -> None:
        """Give the twins the names of what they replace, once that is gone."""
        quote, table = self.editor.quote_name, self.shadow.parts["table"]
        for index in self.indexes:
            template = USE_INDEX if index.constraint else RENAME_INDEX
            run(self.editor, template, table=table, name=quote(index.name), twin=quote(index.twin))
        for check in self.checks:
            run(self.editor, RENAME_CONSTRAINT, table=table, name=quote(check.name), twin=quote(check.twin))

    def _catalog(self, query: str, column: str) -> list[tuple[Any, ...]]:
        return rows(self.editor, query, self.editor.quote_name(self.shadow.table), column)


def indexes_of(editor: BaseDatabaseSchemaEditor, table: str, column: str) -> list[Index]:
    """The indexes that the column is in, as a key or within an expression."""
    found = []
    for name, constraint, is_unique, quoted, is_valid, created, on in rows(editor, INDEXES, table, column):
        unique = "UNIQUE " if is_unique else ""
        definition = created.removeprefix(f"CREATE {unique}INDEX {quoted} ON {on} USING ")
        found.append(Index(name, constraint, is_unique, is_valid, definition))
    return found


def checks_of(editor: BaseDatabaseSchemaEditor, table: str, column: str) -> list[Check]:
    return [Check(*row) for row in rows(editor, CHECKS, table, column)]
