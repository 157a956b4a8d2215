"""What a command of the guard prints, between the lines that Django's `migrate` prints by itself."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db.migrations import Migration

QUIET_SECONDS = 2.0


@contextmanager
def exiting_2(told: str, progress: "Progress") -> Iterator[None]:
    """Whatever fails in the block, and is no CommandError, becomes one: 1 is how a command tells what it has found.

    So does what code of a migration exits with.
    """
    try:
        yield
    except CommandError:
        raise
    except (Exception, SystemExit) as error:
        raise CommandError(f"{told}: {type(error).__name__}: {error}", returncode=2) from error
    finally:
        progress.end()


def require_reason(option: str, reason: str) -> None:
    """Raise CommandError for an option that leaves a safeguard out without saying why."""
    if not reason.strip():
        raise CommandError(f"{option} needs --reason: who reads the ledger wants to know why.", returncode=2)


class GuardedCommand(migrate.Command):
    """Django's command, able to say something while `Applying app.name...` waits for its end."""

    verbosity = 1
    _open_line: tuple[str, Migration | None] | None = None
    _was_interrupted = False

    def add_restore_point_arguments(self, parser: CommandParser) -> None:
        kept = parser.add_mutually_exclusive_group()
        kept.add_argument(
            "--restore-point",
            action="store_true",
            help="Keep the whole database first; what is destroyed is kept in any case.",
        )
        kept.add_argument(
            "--without-restore-point",
            action="store_true",
            help="Destroy data without keeping it; needs --reason.",
        )
        parser.add_argument("--reason", default="", help="Why that is right; the ledger keeps it.")

    def ask(self, question: str, *, is_answered: bool, undone: str) -> None:
        """Return where the answer is yes, or known to be; `undone` says what a no leaves. Raises CommandError."""
        if is_answered:
            return
        if not sys.stdin.isatty():
            raise CommandError(f"There is no terminal to ask at. {undone}; --yes does it.", returncode=2)
        if input(f"{question} [y/N] ").strip().lower() not in {"y", "yes"}:
            raise CommandError(f"{undone}.")

    def say(self, text: str) -> None:
        """Print lines of their own, also from another thread; on stderr, so that stdout is what Django prints."""
        if self.verbosity < 1:
            return
        if self._open_line and not self._was_interrupted:
            self.stdout.write("")
            self._was_interrupted = True
        self.stdout.flush()
        for line in text.splitlines():
            self.stderr.write(f"    {line}" if self._open_line else line, self.style.NOTICE)

    def migration_progress_callback(self, action: str, migration: Any = None, fake: bool = False) -> None:  # noqa: FBT001, FBT002
        if action.endswith("_success") and self._was_interrupted and migration:
            verb = "Applying" if action.startswith("apply") else "Unapplying"
            self.stdout.write(f"  {verb} {migration}...", ending="")
        self._open_line = (action, migration) if action.endswith("_start") else None
        self._was_interrupted = False
        super().migration_progress_callback(action, migration, fake)


class Progress:
    """One line of a terminal, written over; nothing for what ends within two seconds, nor in a pipe."""

    def __init__(self) -> None:
        self.stream = sys.stderr
        self._began = time.monotonic()
        self._is_shown = False

    def __call__(self, text: str) -> None:
        if self.stream.isatty() and time.monotonic() - self._began > QUIET_SECONDS:
            self.stream.write(f"\r\x1b[K{text}")
            self.stream.flush()
            self._is_shown = True

    def end(self) -> None:
        if self._is_shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
