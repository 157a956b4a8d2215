"""SQL that is to be run once although no transaction holds it."""

from typing import Any

from django.db.migrations.operations import RunSQL
from django.db.migrations.operations.base import Operation


class RunSQLOnce(RunSQL):
    """SQL that PostgreSQL refuses inside a transaction, such as VACUUM or ALTER SYSTEM, and that is to be run once.

    `done` is a query for one boolean: whether the database is as it is after `sql`. It is asked before `sql` is run
    and, turned around, before `reverse_sql` is, so that a run that was killed between the statement and its record does
    not do it twice. The migration needs `atomic = False`.
    """

    def __init__(
        self,
        sql: str,
        reverse_sql: str | None = None,
        *,
        done: str,
        state_operations: list[Operation] | None = None,
        hints: dict[str, Any] | None = None,
        elidable: bool = False,
    ) -> None:
        super().__init__(sql, reverse_sql, state_operations, hints, elidable)
        self.done = done

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, arguments, keywords = super().deconstruct()
        return name, list(arguments), {**keywords, "done": self.done}
