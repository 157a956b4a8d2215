"""Fields as they stand in the database: their columns, their tables and the foreign keys of these."""

from collections.abc import Iterator
from copy import copy
from typing import Any

from django.db import connection, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import truncate_name
from django.db.models import ForeignKey, Model

from migration_guard.operations.editing import run

LONGEST_IDENTIFIER = 63
FOREIGN_KEY_SUFFIX = "_fk_%(to_table)s_%(to_column)s"
# What a foreign key's column is where its target counts by itself, or allows less than its type.
PLAIN_TYPES: dict[str, type[Any]] = {
    "AutoField": models.IntegerField,
    "BigAutoField": models.BigIntegerField,
    "SmallAutoField": models.SmallIntegerField,
    "PositiveIntegerField": models.IntegerField,
    "PositiveBigIntegerField": models.BigIntegerField,
    "PositiveSmallIntegerField": models.SmallIntegerField,
}


def field_of(model: type[Model], name: str) -> Any:
    field: Any = model._meta.get_field(name)
    return field


def has_foreign_key(field: Any) -> bool:
    """Whether the database checks what the field refers to."""
    is_relation = isinstance(field, ForeignKey)
    return is_relation and field.db_constraint


def with_default(field: Any, default: Any) -> Any:
    """A copy, in the model, with another default; the field itself is of a state that others use."""
    field = copy(field)
    field.default = default
    field.__dict__.pop("_get_default", None)
    return field


def with_attributes(field: Any, **attributes: Any) -> Any:
    """A copy of the field with other arguments; `db_constraint` is left out where the field knows none."""
    _, _, arguments, keywords = field.deconstruct()
    if not field.remote_field:
        attributes.pop("db_constraint", None)
    return type(field)(*arguments, **{**keywords, **attributes})


def as_column(field: Any) -> Any:
    """A copy of a model's field that stands by itself: a foreign key as a plain field with the same column and index.

    What it refers to may be gone once the copy is used.
    """
    if not isinstance(field, ForeignKey):
        return field.clone()
    target: Any = field.target_field
    while isinstance(target, ForeignKey):
        target = target.target_field
    plain = PLAIN_TYPES.get(target.get_internal_type())
    _, _, arguments, keywords = target.deconstruct()
    if plain:
        arguments, keywords = [], {}
    for word in ("primary_key", "unique", "db_index", "db_column", "default", "db_default", "verbose_name", "null"):
        keywords.pop(word, None)
    if field.primary_key:
        keywords["primary_key"] = True
    else:
        keywords |= {word: True for word in ("null", "unique", "db_index") if getattr(field, word)}
    return (plain or type(target))(*arguments, **{**keywords, "db_column": field.column})


def run_on(editor: BaseDatabaseSchemaEditor, template: str, model: type[Model], field: Any) -> None:
    quote = editor.quote_name
    run(editor, template, table=quote(model._meta.db_table), column=quote(field.column))


def own_tables(model: type[Model]) -> Iterator[type[Model]]:
    """The model, and the ones that Django makes for its many-to-many fields."""
    yield model
    for field in model._meta.local_many_to_many:
        yield from tables_of(field)


def tables_of(field: Any) -> list[type[Model]]:
    through: Any = field.remote_field.through
    return [through] if through._meta.auto_created else []


def implicit_name(table: str, column: str, kind: str) -> str:
    """What PostgreSQL calls a constraint that a column is added with, UNIQUE ("key") or CHECK: its makeObjectName."""
    table, column = table.strip('"'), column.strip('"')
    while len(f"{table}_{column}_{kind}".encode()) > LONGEST_IDENTIFIER:
        if len(table.encode()) > len(column.encode()):
            table = table[:-1]
        else:
            column = column[:-1]
    return f"{table}_{column}_{kind}"


def default_table(app_label: str, model_name: str) -> str:
    return truncate_name(f"{app_label}_{model_name.lower()}", connection.ops.max_name_length())


def drop_foreign_keys(editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
    for field in model._meta.local_concrete_fields:
        drop_foreign_key(editor, model, field)


def drop_foreign_key(editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> None:
    any_editor: Any = editor
    if has_foreign_key(field):
        for name in any_editor._constraint_names(model, [field.column], foreign_key=True):
            editor.execute(any_editor._delete_fk_sql(model, name))


def add_foreign_keys(editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
    for field in model._meta.local_concrete_fields:
        add_foreign_key(editor, model, field)


def add_foreign_key(editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> None:
    any_editor: Any = editor
    if has_foreign_key(field):
        editor.execute(any_editor._create_fk_sql(model, field, FOREIGN_KEY_SUFFIX))
