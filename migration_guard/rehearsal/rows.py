"""Rows that are made up, so that a history that begins with an empty database meets rows in its tables."""

import random
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState
from django.db.models import Model
from psycopg.sql import SQL

from migration_guard.connections import execute, rows
from migration_guard.rehearsal.attempts import CHECK_DEFERRED, SET_TIMEOUT, reason
from migration_guard.rehearsal.made_up import choices_of, value_of
from migration_guard.rehearsal.patterns import hints

TRIES = 32
# So many rows in succession may be refused before a table is given up.
MOST_REFUSED = 2
MOST_TARGETS = 50
EVERY_TABLE = "SELECT to_regclass(name)::oid, name FROM unnest(%s::text[]) name WHERE to_regclass(name) IS NOT NULL"
IS_EMPTY = SQL("SELECT {number} WHERE NOT EXISTS (SELECT FROM {table})")
UNION = SQL(" UNION ALL ")
COLUMNS_OF_CONSTRAINT = """
    SELECT attname FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE conrelid = to_regclass(%s) AND conname = %s
    UNION
    SELECT attname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
    WHERE indrelid = to_regclass(%s) AND relname = %s
"""

Values = dict[str, Any]


class NoValue(Exception):
    """A field must have a value, and there is none for it."""


def fill(
    connection: BaseDatabaseWrapper, state: ProjectState, *, per_table: int = 3, tables: Collection[str] | None = None
) -> dict[str, str]:
    """Insert rows into the empty tables of the state's models; gives the tables that stay empty, each with the reason.

    `tables`: only these, as measuring.py names them. All is committed at once; the same state gives the same rows.
    """
    reasons: dict[str, str] = {}
    try:
        models = list(_in_order(_models(state, tables)))
    except Exception as error:  # What a field does when it is made is anybody's code.
        return {"every table": f"the models of the state cannot be made: {reason(error)}"}
    with transaction.atomic(using=connection.alias):
        execute(connection, SET_TIMEOUT)
        for model in _empty(connection, models):
            if why := _fill_table(connection, model, per_table):
                reasons[model._meta.db_table] = why
    return reasons


def make_up(connection: BaseDatabaseWrapper, state: ProjectState, tables: Collection[str]) -> set[str]:
    """Fill these tables, as `fill`; gives those that were empty and are not any more."""
    try:
        empty = {model._meta.db_table for model in _empty(connection, list(_models(state, tables)))}
    except Exception:  # As in `fill`, which fills nothing then.
        return set()
    filled = empty - fill(connection, state, tables=tables).keys()
    return {*tables} & {*filled, *(name.replace('"', "") for name in filled)}


def _fill_table(connection: BaseDatabaseWrapper, model: type[Model], number: int) -> str:
    """In a savepoint: what fails here, as where a table that it refers to is not there, fails nothing else."""
    try:
        with transaction.atomic(using=connection.alias):
            return TableFiller(connection, model).fill(number)
    except Exception as error:
        return reason(error)


def _models(state: ProjectState, tables: Collection[str] | None) -> Iterator[type[Model]]:
    for model in state.apps.get_models(include_auto_created=True):
        options = model._meta
        is_asked = tables is None or options.db_table in tables or options.db_table.replace('"', "") in tables
        if options.managed and not options.proxy and not options.swapped and is_asked:
            yield model


def _in_order(models: Iterable[type[Model]]) -> Iterator[type[Model]]:
    """What a row needs comes before it, and what it may have; of a circle, first what needs least.

    Models go by their labels: in a state that Django has left half rendered, keys lead to classes of an earlier one.
    """
    by_label = {model._meta.label: model for model in models}
    waiting = {
        label: (_related(model, may_be_null=False), _related(model, may_be_null=True))
        for label, model in by_label.items()
    }
    while waiting:
        label = min(waiting, key=lambda each: (*(len(some & waiting.keys()) for some in waiting[each]), each))
        del waiting[label]
        yield by_label[label]


def _related(model: type[Model], *, may_be_null: bool) -> set[str]:
    fields: tuple[Any, ...] = model._meta.local_concrete_fields
    related = [field for field in fields if field.remote_field and field.related_model]
    return {field.related_model._meta.label for field in related if field.null == may_be_null} - {model._meta.label}


def _empty(connection: BaseDatabaseWrapper, models: list[type[Model]]) -> list[type[Model]]:
    """Those with an empty table, asked for all at once."""
    quoted = {connection.ops.quote_name(model._meta.db_table): model for model in models}
    there = [name for _, name in rows(connection, EVERY_TABLE, [list(quoted)])]
    if not there:
        return []
    asked = [IS_EMPTY.format(number=number, table=SQL(name)) for number, name in enumerate(there)]
    query = UNION.join(asked).as_string(connection.connection)
    empty = {there[number] for (number,) in rows(connection, query)}
    return [model for name, model in quoted.items() if name in empty]


class TableFiller:
    """The rows of one table. A row that the database refuses is tried again with other values where it says so."""

    def __init__(self, connection: BaseDatabaseWrapper, model: type[Model]) -> None:
        self.connection = connection
        self.model = model
        self.table = connection.ops.quote_name(model._meta.db_table)
        options: Any = model._meta
        self._automatic = options.auto_field
        fields = [field for field in options.local_concrete_fields if not field.generated]
        self._fields: list[Any] = [field for field in fields if field is not self._automatic]
        self._hints = hints(connection, options.db_table)
        self._targets: dict[Any, list[Any]] = {}
        # The values of the row that is being made.
        self._row: Values = {}

    def fill(self, number: int) -> str:
        """The reason why there is no row, or nothing."""
        errors = [self._add_row(place) for place in range(1, min(number, MOST_REFUSED) + 1)]
        if all(errors):
            return errors[-1]
        for place in range(MOST_REFUSED + 1, number + 1):
            self._add_row(place)
        return ""

    def _add_row(self, place: int) -> str:
        self._row = {}
        redone: Collection[str] = {field.column for field in self._fields}
        error = ""
        for attempt in range(TRIES):
            try:
                self._make_row(redone, place, attempt)
            except NoValue as missing:
                return str(missing)
            try:
                self._insert(self._row)
            except Exception as refused:  # By the server, or by what the field is written with.
                error, redone = reason(refused), self._to_do_anew(refused, attempt)
            else:
                return ""
        return error

    def _make_row(self, columns: Collection[str], place: int, attempt: int) -> None:
        """Other values for these columns; the others keep those of the attempt before."""
        for position, field in enumerate(self._fields):
            if field.column in columns:
                self._row[field.attname] = self._value(field, place, attempt, position)

    def _insert(self, values: Values) -> None:
        """In a savepoint; what is deferred is checked, so that what is kept can be committed."""
        alias = self.connection.alias
        query: Any = self.model._base_manager.using(alias)
        with transaction.atomic(using=alias):
            query._insert([self.model(**values)], fields=self._fields, using=alias, raw=True)
            execute(self.connection, CHECK_DEFERRED)

    def _to_do_anew(self, error: Exception, attempt: int) -> Collection[str]:
        """The columns that the server blames; where it blames none, or that has not helped, all of them."""
        diagnosis: Any = getattr(error.__cause__, "diag", None)
        everything = {field.column for field in self._fields}
        if diagnosis is None or attempt % 6 == 5:
            return everything
        if diagnosis.column_name:
            return {str(diagnosis.column_name)} & everything or everything
        name = diagnosis.constraint_name
        found = rows(self.connection, COLUMNS_OF_CONSTRAINT, [self.table, name, self.table, name]) if name else []
        return {column for (column,) in found} & everything or everything

    def _value(self, field: Any, place: int, attempt: int, position: int) -> Any:
        chance = random.Random(f"{self.table} {field.column} {place} {attempt}")  # noqa: S311  # no secret
        if field.null and self._is_left_out(place, attempt, chance):
            return None
        if field.remote_field and field.related_model:
            return self._target(field, place, attempt, chance)
        if (attempt + (place > 1) * 2) % 4 == 0 and (field.has_default() or field.has_db_default()):
            default = field.get_default()
            if self._is_accepted(field, default):
                return default
        return self._chosen(field, place, attempt, position, chance)

    def _is_left_out(self, place: int, attempt: int, chance: random.Random) -> bool:
        """Every second row has its values first, and then nulls; then it is left to chance."""
        if attempt < 2:
            return (place + attempt) % 2 == 0
        return chance.random() < 0.5

    def _target(self, field: Any, place: int, attempt: int, chance: random.Random) -> Any:
        """A key that is there; another one for each row as long as there are some, and then by chance."""
        if field not in self._targets:
            self._targets[field] = self._keys(field)
        keys = self._targets[field]
        if keys:
            return keys[(place - 1) % len(keys)] if attempt == 0 else chance.choice(keys)
        if field.null:
            return None
        if field.related_model._meta.label == self.model._meta.label and field.target_field.attname in self._row:
            return self._row[field.target_field.attname]
        raise NoValue(f"no row in {field.related_model._meta.db_table}, which {field.column} refers to")

    def _keys(self, field: Any) -> list[Any]:
        found = field.related_model._base_manager.using(self.connection.alias)
        if field.unique:
            found = found.exclude(**{f"{field.target_field.attname}__in": self._taken(field)})
        name = field.target_field.attname
        return list(found.order_by(name).values_list(name, flat=True)[:MOST_TARGETS])

    def _taken(self, field: Any) -> Any:
        return (
            self.model._base_manager.using(self.connection.alias).exclude(**{field.attname: None}).values(field.attname)
        )

    def _chosen(self, field: Any, place: int, attempt: int, position: int, chance: random.Random) -> Any:
        """By turns a plain value, one that the CHECKs speak of, and an unusual one; the first that the field takes."""
        number = place + attempt * 7
        if attempt > 1 and (choices := choices_of(field)):
            return chance.choice(choices)
        hinted = [hint for hint in self._hints.get(field.column, []) if self._is_accepted(field, hint)]
        if hinted and not choices_of(field) and attempt % 4 < 3:
            return hinted[(place - 1 + attempt) % len(hinted)]
        unusual = _unusual(field, number, attempt) if attempt % 2 else None
        # What is named later in a row is later and larger, as an end is.
        plain = value_of(field, number + (position if attempt % 3 else 0))
        candidates = [unusual, plain, chance.choice(hinted) if hinted else None, _default(field), "", number]
        accepted = (each for each in candidates if each is not None and self._is_accepted(field, each))
        value = next(accepted, None)
        if value is None and not field.null:
            raise NoValue(f"no value is known for {field.column}, a {type(field).__name__}")
        return value

    def _is_accepted(self, field: Any, value: Any) -> bool:
        try:
            field.get_db_prep_save(value, connection=self.connection)
        except Exception:  # The field may be anybody's.
            return False
        return not (isinstance(value, str) and field.max_length and len(value) > field.max_length)


def _default(field: Any) -> Any:
    return field.get_default() if field.has_default() or field.empty_strings_allowed else None


def _unusual(field: Any, number: int, attempt: int) -> Any:
    """What a rule may want that a plain value is not: other cases of letters, nothing, zero, less than zero."""
    plain = value_of(field, number)
    if choices_of(field):
        return plain
    if isinstance(plain, bool):
        return attempt % 4 == 1
    if isinstance(plain, str):
        length = min(field.max_length or 8, 8)
        letters = "".join(chr(ord("A") + (number + place) % 26) for place in range(length))
        return ("", letters, letters.lower(), str(10 ** (length - 1) + number)[:length])[attempt // 2 % 4]
    if isinstance(plain, int):
        return (0, 1, -1, 100 + number)[attempt // 2 % 4]
    return plain
