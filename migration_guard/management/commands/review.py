from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from migration_guard.review.choosing import Choice
from migration_guard.review.findings import Severity
from migration_guard.review.reports import as_github, as_json, as_sarif, as_text
from migration_guard.review.reviewing import Reviewed, review


class Command(BaseCommand):
    help = (
        "Says what migrations will do to a database in use, without running them: those that are not applied, "
        "those of an app, or one. Exits 0 with nothing to say, 1 with findings at or over --fail-on, 2 where it "
        "cannot run."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", nargs="?")
        parser.add_argument("migration_name", nargs="?")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Whose sizes, version and migrations count.")
        parser.add_argument("--offline", action="store_true", help="Ask no database.")
        levels = [*(str(severity) for severity in Severity), "never"]
        parser.add_argument("--fail-on", choices=levels, default="warning", help="Default: warning.")
        form = parser.add_mutually_exclusive_group()
        for name, print_as in (("json", as_json), ("sarif", as_sarif), ("github", as_github)):
            form.add_argument(f"--{name}", dest="print_as", action="store_const", const=print_as, default=as_text)

    def handle(self, *args: object, **options: Any) -> None:
        try:
            reviewed = self._review(**options)
        except CommandError:
            raise
        # Any error of a migration's module, or of its graph: an exit code of 1 would say that something was found.
        except Exception as error:
            told = f"The migrations cannot be read: {type(error).__name__}: {error}\n--traceback shows where."
            raise CommandError(told, returncode=2) from error
        if text := options["print_as"](reviewed):
            self.stdout.write(text)
        worst = max((finding.severity for one in reviewed for finding in one.findings), default=0)
        if options["fail_on"] != "never" and worst >= Severity[options["fail_on"].upper()]:
            raise SystemExit(1)

    def _review(
        self, app_label: str | None, migration_name: str | None, database: str, *, offline: bool, **_: object
    ) -> list[Reviewed]:
        choice = Choice.of(app_label, migration_name, database, offline=offline)
        if choice.note:
            self.stderr.write(choice.note)
        return review(choice.loader, choice.keys, choice.connection, choice.database)
