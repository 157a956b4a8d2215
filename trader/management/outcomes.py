"""How a command says what became of a file."""

from django.core.management.base import BaseCommand

from trader.importing.files import Outcome
from trader.importing.preview import Preview
from trader.management.terminal import as_json


def foretell(command: BaseCommand, preview: Preview) -> None:
    for line in preview.lines:
        command.stdout.write(f"line {line.line}: {line.state}{f', {line.what}' if line.what else ''}")
    if preview.rest:
        command.stdout.write(f"{preview.rest:,} more rows are not shown.")


def say(command: BaseCommand, outcome: Outcome, *, json: bool, verb: str = "Imported") -> None:
    """Raises SystemExit(1) for a file that was refused."""
    if json:
        command.stdout.write(as_json(outcome.as_data()))
    elif outcome.problems:
        for problem in outcome.problems.kept:
            command.stderr.write(str(problem))
        found = f"{outcome.problems.count:,} problems" if outcome.problems.count > 1 else "1 problem"
        command.stderr.write(f"Nothing was imported, for {found}. Mend the file and import it again.")
    else:
        command.stdout.write(outcome.told(verb))
    if outcome.problems:
        raise SystemExit(1)
