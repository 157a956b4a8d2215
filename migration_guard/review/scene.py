"""What is known when a statement is judged: what the same plan has done before it, and what a database says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import names_digest
from django.db.migrations import Migration

from migration_guard.review.actions import Action
from migration_guard.review.database import Database, Size
from migration_guard.review.syntax import Node

# Actions of ALTER TABLE that let readers pass, and the statement as a whole.
WEAKER = {"ALTER_TABLE", "FOREIGN_KEY_CONSTRAINT", "VALIDATE_CONSTRAINT"}


@dataclass
class Scene:
    """The state of the plan, action by action."""

    connection: BaseDatabaseWrapper
    database: Database | None = None
    # The migration at hand, and which migration created a table.
    migration: Migration | None = None
    creators: dict[str, Migration] = field(default_factory=dict)
    partitioned: set[str] = field(default_factory=set)
    # Of the migration at hand, in its one transaction.
    new_columns: dict[tuple[str, str], Action] = field(default_factory=dict)
    defaults: set[tuple[str, str]] = field(default_factory=set)
    constraints: set[tuple[str, str]] = field(default_factory=set)
    created: set[str] = field(default_factory=set)
    # Tables that lost an index; "" where it is not known which.
    lost_indexes: set[str] = field(default_factory=set)
    # Tables with rows that were altered, each with the first statement that did so.
    changed: dict[str, str] = field(default_factory=dict)
    # Of those, the ones that nobody reads until the commit; and tables that a new foreign key refers to.
    locked: set[str] = field(default_factory=set)
    referred: dict[str, str] = field(default_factory=dict)
    dropped: dict[tuple[str, str], Action] = field(default_factory=dict)
    not_valid: set[tuple[str, str]] = field(default_factory=set)
    # The bodies of functions by name, and for each table those that its triggers run.
    functions: dict[str, str] = field(default_factory=dict)
    triggers: list[tuple[str, str]] = field(default_factory=list)
    # Indexes with their columns.
    indexed: dict[str, list[str]] = field(default_factory=dict)
    # All CHECKs by name, and the tables with one that is validated.
    checks: set[tuple[str, str]] = field(default_factory=set)
    checked: set[str] = field(default_factory=set)
    # Of those, CHECK (column IS NOT NULL), by name, and the columns of which it is validated.
    not_null_checks: dict[tuple[str, str], str] = field(default_factory=dict)
    never_null: set[tuple[str, str]] = field(default_factory=set)

    def begin(self, migration: Migration) -> None:
        """A new migration: its transaction has done nothing yet."""
        self.migration = migration
        for seen in (self.new_columns, self.defaults, self.constraints, self.created, self.lost_indexes, self.changed):
            seen.clear()
        for seen in (self.not_valid, self.locked, self.referred, self.dropped):
            seen.clear()

    def is_new(self, table: str) -> bool:
        """Whether the table is empty here: the same migration created it, or another that is applied together with it.

        Those are the initial ones, and all that a database has not applied.
        """
        creator = self.creators.get(table)
        if creator is None or self.migration is None or creator is self.migration:
            return creator is not None
        if self.database:
            return (creator.app_label, creator.name) not in self.database.applied
        return is_initial(creator) and is_initial(self.migration)

    def size(self, table: str) -> Size | None:
        return self.database.tables.get(table) if self.database else None

    def is_partitioned(self, table: str) -> bool:
        size = self.size(table)
        return table in self.partitioned or bool(size and size.is_partitioned)

    def column_type(self, action: Action) -> str | None:
        """The type that Django's models gave the column before the operation; None where they do not know it."""
        model_field = _field(action, action.column)
        return model_field.db_type(self.connection) if model_field else None

    def may_be_null(self, action: Action, column: str) -> bool:
        """Whether PostgreSQL has to look for nulls in the column before it can be NOT NULL."""
        if (action.table, column) in self.never_null:
            return False
        model_field = _field(action, column)
        return action.kind == "SET_NOT_NULL" or model_field is None or model_field.null

    def observe(self, action: Action) -> None:
        """Remember what the action did, for those after it."""
        if observer := OBSERVERS.get(action.kind):
            observer(self, action)
        if action.kind.startswith("CREATE_"):
            self.created.add(action.node.name("PATH", "NAME"))
        self._observe_locks(action)

    def _observe_locks(self, action: Action) -> None:
        table = action.table
        if action.kind == "DROP_INDEX":
            table = action.work.table
        elif action.kind == "TABLE_RENAME_TO":
            # The same table, and the same lock, from here on.
            self.changed.pop(table, None)
            table = action.node.name("TABLE_NAME")
        if table and not self.is_new(table) and (action.statement.kind == "ALTER_TABLE" or action.kind == "DROP_INDEX"):
            self.changed.setdefault(table, action.statement.text)
            if action.kind not in WEAKER:
                self.locked.add(table)
        for constraint in action.node.all("FOREIGN_KEY_CONSTRAINT", "REFERENCES_CONSTRAINT"):
            other = constraint.name("TABLE_NAME_REF")
            if other and not self.is_new(other):
                self.referred.setdefault(other, action.statement.text)

    def _create_table(self, action: Action) -> None:
        self.creators[action.table] = action.work.migration
        if action.node.has("PARTITION_BY"):
            self.partitioned.add(action.table)

    def _rename_table(self, action: Action) -> None:
        if action.table in self.creators:
            self.creators[action.node.name("TABLE_NAME")] = self.creators.pop(action.table)

    def _add_column(self, action: Action) -> None:
        self.new_columns[action.table, action.column] = action

    def _set_default(self, action: Action) -> None:
        self.defaults.add((action.table, action.column))

    def _create_index(self, action: Action) -> None:
        self.indexed[action.node.name("INDEX")] = action.indexed

    def _drop_index(self, action: Action) -> None:
        self.lost_indexes.add(action.work.table)

    def _create_function(self, action: Action) -> None:
        self.functions[action.node.name("FUNCTION_NAME")] = action.node.text

    def _create_trigger(self, action: Action) -> None:
        call = action.node.first("CALL_EXPR")
        function = call.name("NAME_REF", "PATH_REF") if call else ""
        self.triggers.append((action.node.name("ON_RELATION"), self.functions.get(function, "")))

    def _add_check(self, action: Action) -> None:
        self.checks.add((action.table, action.constraint))
        if not action.node.has("NOT_VALID"):
            self.checked.add(action.table)
        self._add_constraint(action)

    def _drop_constraint(self, action: Action) -> None:
        if not self.is_new(action.table) and (action.table, action.constraint) not in self.constraints:
            self.dropped[action.table, action.constraint] = action

    def _drop_table_or_column(self, action: Action) -> None:
        """What no row can break any more: a rule of a table that goes, or a column's own, which its operation drops."""
        self.dropped = {
            name: drop
            for name, drop in self.dropped.items()
            if drop.table != action.table or (action.kind == "DROP_COLUMN" and drop.work.number != action.work.number)
        }

    def _add_constraint(self, action: Action) -> None:
        key = action.table, action.constraint
        self.dropped = {name: drop for name, drop in self.dropped.items() if not _comes_back(drop, action)}
        self.constraints.add(key)
        column = not_null_column(action.node)
        if column:
            self.not_null_checks[key] = column
        if action.node.has("NOT_VALID"):
            self.not_valid.add(key)
        elif column:
            self.never_null.add((action.table, column))

    def _validate(self, action: Action) -> None:
        if (action.table, action.constraint) in self.checks:
            self.checked.add(action.table)
        if column := self.not_null_checks.get((action.table, action.constraint)):
            self.never_null.add((action.table, column))


OBSERVERS: dict[str, Callable[[Scene, Action], None]] = {
    "CREATE_TABLE": Scene._create_table,
    "CREATE_TABLE_AS": Scene._create_table,
    "TABLE_RENAME_TO": Scene._rename_table,
    "ADD_COLUMN": Scene._add_column,
    "SET_DEFAULT": Scene._set_default,
    "CREATE_INDEX": Scene._create_index,
    "DROP_INDEX": Scene._drop_index,
    "CREATE_FUNCTION": Scene._create_function,
    "CREATE_TRIGGER": Scene._create_trigger,
    "CHECK_CONSTRAINT": Scene._add_check,
    "NOT_NULL_CONSTRAINT": Scene._add_constraint,
    "FOREIGN_KEY_CONSTRAINT": Scene._add_constraint,
    "UNIQUE_CONSTRAINT": Scene._add_constraint,
    "DROP_CONSTRAINT": Scene._drop_constraint,
    "DROP_COLUMN": Scene._drop_table_or_column,
    "DROP_TABLE": Scene._drop_table_or_column,
    "VALIDATE_CONSTRAINT": Scene._validate,
}


def _field(action: Action, column: str) -> "models.Field[Any, Any] | None":
    """The field of Django's models, before the operation, that this column is; None where they do not know it."""
    for model in action.work.before.apps.get_models(include_auto_created=True):
        if model._meta.db_table == action.table:
            return next((each for each in model._meta.local_fields if each.column == column), None)
    return None


def _comes_back(dropped: Action, added: Action) -> bool:
    """Whether the rule that was dropped is made again, be it under another name.

    Django names a constraint by its table and columns. To alter or rename a column it drops the foreign keys on it, and
    makes them again with another ending.
    """
    if added.table != dropped.table:
        return False
    is_same_key = added.kind == "FOREIGN_KEY_CONSTRAINT" and "_fk" in dropped.constraint
    if is_same_key and added.work.number == dropped.work.number:
        return True
    columns = [column.name("COLUMN_NAME_REF") for column in added.node.all("COLUMN_NAME_REF")]
    is_same_rule = added.kind == "UNIQUE_CONSTRAINT" and dropped.constraint.endswith(
        f"_{names_digest(added.table, *columns, length=8)}_uniq"
    )
    return is_same_rule or added.constraint == dropped.constraint


def is_initial(migration: Migration) -> bool:
    """As Django sees it: declared, or without a dependency on its own app."""
    if migration.initial is None:
        return all(app != migration.app_label for app, _ in migration.dependencies)
    return bool(migration.initial)


def not_null_column(constraint: Node) -> str | None:
    """The column of a constraint that says CHECK (column IS NOT NULL), or NOT NULL column; None for any other."""
    if constraint.has("NOT_NULL_CONSTRAINT"):
        return constraint.name("COLUMN_NAME_REF", "NAME_REF")
    check = constraint.first("CHECK_CONSTRAINT")
    test = check.first("BIN_EXPR") if check else None
    if test is None or not test.text.upper().endswith("IS NOT NULL") or len(test.all("NAME_REF")) != 1:
        return None
    return test.name("NAME_REF")
