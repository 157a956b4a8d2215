import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trader.management import arguments
from trader.management.terminal import Progress, as_json
from trader.models import Account
from trader.operations.rebuilding import check, each_account, rebuild


class Command(BaseCommand):
    help = (
        "Writes positions, lots and matches anew from the executions, account by account; with --check it compares "
        "them and writes nothing. Exits 0 when all agree, 1 with findings."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true")
        parser.add_argument("--account", metavar="CODE", help="One account; else all.")
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="At work at once.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, account: str | None, processes: int, json: bool, **options: Any) -> None:
        accounts = Account.objects.filter(pk=arguments.account(account).pk) if account else Account.objects.all()
        chosen = list(accounts.order_by("pk").values_list("pk", flat=True))
        work = check if options["check"] else rebuild
        progress, executions, findings = Progress(self.stderr), 0, []
        for done in each_account(work, chosen, processes=min(processes, len(chosen))):
            executions += done.counted
            findings += done.findings
            progress("Counting executions", executions)
        progress.end()
        if json:
            self.stdout.write(as_json({"accounts": len(chosen), "executions": executions, "findings": findings}))
        else:
            for finding in findings:
                self.stderr.write(finding)
            verb = "compared" if options["check"] else "counted anew"
            self.stdout.write(f"Executions {verb}: {executions:,}. Findings: {len(findings)}.")
        if findings:
            raise SystemExit(1)
