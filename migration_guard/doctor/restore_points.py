"""The restore points: whether one is damaged before it is needed."""

import shlex
from collections.abc import Iterator
from contextlib import suppress

from django.db import DatabaseError, connections

from migration_guard.applied import WHERE
from migration_guard.conf import GuardSettings
from migration_guard.connections import rows
from migration_guard.doctor.diagnosis import Diagnosis, problem
from migration_guard.doctor.session import looking
from migration_guard.restoring.points import Shelf


def check_restore_points(alias: str) -> Iterator[Diagnosis]:
    """Nothing where none is seen to be broken: their bytes take `restore_points` to be read."""
    if GuardSettings.load().RESTORE_POINTS is None:
        return
    shelf = Shelf(_database(alias))
    broken = {point.name: ", ".join(found) for point in shelf.points() if (found := list(point.gaps()))}
    for name, reason in (broken | shelf.unreadable()).items():
        told = f"{name} cannot be restored: {reason}. Where it may go:"
        yield problem("restore points", told, shlex.join(["rm", "-r", str(shelf.path / name)]))


def _database(alias: str) -> str:
    """The name that the server has for it, as `restore_points` looks for it."""
    with suppress(DatabaseError), looking(alias) as session:
        return str(rows(session, WHERE)[0][0])
    return str(connections[alias].settings_dict["NAME"])
