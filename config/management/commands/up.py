import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.postgres import ServerFailed, embedded_server
from config.stack import CannotStart, Stack


class Command(BaseCommand):
    help = (
        "Run the whole project on this machine without Docker: an embedded PostgreSQL, migrations, fixtures and "
        "gunicorn, until Ctrl-C. Uses a PostgreSQL that already answers at the address in .env. Exits 2 when it "
        "could not start."
    )

    def handle(self, **_: Any) -> None:
        stack = Stack(
            checkout=settings.BASE_DIR,
            server=embedded_server(),
            backend_port=_first_port(settings.BACKEND_PORT),
            say=self.stdout.write,
        )
        try:
            sys.exit(stack.run())
        except (CannotStart, ServerFailed) as error:
            raise CommandError(str(error), returncode=2) from error


def _first_port(ports: str) -> int:
    first = ports.partition("-")[0]
    if not (first.isdecimal() and 0 < int(first) < 2**16):
        raise CommandError(f"BACKEND_PORT is {ports!r}: expected a port such as 8000, or a range.", returncode=2)
    return int(first)
