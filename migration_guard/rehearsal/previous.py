"""Whether the release that is at work survives the schema that a migration makes: asked with its own models.

Of each model there is a probe of select, insert, update and delete. Its parts: the server plans the statement; the
catalog has no column that the release would leave empty and must not; and with rows that were there before, the
release does it, in a savepoint that is undone. A part that did not work before the migrations is no evidence.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.connections import execute, rows
from migration_guard.rehearsal.attempts import SET_TIMEOUT, Attempt, reason
from migration_guard.rehearsal.modelled import has_table, tables_of
from migration_guard.rehearsal.release_model import OPERATIONS, ReleaseModel
from migration_guard.rehearsal.results import Outcome, Probe

# Columns by the name that the model gives to its table; a BEFORE trigger may fill what an INSERT leaves empty.
COLUMNS = """
    SELECT name, attname, format_type(atttypid, atttypmod), attnotnull,
        atthasdef OR attidentity <> '' OR typdefault IS NOT NULL,
        EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = attrelid AND tgenabled <> 'D' AND NOT tgisinternal AND tgtype & 7 = 7
        )
    FROM unnest(%s::text[]) name JOIN pg_attribute ON attrelid = to_regclass(name)
    JOIN pg_type ON pg_type.oid = atttypid
    WHERE attnum > 0 AND NOT attisdropped
"""
# What a unique index or an exclusion constraint looks at, in an expression or a condition too.
UNIQUE_COLUMNS = """
    SELECT DISTINCT name, attname
    FROM unnest(%s::text[]) name
    JOIN pg_index ON indrelid = to_regclass(name) AND (indisunique OR indisexclusion)
    JOIN pg_attribute ON attrelid = indrelid AND (
        attnum = ANY (indkey)
        OR EXISTS (
            SELECT FROM pg_depend
            WHERE objid = indexrelid AND classid = 'pg_class'::regclass AND refobjid = indrelid
                AND refclassid = 'pg_class'::regclass AND refobjsubid = attnum
        )
    )
"""
NO_ROW = "no row in the table; the server plans the statement"


class Column(NamedTuple):
    type: str
    is_required: bool
    # Whether an INSERT that does not name it gets something else than NULL.
    fills_itself: bool
    may_be_filled: bool


Columns = dict[str, dict[str, Column]]


class PreviousRelease:
    """The models of a state, asked of the schema that the migrations make of theirs.

    Models without a table are left out. Nothing is left in the database but sequences that went on.
    """

    def __init__(self, connection: BaseDatabaseWrapper, state: ProjectState) -> None:
        self.connection = connection
        self.state = state
        self._models: list[ReleaseModel] = []
        # Of each model, what its table is called, and those of the models that it inherits.
        self._tables: dict[type[Model], set[str]] = {}
        self._before: Columns = {}
        self._required_before: dict[str, set[tuple[str, str]]] = {}
        self._not_rendered = ""

    def capture(self) -> None:
        """See before the migrations what works, and take rows to work with."""
        models = self._rendered()
        self._note_tables(models)
        names = [model._meta.db_table for model in models]
        with self._undone():
            self._before = self._columns(names)
            unique = defaultdict(set)
            for name, column in rows(self.connection, UNIQUE_COLUMNS, [self._quoted(names)]):
                unique[name].add(column)
            known = [model for model in models if self._name(model) in self._before]
            self._models = [ReleaseModel(self.connection, model, unique[self._name(model)]) for model in known]
            for each in self._models:
                each.capture()
                self._required_before[each.label] = {
                    (operation, column) for operation, column, _ in self._refused(each, self._before)
                }

    def probe(self, tables: Collection[str] | None = None) -> list[Probe]:
        """How the models of these tables do now, or all; by the names that relations.py had for them at the capture."""
        if self._not_rendered:
            return [Probe("every model", "select", Outcome.NOT_PROBED, self._not_rendered)]
        asked = [each for each in self._models if tables is None or not self._tables[each.model].isdisjoint(tables)]
        with self._undone():
            columns = self._columns([each.model._meta.db_table for each in asked])
            return [probe for each in asked for probe in self._probes(each, columns)]

    def _rendered(self) -> list[type[Model]]:
        try:
            models: Iterable[type[Model]] = self.state.apps.get_models(include_auto_created=True)
        except Exception as error:  # What a field does when it is made is anybody's code.
            self._not_rendered = f"the models of the release cannot be made: {reason(error)}"
            return []
        return [model for model in models if has_table(model)]

    def _note_tables(self, models: list[type[Model]]) -> None:
        families = {model: [model, *model._meta.get_parent_list()] for model in models}
        there = tables_of(self.connection, {each._meta.db_table for family in families.values() for each in family})
        for model, family in families.items():
            found = (there.get(each._meta.db_table) for each in family)
            self._tables[model] = {table.name for table in found if table}

    def _probes(self, model: ReleaseModel, columns: Columns) -> Iterator[Probe]:
        now = columns.get(self._name(model.model), {})
        before = self._before[self._name(model.model)]
        retyped = {name for name in before.keys() & now.keys() if before[name].type != now[name].type}
        refused = {
            operation: told
            for operation, column, told in self._refused(model, columns)
            if (operation, column) not in self._required_before[model.label]
        }
        model.look_again(retyped)
        for operation in OPERATIONS:
            yield Probe(model.label, operation, *self._outcome(model, operation, refused.get(operation, "")))

    def _outcome(self, model: ReleaseModel, operation: str, refused: str) -> Attempt:
        """A failure in any part counts; without one, what was done with rows does."""
        planned = model.plan(operation)
        if planned.outcome == Outcome.FAILED:
            return planned
        if refused:
            return Attempt(Outcome.FAILED, refused)
        done = model.do(operation)
        if done.outcome != Outcome.NOT_PROBED or done.error:
            return done
        return planned if planned.error else Attempt(Outcome.NOT_PROBED, NO_ROW)

    def _refused(self, model: ReleaseModel, columns: Columns) -> Iterator[tuple[str, str, str]]:
        """Each operation that would leave a column empty that must not be, with that column and what to tell."""
        for name, column in columns.get(self._name(model.model), {}).items():
            if not column.is_required or column.may_be_filled:
                continue
            if name in model.nullable:
                told = f'column "{name}" is NOT NULL, and the release may write NULL there'
                yield from (("insert", name, told), ("update", name, told))
            elif name not in model.always_sent and not column.fills_itself:
                told = f'column "{name}" is NOT NULL without a default, and the release does not name it in an INSERT'
                yield "insert", name, told

    def _columns(self, tables: list[str]) -> Columns:
        found: Columns = defaultdict(dict)
        for name, column, type_, *rest in rows(self.connection, COLUMNS, [self._quoted(tables)]):
            found[name][column] = Column(type_, *rest)
        return dict(found)

    def _quoted(self, tables: list[str]) -> list[str]:
        return [self.connection.ops.quote_name(table) for table in tables]

    def _name(self, model: type[Model]) -> str:
        return self.connection.ops.quote_name(model._meta.db_table)

    @contextmanager
    def _undone(self) -> Iterator[None]:
        with transaction.atomic(using=self.connection.alias):
            execute(self.connection, SET_TIMEOUT)
            yield
            transaction.set_rollback(True, using=self.connection.alias)
