"""Something tried on a database and undone, whatever comes of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors

from migration_guard.connections import execute
from migration_guard.rehearsal.results import Outcome

LIMIT_SECONDS = 10
SET_TIMEOUT = f"SET LOCAL statement_timeout = '{LIMIT_SECONDS}s'"
TOO_LONG = f"took over {LIMIT_SECONDS} s"
CHECK_DEFERRED = "SET CONSTRAINTS ALL IMMEDIATE"
# And from then on at the end of the transaction again.
CHECK_NOW = f"{CHECK_DEFERRED}; SET CONSTRAINTS ALL DEFERRED"

Action = Callable[[], object]


class RowIsGone(Exception):
    """A row that was to be used is not there any more, which is nobody's failure."""


class Attempt(NamedTuple):
    outcome: Outcome
    error: str = ""


def attempt(connection: BaseDatabaseWrapper, *actions: Action, writes: bool = True) -> Attempt:
    """Do these in one savepoint and undo them; of what `writes`, deferred constraints are checked.

    Needs a transaction around it.
    """
    try:
        with transaction.atomic(using=connection.alias):
            for action in actions:
                action()
            if writes:
                execute(connection, CHECK_DEFERRED)
            transaction.set_rollback(True, using=connection.alias)
    except RowIsGone as error:
        return Attempt(Outcome.NOT_PROBED, str(error))
    except Exception as error:  # Fields and their converters are anybody's code.
        if isinstance(error.__cause__, errors.QueryCanceled):
            return Attempt(Outcome.NOT_PROBED, TOO_LONG)
        return Attempt(Outcome.FAILED, reason(error))
    return Attempt(Outcome.PASSED)


def reason(error: BaseException) -> str:
    """The server's message and its hint, else the first line of the exception."""
    diagnosis: Any = getattr(error.__cause__, "diag", None)
    if diagnosis and diagnosis.message_primary:
        return " ".join(filter(None, [str(diagnosis.message_primary), str(diagnosis.message_hint or "")]))
    # Further arguments, as the rows that a ProtectedError names, say nothing that a line can hold.
    first_line = next(iter(str(error.args[0] if error.args else "").splitlines()), "")
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
