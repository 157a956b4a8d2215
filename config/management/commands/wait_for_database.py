from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.database import DatabaseUnavailable, wait_until_ready


class Command(BaseCommand):
    help = "Wait until the database answers a query. Exits 0 when it does, 2 when it does not in time or never will."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="give up after (default: 60)")

    def handle(self, *, timeout: float, **_: Any) -> None:
        try:
            wait_until_ready(timeout=timeout, say=self.stdout.write)
        except DatabaseUnavailable as error:
            raise CommandError(str(error), returncode=2) from error
