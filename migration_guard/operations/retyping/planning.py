"""Which changes of a column's type can be made in steps, as told by the fields alone."""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import connection as default_connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation
from django.db.models import Model, UniqueConstraint

from migration_guard.operations.retyping.casts import always_casts, rewrites
from migration_guard.operations.retyping.steps import (
    AddShadowColumn,
    FillShadowColumn,
    IndexShadowColumn,
    SwapShadowColumn,
)

AUTO_FIELDS = {"AutoField", "BigAutoField", "SmallAutoField"}


def plan(
    model_name: str, name: str, old_field: Any, new_field: Any, connection: BaseDatabaseWrapper | None = None
) -> list[list[Operation]] | None:
    """The operations that make the one field of the other, a list for each file; both are fields of a state's models.

    The second and the third file need `atomic = False`; the last one changes the state. None where AlterField need not
    rewrite the table, and where these operations cannot do it: keys and what refers to them, generated columns, any
    change beside the type, and a cast that a value can fail, which would refuse rows of the previous release.
    """
    if not can_retype(old_field, new_field, connection or default_connection):
        return None
    return [
        [AddShadowColumn(model_name, name, new_field.clone())],
        [FillShadowColumn(model_name, name, new_field.clone())],
        [IndexShadowColumn(model_name, name, new_field.clone())],
        [SwapShadowColumn(model_name, name, new_field.clone())],
    ]


def can_retype(old: Any, new: Any, connection: BaseDatabaseWrapper) -> bool:
    if any(_is_special(field) for field in (old, new)) or not _same_but_for_type(old, new, connection):
        return False
    if not _is_plain_table(old.model) or _is_referred_to(old) or _is_in_odd_constraint(old):
        return False
    types = [field.db_type(connection) for field in (old, new)]
    return rewrites(*types) and always_casts(*types) and not _has_pattern_index(old, *types)


def _is_special(field: Any) -> bool:
    """Whether it is anything but a column of plain values."""
    return bool(
        not field.concrete
        or field.column is None
        or field.remote_field
        or field.primary_key
        or field.generated
        or field.get_internal_type() in AUTO_FIELDS
    )


def _same_but_for_type(old: Any, new: Any, connection: BaseDatabaseWrapper) -> bool:
    compared = [
        (
            field.column,
            field.null,
            field.unique,
            field.db_index,
            field.db_comment,
            field.db_tablespace,
            field._db_default_expression,
            field.db_parameters(connection).get("collation"),
            field.db_check(connection),
        )
        for field in (old, new)
    ]
    return compared[0] == compared[1]


def _is_plain_table(model: type[Model]) -> bool:
    options = model._meta
    is_own = options.managed and not options.proxy and not options.swapped
    # A CompositePrimaryKey has no column.
    return bool(is_own and getattr(options.pk, "column", None))


def _is_referred_to(field: Any) -> bool:
    """Whether a foreign key leads to it, or a generated column is made of it."""
    options = field.model._meta
    relations = [relation.field for relation in options.related_objects if not relation.many_to_many]
    generated = [other.expression for other in options.local_fields if other.generated]
    used = {names[0] for expression in generated for names in field.model._get_expr_references(expression)}
    return field.name in used or any(field in relation.foreign_related_fields for relation in relations)


def _is_in_odd_constraint(field: Any) -> bool:
    """Whether a constraint may use it that cannot be built beside its like."""
    return any(
        isinstance(constraint, ExclusionConstraint)
        or (isinstance(constraint, UniqueConstraint) and constraint.deferrable and field.name in constraint.fields)
        for constraint in field.model._meta.constraints
    )


def _has_pattern_index(field: Any, *types: str) -> bool:
    """Whether Django has made it an index for LIKE, which belongs to the type."""
    return bool(field.db_index or field.unique) and types[0].startswith(("varchar", "text"))
