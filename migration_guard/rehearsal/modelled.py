"""Models of a state, and what relations.py calls their tables."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.connections import rows
from migration_guard.rehearsal.relations import NAME

TABLES = f"""
    SELECT number, pg_class.oid::bigint, {NAME} FROM unnest(%s::text[]) WITH ORDINALITY AS given (name, number)
    JOIN pg_class ON pg_class.oid = to_regclass(name)
"""  # noqa: S608  # constants


class Table(NamedTuple):
    oid: int
    name: str


def has_table(model: type[Model]) -> bool:
    """Whether the migrations make one for it."""
    options = model._meta
    return options.managed and not options.proxy and not options.swapped


def tables_of(connection: BaseDatabaseWrapper, names: Iterable[str]) -> dict[str, Table]:
    """By the name that a model gives to its table; those that are not there are left out."""
    given = list(names)
    quoted = [connection.ops.quote_name(name) for name in given]
    return {given[number - 1]: Table(*table) for number, *table in rows(connection, TABLES, [quoted])}


def models_there(connection: BaseDatabaseWrapper, state: ProjectState) -> list[tuple[type[Model], Table]]:
    """The state's models that have a table there, with it; none where the models cannot be made."""
    try:
        models = [model for model in state.apps.get_models(include_auto_created=True) if has_table(model)]
    except Exception:  # What a field does when it is made is anybody's code.
        return []
    there = tables_of(connection, (model._meta.db_table for model in models))
    return [(model, there[model._meta.db_table]) for model in models if model._meta.db_table in there]
