"""What a command of the guard prints, between the lines that Django's `migrate` prints by itself."""

from typing import Any

from django.core.management.commands import migrate
from django.db.migrations import Migration


class GuardedCommand(migrate.Command):
    """Django's command, able to say something while `Applying app.name...` waits for its end."""

    verbosity = 1
    _open_line: tuple[str, Migration | None] | None = None
    _was_interrupted = False

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
