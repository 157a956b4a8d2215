from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.loader import MigrationLoader

from migration_guard.console import Progress, exiting_2
from migration_guard.rehearsal.certifying import stale_receipts, write_receipts
from migration_guard.rehearsal.copies import From
from migration_guard.rehearsal.page import as_html
from migration_guard.rehearsal.rehearsing import rehearse
from migration_guard.rehearsal.reports import as_json, as_text
from migration_guard.rehearsal.results import Rehearsal, Verdict

EXIT = {Verdict.PASSED: 0, Verdict.WARNED: 0, Verdict.FAILED: 1, Verdict.COULD_NOT_RUN: 2}


class Command(BaseCommand):
    help = (
        "Runs the pending migrations on a copy of the default database and measures them: what they lock, how long "
        "others stand still, whether the release before survives them, and whether their way back loses a row. The "
        "database itself is only read. Writes the receipts that `migrate` asks for. Exits 0 when they passed, 1 when "
        "one failed, 2 where it cannot run."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--from", type=Path, metavar="DUMP", help="An archive of pg_dump instead of the database.")
        source.add_argument("--sample", type=float, metavar="PERCENT", help="That part of the rows.")
        source.add_argument("--schema-only", action="store_true", help="No rows: locks and statements only.")
        source.add_argument(
            "--history",
            action="store_true",
            help="All migrations, from an empty database on; each table is given the database's rows, or made-up ones.",
        )
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help="The alias of another server, to hold the copy.",
        )
        parser.add_argument("--json", action="store_true", help="Everything that was measured, as one object.")
        parser.add_argument("--html", type=Path, metavar="FILE", help="Write a page for a reviewer.")
        receipts = parser.add_mutually_exclusive_group()
        receipts.add_argument(
            "--write-receipts",
            action="store_true",
            help="Note this server's version in receipts that are valid without it; others are written anyway.",
        )
        receipts.add_argument(
            "--check-receipts", action="store_true", help="Write none, and fail where one is missing or stale."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = _chosen(options)
        if options["html"]:
            _refuse_unwritable(options["html"])
        progress = Progress()
        try:
            with exiting_2("It cannot be rehearsed", progress):
                rehearsal = rehearse(chosen, options["database"], say=self.stderr.write, progress=progress)
        except KeyboardInterrupt:
            told = "Interrupted. The database was only read; what may be left of the copy goes with the next rehearsal."
            raise CommandError(told, returncode=2) from None
        self.stdout.write(as_json(rehearsal) if options["json"] else as_text(rehearsal))
        try:
            if options["html"]:
                options["html"].write_text(as_html(rehearsal))
            code = self._see_to_receipts(rehearsal, options)
        except OSError as error:
            told = (
                f"The page or a receipt cannot be written: {error}. Rehearse where you commit, as who may write there."
            )
            raise CommandError(told, returncode=2) from error
        if code := max(EXIT[rehearsal.verdict], code):
            raise SystemExit(code)

    def _see_to_receipts(self, rehearsal: Rehearsal, options: dict[str, Any]) -> int:
        migrations = MigrationLoader(None).disk_migrations or {}
        if options["check_receipts"]:
            stale = list(stale_receipts(rehearsal, migrations))
            for line in stale:
                self.stderr.write(line, self.style.ERROR)
            return 1 if stale else 0
        for path in write_receipts(rehearsal, migrations, adds_major=options["write_receipts"]):
            self.stderr.write(f"Receipt written: {path}")
        return 0


def _chosen(options: dict[str, Any]) -> From:
    """Raises CommandError for a choice that would say nothing."""
    if options["schema_only"] and (options["write_receipts"] or options["check_receipts"]):
        raise CommandError(
            "--schema-only shows nothing of the rows, and earns no receipt: none can be written or checked by it. "
            "Leave one of the two out. Nothing was done.",
            returncode=2,
        )
    return From(
        dump=options["from"],
        percent=options["sample"],
        schema_only=options["schema_only"],
        history=options["history"],
    )


def _refuse_unwritable(path: Path) -> None:
    """Before an hour of work: a page that cannot be written then. It leaves no file."""
    is_new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        raise CommandError(f"The page cannot be written: {error}. Nothing was done.", returncode=2) from error
    if is_new:
        path.unlink()
