"""What happens between the container's start and gunicorn's: `manage.py prepare`."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from config.database import wait_until_ready
from config.roles import grant_application_role
from migration_guard import turn
from trader.models import User
from trader.operations.demonstration import deliver_demonstration
from trader.operations.fixtures import deliver_fixtures
from trader.operations.groups import deliver_groups
from trader.operations.price_partitions import PartitionNotMade, due_years, make_partitions, partition_name

FIXTURES = settings.BASE_DIR / "trader" / "fixtures"


def prepare(*, timeout: float, now: datetime, say: Callable[[str], None]) -> None:
    """Bring the database to where this release can serve, or find it there; any number of processes may race.

    Waits at most `timeout` seconds for the database and raises DatabaseUnavailable after them, or UnfitSession where
    nothing can be written to it or a pooler shares the session. Migrates, makes next year's partition, grants the
    application's role its rights, delivers new fixtures and groups, once the demonstration, and creates the first
    superuser, all under one lock.
    """
    wait_until_ready(timeout=timeout, say=say)
    with turn(connection, say=say):
        call_command("migrate", interactive=False, skip_checks=True)
        _make_due_partitions(now=now, say=say)
        role = settings.POSTGRES_APP
        if done := grant_application_role(connection, name=role["USER"], password=role["PASSWORD"]):
            say(f"Role {role['USER']}: {len(done)} changes: {done[0]}{', ...' if done[1:] else '.'}")
        if delivered := deliver_fixtures(folders=_fixture_folders(), now=now):
            say(f"Fixtures: {delivered} new rows.")
        if delivered := deliver_groups(now=now):
            say(f"Groups: {delivered} new groups and permissions of them.")
        if settings.DEMONSTRATION and (events := deliver_demonstration(folder=FIXTURES / "demo" / "book", now=now)):
            say(f"Demonstration book: {events} events in the account DEMO.")
        if settings.FIRST_SUPERUSER and User.objects.create_first_superuser(
            settings.FIRST_SUPERUSER, settings.FIRST_SUPERUSER_PASSWORD
        ):
            say(f"First superuser: {settings.FIRST_SUPERUSER}.")


def _make_due_partitions(*, now: datetime, say: Callable[[str], None]) -> None:
    """What cannot be made while bars are read or written is left to the next start, and to `doctor`: this one serves
    without it."""
    try:
        for year, moved in make_partitions(due_years(now=now)):
            say(f"Price bars: made {partition_name(year)}; {moved} moved into it.")
    except PartitionNotMade as error:
        say(str(error))


def _fixture_folders() -> list[Path]:
    return [FIXTURES / "reference", FIXTURES / "demo"] if settings.DEMONSTRATION else [FIXTURES / "reference"]
