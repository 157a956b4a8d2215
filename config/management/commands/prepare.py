from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from config.database import DatabaseUnavailable
from config.preparation import prepare
from config.roles import UnsafeRole
from migration_guard import UnfitSession


class Command(BaseCommand):
    help = (
        "Wait for the database, migrate it, make next year's partition of price bars, grant the application's role its "
        "rights, deliver new fixtures and groups and create the first superuser. May be run at any time and by several "
        "processes at once. Exits 1 when a system check fails, 2 when the database cannot be used."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--timeout", type=float, default=60, metavar="SECONDS", help="give up waiting after (default: 60)"
        )

    def handle(self, *, timeout: float, **_: Any) -> None:
        try:
            prepare(timeout=timeout, now=timezone.now(), say=self.stdout.write)
        except (DatabaseUnavailable, UnfitSession, UnsafeRole) as error:
            raise CommandError(str(error), returncode=2) from error
