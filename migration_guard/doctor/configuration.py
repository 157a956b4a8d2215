"""The guard's own settings, which the system checks refuse and `doctor`, run without these, has to tell of."""

from collections.abc import Iterator

from migration_guard.conf import problems
from migration_guard.doctor.diagnosis import Diagnosis, problem


def check_settings(_alias: str) -> Iterator[Diagnosis]:
    """Nothing where they are right."""
    for _, found, hint in problems():
        yield problem("settings", f"{found} {hint}")
