"""The connection that a check looks through: its own, read only, and never longer than a moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import another_session

CONNECT_SECONDS = 2
LIMITS = "-c default_transaction_read_only=on -c statement_timeout=2000 -c lock_timeout=500"


@contextmanager
def looking(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """Nobody waits for what is asked here, and it waits for nobody longer than it may."""
    session = another_session(connections[alias], "doctor")
    options = session.settings_dict["OPTIONS"]
    options |= {"connect_timeout": CONNECT_SECONDS, "options": f"{options.get('options', '')} {LIMITS}".strip()}
    try:
        session.ensure_connection()
        yield session
    finally:
        session.close()
