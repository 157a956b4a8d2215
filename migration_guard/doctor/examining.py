"""All checks at once, each for so long and no longer, and their lines in the order of the checks."""

import threading
from collections.abc import Callable, Iterable
from queue import Empty, Queue

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

from migration_guard.conf import GuardSettings
from migration_guard.doctor.database import check_constraints, check_indexes, check_role, check_server
from migration_guard.doctor.diagnosis import Diagnosis, State, unknown
from migration_guard.doctor.migrations import check_applied, check_files, check_models

# Of a check, which is given the alias of the database.
Check = Callable[[str], Iterable[Diagnosis]]
LIMIT_SECONDS = 2.8
ASKING = {
    "migrations applied": check_applied,
    "role": check_role,
    "indexes": check_indexes,
    "constraints": check_constraints,
}
LOOKING = {"migration files": check_files, "models": check_models}
SHORTEST_SECRET = 4


def examine(alias: str) -> list[Diagnosis]:
    """The server first: where it does not answer, what has to ask it is not looked at."""
    further = {path: _further(path) for path in GuardSettings.load().DOCTOR}
    first = _Running("database", check_server, alias)
    rest = [_Running(name, check, alias) for name, check in (LOOKING | further).items()]
    lines = first.lines()
    if any(line.state != State.OK for line in lines):
        lines += [unknown(name, "not looked at, as the database does not answer") for name in ASKING]
    else:
        rest = [*(_Running(name, check, alias) for name, check in ASKING.items()), *rest]
    for running in rest:
        lines += running.lines()
    return [_without_secrets(line) for line in lines]


def _further(path: str) -> Check:
    def check(alias: str) -> Iterable[Diagnosis]:
        found: Check = import_string(path)
        return found(alias)

    return check


class _Running:
    """A check in a thread of its own, which ends with the process where it hangs."""

    def __init__(self, name: str, check: Check, alias: str) -> None:
        self.name = name
        self._result: Queue[list[Diagnosis]] = Queue()
        self._thread = threading.Thread(target=self._run, args=(check, alias), daemon=True)
        self._thread.start()

    def _run(self, check: Check, alias: str) -> None:
        try:
            self._result.put(list(check(alias)))
        # Whatever a check meets is one line, and the others are told all the same.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._result.put([unknown(self.name, f"could not be looked at: {reason}")])
        finally:
            connections.close_all()

    def lines(self) -> list[Diagnosis]:
        try:
            return self._result.get(timeout=LIMIT_SECONDS)
        except Empty:
            return [unknown(self.name, f"took longer than {LIMIT_SECONDS:g} s")]


def _without_secrets(line: Diagnosis) -> Diagnosis:
    """Nothing that a check quotes shows a password."""
    passwords = [str(database.get("PASSWORD") or "") for database in settings.DATABASES.values()]
    message, mend = line.message, line.mend
    for secret in (*passwords, settings.SECRET_KEY):
        if len(secret) >= SHORTEST_SECRET:
            message, mend = message.replace(secret, "***"), mend.replace(secret, "***")
    return Diagnosis(line.subject, line.state, message, mend)
