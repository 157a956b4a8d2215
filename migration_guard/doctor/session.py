"""The connection that a check looks through: its own, read only, and never longer than a moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.conf import GuardSettings
from migration_guard.connections import execute

CONNECT_SECONDS = 2
LIMITS = "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = 2000; SET LOCAL lock_timeout = 500"


@contextmanager
def looking(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """Put in place of the thread's own for the block. Nobody waits for what is asked, and it hardly waits for others.

    The limits are those of its one transaction: a proxy refuses some of them when a connection is made.
    """
    direct = GuardSettings.load().DIRECT_DATABASE if alias == DEFAULT_DB_ALIAS else None
    usual = connections[alias]
    session = connections[direct or alias].copy(alias)
    session.settings_dict["OPTIONS"].pop("pool", None)
    session.settings_dict["OPTIONS"] |= {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "migration_guard doctor",
    }
    connections[alias] = session
    try:
        with transaction.atomic(using=alias):
            execute(session, LIMITS)
            yield session
            transaction.set_rollback(True, using=alias)
    finally:
        session.close()
        connections[alias] = usual
