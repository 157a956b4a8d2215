"""One line of `doctor`, and the words that a check makes it with."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS


class State(StrEnum):
    """A NOTE is worth knowing and nothing to mend; UNKNOWN could not be looked at."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Diagnosis:
    """What a check found of its subject; `mend` is a command for the project's folder, or empty."""

    subject: str
    state: State
    message: str
    mend: str = ""

    def rewritten(self, hide: Callable[[str], str]) -> "Diagnosis":
        """In one line, without what is to be hidden, and with a command for the folder that this one was called in."""
        message = hide(" ".join(str(self.message).split()))
        return replace(self, message=message, mend=_from_here(hide(self.mend)) if self.mend else "")


def ok(subject: str, message: str) -> Diagnosis:
    return Diagnosis(subject, State.OK, message)


def note(subject: str, message: str, mend: str = "") -> Diagnosis:
    return Diagnosis(subject, State.NOTE, message, mend)


def problem(subject: str, message: str, mend: str = "") -> Diagnosis:
    return Diagnosis(subject, State.PROBLEM, message, mend)


def unknown(subject: str, message: str) -> Diagnosis:
    return Diagnosis(subject, State.UNKNOWN, message)


def command(*words: str, alias: str = DEFAULT_DB_ALIAS) -> str:
    """A command for the project's folder, called as this one was: by manage.py or django-admin, by uv or without."""
    uv = ["uv", "run"] if "UV_RUN_RECURSION_DEPTH" in os.environ else []
    script = _script()
    called = [_python() if not uv else "python", script.name] if script else ["django-admin"]
    name, *rest = words
    database = [] if alias == DEFAULT_DB_ALIAS else ["--database", alias]
    return shlex.join([*uv, *called, name, *database, *rest])


def _script() -> Path | None:
    """This project's manage.py, whatever its name is."""
    script = Path(sys.argv[0])
    return script if script.suffix == ".py" and script.name != "__main__.py" else None


def _python() -> str:
    """By its name, where that leads to this one and not to another."""
    name = Path(sys.executable).name
    return name if shutil.which(name) == sys.executable else sys.executable


def _from_here(mend: str) -> str:
    script = _script()
    folder = script.parent.resolve() if script else Path.cwd()
    return mend if folder == Path.cwd() else f"cd {shlex.quote(str(folder))} && {mend}"
