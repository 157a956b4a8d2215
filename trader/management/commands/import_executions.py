from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from trader.importing.files import FORMATS, import_file
from trader.management import arguments, outcomes
from trader.management.terminal import Progress


class Command(BaseCommand):
    help = (
        "Takes the executions, cash and splits of a broker's file into an account: all of the file or nothing, and "
        "nothing twice. Exits 0 when it is in the book, 1 when it is refused, 2 where it cannot be read at all."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--account", required=True, metavar="CODE")
        parser.add_argument("--format", required=True, choices=FORMATS)
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and keep nothing.")
        shown = parser.add_mutually_exclusive_group()
        shown.add_argument("--preview", action="store_true", help="Say of each row what it does, of the first 1,000.")
        shown.add_argument("--json", action="store_true")

    def handle(self, *, file: Path, account: str, **options: Any) -> None:
        progress = Progress(self.stderr)
        try:
            with file.open("rb") as source:
                outcome = import_file(
                    source,
                    account=arguments.account(account),
                    file_format=options["format"],
                    # A name need not be text in any encoding.
                    file_name=file.name.encode(errors="replace").decode(),
                    actor=arguments.actor(),
                    now=timezone.now(),
                    dry_run=options["dry_run"],
                    preview=options["preview"],
                    watch=progress,
                )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.", returncode=2) from error
        finally:
            progress.end()
        if outcome.preview:
            outcomes.foretell(self, outcome.preview)
        verb = "Would import" if options["dry_run"] else "Imported"
        outcomes.say(self, outcome, json=options["json"], verb=verb)
