"""`restore_points`: the points of a database, each read to its end."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.timesince import timesince

from migration_guard.applied import Say
from migration_guard.restoring.points import RestorePoint, Shelf
from migration_guard.units import size

DIRECTIONS = {"apply": "before applying", "undo": "before undoing"}
HELD = ("kind", "schema", "table", "column", "rows")


class Listed(NamedTuple):
    """A folder of the shelf, with what is wrong with it; without a point where its manifest cannot be read."""

    name: str
    point: RestorePoint | None
    problems: list[str]


def look(database: str, progress: Say) -> list[Listed]:
    """Newest first; what cannot be read at the end."""
    shelf = Shelf(database)
    found = []
    for point in shelf.points():
        progress(f"Reading {point.name}")
        found.append(Listed(point.name, point, list(point.problems())))
    return [*found, *(Listed(name, None, [problem]) for name, problem in shelf.unreadable().items())]


def as_lines(listed: Sequence[Listed], now: datetime) -> Iterator[str]:
    if not listed:
        yield "There is no restore point of this database."
    for name, point, problems in listed:
        yield f"{name}  {'BROKEN' if problems else 'whole'}"
        if point:
            manifest = point.manifest
            age = timesince(manifest.taken_at, now, depth=1).replace("\xa0", " ")
            why = f"{DIRECTIONS.get(manifest.direction, manifest.direction)} {manifest.app}.{manifest.migration}"
            yield f"    {size(point.bytes)}, {age} old, {why if manifest.migration else 'as was asked for'}"
            yield from (f"    {part}: {part.rows:,}" for part in manifest.parts)
        yield from (f"    {problem}" for problem in problems)


def as_data(listed: Listed) -> dict[str, Any]:
    data: dict[str, Any] = {"name": listed.name, "whole": not listed.problems, "problems": listed.problems}
    if listed.point:
        manifest = listed.point.manifest
        data |= {
            "app": manifest.app,
            "migration": manifest.migration,
            "direction": manifest.direction,
            "run": manifest.run,
            "taken_at": manifest.taken_at.isoformat(),
            "server_version": manifest.server_version,
            "bytes": listed.point.bytes,
            "holds": [{name: getattr(part, name) for name in HELD} for part in manifest.parts],
        }
    return data
