"""A command as a person runs it."""

import io
from typing import Any

from django.core.management import call_command


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ran(*arguments: str, stderr: io.StringIO | None = None) -> tuple[Any, str, str]:
    """The exit code, and what was said on stdout and on stderr."""
    stdout, stderr = io.StringIO(), stderr or io.StringIO()
    code: Any = 0
    try:
        call_command(*arguments, stdout=stdout, stderr=stderr)
    except SystemExit as end:
        code = end.code
    return code, stdout.getvalue(), stderr.getvalue()
