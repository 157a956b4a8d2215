"""What the application may have written into new columns before a way back drops them: values are made up for it."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.connections import execute
from migration_guard.rehearsal.attempts import SET_TIMEOUT
from migration_guard.rehearsal.modelled import models_there
from migration_guard.rehearsal.results import RowLoss
from migration_guard.rehearsal.rows import PER_TABLE, TableFiller, fill
from migration_guard.restoring.looking import Column, Look


def written_meanwhile(
    connection: BaseDatabaseWrapper, before: Look, state: ProjectState, new_tables: Collection[str]
) -> dict[Column, RowLoss]:
    """By column that is new since `before`, as the models of `state` know it, how many values it took of made-up ones.

    All of it is undone. None as the number: it took none.
    """
    new = _new_columns(before, Look.at(connection))
    if not new:
        return {}
    taken: dict[Column, RowLoss] = {}
    with transaction.atomic(using=connection.alias):
        execute(connection, SET_TIMEOUT)
        # A new column may refer to a new table.
        fill(connection, state, tables=new_tables)
        for model, table in models_there(connection, state):
            own = {field.column for field in model._meta.local_concrete_fields}
            columns = {name: column for name, column in new.get(table.oid, {}).items() if name in own}
            numbers = _write(connection, model, columns) if columns else {}
            taken |= {column: RowLoss(table.name, name, numbers.get(name)) for name, column in columns.items()}
        transaction.set_rollback(True, using=connection.alias)
    return taken


def _new_columns(before: Look, now: Look) -> dict[int, dict[str, Column]]:
    """By table that was there, and name; a column that stands in for another one of its name is not new."""
    names = {(column.table, column.name) for column in before.columns.values()}
    new: dict[int, dict[str, Column]] = defaultdict(dict)
    for key in now.columns.keys() - before.columns.keys():
        column = now.columns[key]
        if column.table in before.tables and (column.table, column.name) not in names:
            new[column.table][column.name] = column
    return new


def _write(connection: BaseDatabaseWrapper, model: type[Model], columns: Collection[str]) -> Any:
    try:
        with transaction.atomic(using=connection.alias):
            return TableFiller(connection, model).write_into(columns, PER_TABLE)
    except Exception:  # Fields and their converters are anybody's code.
        return {}
