"""All checks at once, each for so long and no longer, and their lines in the order of the checks."""

import threading
import time
from collections.abc import Callable, Iterable

from django.db import connections
from django.utils.module_loading import import_string

from migration_guard.conf import GuardSettings
from migration_guard.doctor.configuration import check_settings
from migration_guard.doctor.database import check_constraints, check_indexes, check_role, check_server
from migration_guard.doctor.diagnosis import Diagnosis, State, unknown
from migration_guard.doctor.migrations import check_applied, check_files
from migration_guard.doctor.restore_points import check_restore_points
from migration_guard.doctor.secrets import hider

# Of a check, which is given the alias of the database.
Check = Callable[[str], Iterable[Diagnosis]]
LIMIT_SECONDS = 2.8
ASKING: dict[str, Check] = {
    "migrations": check_applied,
    "role": check_role,
    "indexes": check_indexes,
    "constraints": check_constraints,
}
# What is told of without the server, too.
FURTHER: dict[str, Check] = {
    "files": check_files,
    "settings": check_settings,
    "restore points": check_restore_points,
}


def examine(alias: str) -> list[Diagnosis]:
    """Where the server does not answer, what has to ask it was not looked at."""
    server = _Running("database", check_server, alias)
    asking = [_Running(name, check, alias) for name, check in ASKING.items()]
    rest = [_Running(name, check, alias) for name, check in FURTHER.items()]
    rest += [_Running(path, _named(path), alias) for path in _further()]
    lines = server.lines()
    if any(line.state == State.OK for line in lines):
        rest = [*asking, *rest]
    else:
        lines += [unknown(name, "not looked at, as the database does not answer") for name in ASKING]
    hide = hider()
    return [line.rewritten(hide) for line in [*lines, *(line for running in rest for line in running.lines())]]


def _further() -> list[str]:
    paths = GuardSettings.load().DOCTOR
    return [str(path) for path in paths] if isinstance(paths, list | tuple) else []


def _named(path: str) -> Check:
    def check(alias: str) -> Iterable[Diagnosis]:
        found: Check = import_string(path)
        return found(alias)

    return check


def _checked(line: object) -> Diagnosis:
    if not isinstance(line, Diagnosis):
        raise TypeError(f"it gives {line!r}, and not a Diagnosis")
    return line


class _Running:
    """A check in a thread of its own, which ends with the process where it hangs."""

    def __init__(self, name: str, check: Check, alias: str) -> None:
        self.name = name
        self._found: list[Diagnosis] = []
        self._ends_at = time.monotonic() + LIMIT_SECONDS
        self._thread = threading.Thread(target=self._run, args=(check, alias), daemon=True)
        self._thread.start()

    def _run(self, check: Check, alias: str) -> None:
        try:
            for line in check(alias):
                self._found.append(_checked(line))
        # Whatever a check meets is one line, its exit too, and the others are told all the same.
        except BaseException as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._found.append(unknown(self.name, f"could not be looked at: {reason}"))
        finally:
            connections.close_all()

    def lines(self) -> list[Diagnosis]:
        """What it has found until its time is over."""
        self._thread.join(max(0.0, self._ends_at - time.monotonic()))
        over = [unknown(self.name, f"took longer than {LIMIT_SECONDS:g} s")] if self._thread.is_alive() else []
        return [*self._found, *over]
