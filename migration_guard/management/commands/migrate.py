from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from migration_guard.connections import UnfitSession
from migration_guard.console import GuardedCommand
from migration_guard.migrating import Migrating
from migration_guard.turns import TurnLost


class Command(GuardedCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--accept-edited",
            nargs=2,
            action="append",
            default=[],
            metavar=("APP", "NAME"),
            help="Take an applied migration as it is now, edited or deleted; needs --reason.",
        )
        parser.add_argument(
            "--without-receipt",
            action="store_true",
            help="Apply what has not passed a rehearsal, where the settings ask for that; needs --reason.",
        )
        self.add_restore_point_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.verbosity = options["verbosity"]

        def as_django() -> None:
            super(Command, self).handle(*args, **options)

        if connections[options["database"]].vendor != "postgresql":
            as_django()
            return
        try:
            Migrating(self, options, as_django).run()
        except (UnfitSession, TurnLost) as error:
            raise CommandError(str(error), returncode=2) from error
