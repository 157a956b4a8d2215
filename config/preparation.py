"""What happens between the container's start and gunicorn's: `manage.py prepare`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from config.database import REPORT_EVERY_SECONDS, RETRY_EVERY_SECONDS, wait_until_ready
from config.roles import grant_application_role
from trader.models import User
from trader.operations.fixtures import deliver_fixtures

TURN_KEY = int.from_bytes(b"mytrader", "big")
END_WITH_CLIENT = "SET client_connection_check_interval = '1s'"
TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"
UNLOCK = "SELECT pg_advisory_unlock(%s)"
HOLDER = """
    SELECT pid, coalesce(host(client_addr), 'a local socket'), now() - backend_start
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND pg_locks.database = (SELECT oid FROM pg_database
        WHERE datname = current_database()) AND (classid::bigint << 32) | objid::bigint = %s
"""


def prepare(*, timeout: float, now: datetime, say: Callable[[str], None]) -> None:
    """Bring the database to where this release can serve, or find it there; any number of processes may race.

    Waits at most `timeout` seconds for the database and raises DatabaseUnavailable after them. Migrates, grants the
    application's role its rights, delivers new fixtures and creates the first superuser, all under one lock.
    """
    wait_until_ready(timeout=timeout, say=say)
    with turn(connection, say=say):
        call_command("migrate", interactive=False, skip_checks=True)
        role = settings.POSTGRES_APP
        if done := grant_application_role(connection, name=role["USER"], password=role["PASSWORD"]):
            say(f"Role {role['USER']}: {len(done)} changes: {done[0]}{', ...' if done[1:] else '.'}")
        if delivered := deliver_fixtures(folders=_fixture_folders(), now=now):
            say(f"Fixtures: {delivered} new rows.")
        if settings.FIRST_SUPERUSER and User.objects.create_first_superuser(
            settings.FIRST_SUPERUSER, settings.FIRST_SUPERUSER_PASSWORD
        ):
            say(f"First superuser: {settings.FIRST_SUPERUSER}.")


@contextmanager
def turn(connection: BaseDatabaseWrapper, *, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the database's one advisory lock, in the session that does the work, so that it ends with that session.

    The lock is polled: a session that blocks on it would hold a snapshot, which CREATE INDEX CONCURRENTLY waits for.
    """
    next_report = time.monotonic() + RETRY_EVERY_SECONDS
    with connection.cursor() as cursor:
        cursor.execute(END_WITH_CLIENT)
        while not _try_lock(cursor):
            if time.monotonic() >= next_report:
                cursor.execute(HOLDER, [TURN_KEY])
                for pid, address, age in cursor.fetchall():
                    say(f"Waiting for another process to finish: server process {pid}, from {address}, since {age}.")
                next_report = time.monotonic() + REPORT_EVERY_SECONDS
            time.sleep(RETRY_EVERY_SECONDS)
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK, [TURN_KEY])


def _try_lock(cursor: CursorWrapper) -> bool:
    cursor.execute(TRY_LOCK, [TURN_KEY])
    return bool(cursor.fetchone()[0])


def _fixture_folders() -> list[Path]:
    fixtures = settings.BASE_DIR / "trader" / "fixtures"
    return [fixtures / "reference", fixtures / "demo"] if settings.IS_LOCAL else [fixtures / "reference"]
