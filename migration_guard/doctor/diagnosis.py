"""One line of `doctor`, and the words that a check makes it with."""

import os
import shlex
import sys
from dataclasses import dataclass
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


def ok(subject: str, message: str) -> Diagnosis:
    return Diagnosis(subject, State.OK, message)


def note(subject: str, message: str, mend: str = "") -> Diagnosis:
    return Diagnosis(subject, State.NOTE, message, mend)


def problem(subject: str, message: str, mend: str = "") -> Diagnosis:
    return Diagnosis(subject, State.PROBLEM, message, mend)


def unknown(subject: str, message: str) -> Diagnosis:
    return Diagnosis(subject, State.UNKNOWN, message)


def command(*words: str, alias: str = DEFAULT_DB_ALIAS) -> str:
    """A command of the project, called as this one was: by manage.py or django-admin, by uv or without."""
    uv = ["uv", "run"] if "UV_RUN_RECURSION_DEPTH" in os.environ else []
    is_script = sys.argv[0].endswith(".py") and Path(sys.argv[0]).name != "__main__.py"
    called = [Path(sys.executable).name, sys.argv[0]] if is_script else ["django-admin"]
    name, *rest = words
    database = [] if alias == DEFAULT_DB_ALIAS else ["--database", alias]
    return shlex.join([*uv, *called, name, *database, *rest])
