import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.compose import Compose, NoCompose, set_password
from config.postgres import EmbeddedServer, ServerFailed, another_answers, embedded_server, installed_wheel
from config.processes import PidFile
from config.wheel import SERVER


class Command(BaseCommand):
    help = (
        "The embedded PostgreSQL of this checkout: start it and leave it running, stop it, tell whether it runs "
        "(status exits 1 when not), or open psql in the project's database. password gives the server, embedded or "
        "Compose's, the password that the settings have for its owner."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for action in ("start", "stop", "status", "password"):
            actions.add_parser(action)
        # A prefix that nobody types: psql's own options pass through as they are.
        psql = actions.add_parser("psql", prefix_chars="\0", add_help=False)
        psql.add_argument("arguments", nargs="*", help="passed on to psql")

    def handle(self, *, action: str, **options: Any) -> None:
        server = embedded_server()
        try:
            if action == "psql":
                self.psql(server, options["arguments"])
            else:
                getattr(self, action)(server)
        except (ServerFailed, NoCompose) as error:
            raise CommandError(str(error), returncode=2) from error

    def start(self, server: EmbeddedServer) -> None:
        if server.pid is None and another_answers(server.address):
            self.stdout.write(f"Nothing to start: a PostgreSQL answers at {server.address} already.")
        else:
            server.start()
            self.status(server)

    def stop(self, server: EmbeddedServer) -> None:
        if pid := PidFile(server.home / "up.pid").read():
            raise CommandError(f"`up`, process {pid}, would start it again: end that one with Ctrl-C.", returncode=2)
        if server.pid is None:
            self.stdout.write("The embedded PostgreSQL does not run.")
        else:
            server.stop()
            self.stdout.write(f"The embedded PostgreSQL is stopped; its data stays in {server.data}.")

    def status(self, server: EmbeddedServer) -> None:
        if server.pid is None:
            self.stdout.write("The embedded PostgreSQL does not run.")
            sys.exit(1)
        self.stdout.write(f"The embedded PostgreSQL runs: process {server.pid}, port {server.port}, {server.data}.")

    def password(self, server: EmbeddedServer) -> None:
        if pid := PidFile(server.home / "up.pid").read():
            raise CommandError(f"`up`, process {pid}, works with the server: end that one with Ctrl-C.", returncode=2)
        if server.pid is not None:
            server.set_password()
        else:
            set_password(Compose(settings.BASE_DIR), server.address)
        self.stdout.write(f"The server takes the password of POSTGRES_PASSWORD for {server.address.user} now.")

    def psql(self, server: EmbeddedServer, arguments: list[str]) -> None:
        """Become psql, connected as the owner to whatever answers at the address."""
        address = server.address
        os.environ |= {"PGPASSWORD": address.password, "PGHOST": address.host, "PGPORT": str(address.port)}
        os.environ |= {"PGUSER": address.user, "PGDATABASE": address.database}
        program = str(installed_wheel() / SERVER / "bin" / "psql")
        os.execv(program, [program, *arguments])  # noqa: S606 - there is no shell to want here
