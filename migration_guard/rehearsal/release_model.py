"""One model of the previous release, with its statements and some rows to try them on."""

import copy
import random
import string
import uuid
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Max, Model
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery

from migration_guard.rehearsal.attempts import TOO_LONG, Action, Attempt, RowIsGone, attempt, reason
from migration_guard.rehearsal.deleting import delete
from migration_guard.rehearsal.made_up import choices_of, value_of, widest
from migration_guard.rehearsal.results import Outcome

OPERATIONS = ("select", "insert", "update", "delete")
ROWS = 3
MOST_CHOICES = 8
# How many characters of a text are other ones in a copy, and how short a copied text may be.
RENEWED = 12
SHORTEST = 4
ALPHABETS = (string.ascii_uppercase, string.ascii_lowercase, string.digits)
GONE = "the rows that were there before are not there any more"

Statement = tuple[str, tuple[Any, ...]]
Values = dict[str, Any]


class ReleaseModel:
    """`unique` are the columns in which two rows must differ. All of it needs a transaction that is rolled back."""

    def __init__(self, connection: BaseDatabaseWrapper, model: type[Model], unique: Collection[str]) -> None:
        self.connection = connection
        self.model = model
        self.label = model._meta.label
        self.rows: Any = model._base_manager.using(connection.alias)
        self._unique = unique
        # Typed as Any: what Django keeps in `_meta` is its own affair.
        options: Any = model._meta
        self._fields: list[Any] = [field for field in options.local_concrete_fields if not field.generated]
        self._key_fields: list[Any] = list(options.pk_fields)
        self._automatic: Any = options.auto_field
        self._is_child = any(getattr(field.remote_field, "parent_link", False) for field in self._key_fields)
        self._captured: dict[Any, Values] = {}
        # The same rows as they are now, and whether they could be read.
        self._present: dict[Any, Any] = {}
        self._is_fine = False
        self._deletable: list[Any] = []
        self._statements: dict[str, list[Statement]] = {operation: [] for operation in OPERATIONS}
        self._actions: dict[str, list[Action]] = {operation: [] for operation in OPERATIONS}
        self._did_not_work: dict[str, str] = {}
        self._not_planned: dict[str, str] = {}
        self._slow: set[str] = set()
        self._retyped: Collection[str] = ()

    @property
    def nullable(self) -> set[str]:
        return {field.column for field in self._fields if field.null}

    @property
    def always_sent(self) -> set[str]:
        """The columns that each INSERT gives a value, not the word DEFAULT and not nothing."""
        sent = [field for field in self._fields if field is not self._automatic and not field.has_db_default()]
        return {field.column for field in sent}

    def capture(self) -> None:
        """Take rows, and keep what works with them now."""
        read = attempt(self.connection, self._take_rows, writes=False)
        if read.outcome != Outcome.PASSED:
            self._note("select", read.error)
        self._present = {}
        for operation, making in self._makings():
            self._plan_first(operation, making)
        if self._captured:
            self._try_first("select", [self._read])
        for key in self._captured:
            if self._try_first("delete", [partial(self._delete, [key], cautious=True)], keep=False):
                self._deletable.append(key)
        for operation, alternatives in self._trials():
            self._try_first(operation, alternatives)

    def look_again(self, retyped: Collection[str]) -> None:
        """See at once whether nothing has changed for what only reads; `retyped`: columns that have another type."""
        self._retyped = retyped
        self._present = {}
        planning = [partial(self._explain, statement) for each in self._statements.values() for statement in each]
        reading = [self._read_present] if self._captured else []
        self._is_fine = attempt(self.connection, *planning, *reading, writes=False).outcome == Outcome.PASSED

    def plan(self, operation: str) -> Attempt:
        """What the server makes of the operation's statements, of which none is executed."""
        statements = self._statements[operation]
        if not statements:
            return Attempt(Outcome.NOT_PROBED, self._not_planned.get(operation, ""))
        if self._is_fine:
            return Attempt(Outcome.PASSED)
        return attempt(self.connection, *(partial(self._explain, each) for each in statements), writes=False)

    def do(self, operation: str) -> Attempt:
        """What comes of it with the rows; those that worked before are tried together, and alone where that fails."""
        actions, deletable = self._actions[operation], self._deletable if operation == "delete" else []
        if not actions and not deletable:
            return Attempt(Outcome.NOT_PROBED, self._did_not_work.get(operation, ""))
        together = [partial(self._delete, deletable), *actions] if deletable else actions
        is_writing = operation != "select"
        done = attempt(self.connection, *together, writes=is_writing)
        if done.outcome == Outcome.PASSED or done.error == TOO_LONG:
            return done
        alone: list[Action] = [*actions, *(partial(self._delete, [key]) for key in deletable)]
        results = [attempt(self.connection, action, writes=is_writing) for action in alone]
        ranked = (Outcome.FAILED, Outcome.PASSED, Outcome.NOT_PROBED)
        return min(results, key=lambda each: ranked.index(each.outcome))

    def _take_rows(self) -> None:
        ordered = self.rows.order_by(*(field.attname for field in self._key_fields))
        self._captured = {row.pk: _values(row) for row in ordered[:ROWS]}

    def _read_present(self) -> None:
        self._present = {row.pk: row for row in self.rows.filter(pk__in=list(self._captured))}

    def _plan_first(self, operation: str, making: Callable[[], Statement]) -> None:
        made: list[Statement] = []

        def make() -> None:
            made.append(making())
            self._explain(made[0])

        planned = attempt(self.connection, make, writes=False)
        if planned.outcome == Outcome.PASSED:
            self._statements[operation] += made
        else:
            self._not_planned[operation] = _as_before(planned.error)

    def _try_first(self, operation: str, alternatives: list[Action], *, keep: bool = True) -> bool:
        """Keep the first alternative that works; whether there is one. What has taken too long is not tried again."""
        if operation in self._slow:
            return False
        error = ""
        for action in alternatives:
            tried = attempt(self.connection, action)
            if tried.outcome == Outcome.PASSED:
                self._actions[operation] += [action] if keep else []
                return True
            error = error or tried.error
            if tried.error == TOO_LONG:
                self._slow.add(operation)
                break
        self._note(operation, error)
        return False

    def _note(self, operation: str, error: str) -> None:
        self._did_not_work.setdefault(operation, _as_before(error))

    def _makings(self) -> Iterator[tuple[str, Callable[[], Statement]]]:
        """The statements, of each with an ordinary row and with one whose values are as wide as the types allow."""
        yield "select", lambda: self._compiled(self.rows.query.chain())
        yield "delete", lambda: self._compiled(self._found().query.chain(DeleteQuery))
        examples = list(self._captured.values())[:1]
        for values in [*examples, None]:
            yield "select", partial(self._selection_by, values)
            yield "insert", partial(self._insertion, values)
            yield "update", partial(self._change, values)

    def _trials(self) -> Iterator[tuple[str, list[Action]]]:
        for number, key in enumerate(self._captured):
            copying = [] if self._is_child else [partial(self._insert_copy, key, number)]
            yield "insert", [*copying, partial(self._put_back, key)]
            yield "update", [partial(self._update, key)]
        for key in list(self._captured)[:1]:
            if not self._is_child:
                yield "delete", [partial(self._delete_copy, key)]
            for changes in self._choices():
                yield "insert", [partial(self._insert_copy, key, ROWS, changes)]
                yield "update", [partial(self._update, key, changes)]

    def _choices(self) -> Iterator[Values]:
        for field in self._fields:
            if field not in self._key_fields:
                yield from ({field.attname: choice} for choice in choices_of(field)[:MOST_CHOICES])

    def _explain(self, statement: Statement) -> None:
        sql, parameters = statement
        with self.connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}", parameters)

    def _compiled(self, query: Any) -> Statement:
        sql, parameters = query.get_compiler(connection=self.connection).as_sql()
        return sql, tuple(parameters)

    def _found(self) -> Any:
        """The rows with a key that can be, of which none need be there."""
        values = [value_of(field, 1) for field in self._key_fields]
        return self.rows.filter(pk=values[0] if len(values) == 1 else tuple(values))

    def _selection_by(self, example: Values | None) -> Statement:
        """Each column compared with a value of the type that the release sends."""
        values = example or self._widest()
        asked = {field.attname: values[field.attname] for field in self._fields if values[field.attname] is not None}
        return self._compiled(self.rows.filter(**asked).query)

    def _insertion(self, example: Values | None) -> Statement:
        values = example or self._widest()
        query: Any = InsertQuery(self.model)
        query.insert_values(self._inserted(values), [self._instance(values)], raw=True)
        ((sql, parameters),) = query.get_compiler(connection=self.connection).as_sql()
        return sql, tuple(parameters)

    def _change(self, example: Values | None) -> Statement:
        changed = self._changed(example or self._widest())
        if not changed:
            return self._compiled(self._found().query)
        query: Any = self._found().query.chain(UpdateQuery)
        query.add_update_fields(changed)
        return self._compiled(query)

    def _widest(self) -> Values:
        return {field.attname: widest(field) for field in self._fields}

    def _inserted(self, values: Values) -> list[Any]:
        return [
            field for field in self._fields if values.get(field.attname) is not None or field is not self._automatic
        ]

    def _changed(self, values: Values) -> list[tuple[Any, None, Any]]:
        changed = [field for field in self._fields if field not in self._key_fields]
        return [(field, None, values[field.attname]) for field in changed]

    def _instance(self, values: Values) -> Any:
        names = {field.attname for field in self._fields}
        return self.model(**{name: value for name, value in values.items() if name in names})

    def _read(self) -> None:
        if not self._present:
            self._read_present()
        if not self._present:
            raise RowIsGone(GONE)
        for key, row in self._present.items():
            now = _values(row)
            for field in self.model._meta.concrete_fields:
                self._compare(field, self._captured[key][field.attname], now[field.attname])

    def _compare(self, field: Any, before: Any, now: Any) -> None:
        """Another value is what a data migration makes; a column of another type must give the same ones."""
        if before is None or (now is None and field.null):
            return
        is_other = type(now) is not type(before) or now != before
        if now is None or (field.column in self._retyped and is_other):
            raise ValueError(f'column "{field.column}" gave {before!r:.80} and gives {now!r:.80}')

    def _values_of(self, key: Any) -> Values:
        """As they were; a relation as it is now, since the release would read it."""
        values = copy.copy(self._captured[key])
        for field in self._fields:
            if field.remote_field and key in self._present:
                values[field.attname] = field.value_from_object(self._present[key])
        return values

    def _insert(self, values: Values) -> Any:
        instance = self._instance(values)
        fields = self._inserted(values)
        options: Any = self.model._meta
        gives = options.db_returning_fields
        given = self.rows._insert(
            [instance], fields=fields, returning_fields=gives, using=self.connection.alias, raw=True
        )
        for field, value in zip(gives, given[0] if given else (), strict=False):
            setattr(instance, field.attname, value)
        return instance

    def _insert_copy(self, key: Any, number: int, changes: Values | None = None) -> Any:
        values = self._values_of(key)
        for field in self._fields:
            if field is self._automatic:
                values[field.attname] = None
            elif field.column in self._unique:
                values[field.attname] = self._new(field, values[field.attname], number)
        return self._insert(values | (changes or {}))

    def _new(self, field: Any, value: Any, number: int) -> Any:
        """One that no row has, where such a one can be made: before the migrations and after them the same."""
        if value in (None, "") or field.remote_field or field.choices:
            return value
        chance = random.Random(f"{self.label} {field.column} {value} {number}")  # noqa: S311  # no secret
        if isinstance(value, str):
            return _resembling(value, chance, field.max_length)
        if isinstance(value, uuid.UUID):
            return uuid.UUID(int=chance.getrandbits(128), version=4)
        if isinstance(value, int) and not isinstance(value, bool):
            return self.rows.aggregate(largest=Max(field.attname))["largest"] + 1 + number
        return value

    def _put_back(self, key: Any) -> None:
        """The row taken away and inserted as it was, for one that cannot be there twice."""
        self.rows.filter(pk=key)._raw_delete(self.connection.alias)
        self._insert(self._values_of(key))

    def _update(self, key: Any, changes: Values | None = None) -> None:
        changed = self._changed(self._values_of(key) | (changes or {}))
        found = self.rows.filter(pk=key)
        if not (found._update(changed) if changed else found.exists()):
            raise RowIsGone(GONE)

    def _delete(self, keys: list[Any], *, cautious: bool = False) -> None:
        if not self._present:
            self._read_present()
        found = [self._present[key] for key in keys if key in self._present]
        if not found:
            raise RowIsGone(GONE)
        delete(found, self.connection.alias, cautious=cautious)

    def _delete_copy(self, key: Any) -> None:
        try:
            made = self._insert_copy(key, ROWS)
        except Exception as error:
            raise RowIsGone(f"no copy of a row could be made: {reason(error)}") from error
        delete([made], self.connection.alias, cautious=False)


def _as_before(error: str) -> str:
    return f"does not work before the migrations either: {error}"


def _resembling(text: str, chance: random.Random, max_length: int | None) -> str:
    """Another text of the same form: its last letters and digits are others, and where it is short, there are more."""
    made = text[:-RENEWED] + "".join(_another(letter, chance) for letter in text[-RENEWED:])
    more = SHORTEST - len(made)
    if max_length:
        more = min(more, max_length - len(made))
    return made + "".join(_another(text[-1], chance) for _ in range(more))


def _another(letter: str, chance: random.Random) -> str:
    alphabet = next((each for each in ALPHABETS if letter in each), letter)
    return chance.choice(alphabet)


def _values(row: Any) -> Values:
    return {field.attname: field.value_from_object(row) for field in row._meta.concrete_fields}
