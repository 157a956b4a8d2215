"""Restore points on the disk: a folder each, with the files of what was kept and a manifest that tells of them.

A point is whole or not there: it is made under another name, which is changed when everything is on the disk.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from django.core.management.base import CommandError

from migration_guard.applied import Say
from migration_guard.conf import GuardSettings

FORMAT = 1
MOMENTS = ("taken_at", "run_started_at")
MANIFEST = "manifest.json"
UNFINISHED = "unfinished-"
IGNORE = ".gitignore"
# What the name of a database may have in it, and that of a folder not.
NO_FOLDER = re.compile(r"[/%]|^\.")


class NoRestorePoint(CommandError):
    """What would be destroyed could not be kept; nothing of the migration is in the database."""

    @classmethod
    def because(cls, reason: str) -> Self:
        return cls(
            f"What would be destroyed could not be kept: {' '.join(reason.split()).rstrip('.')}. It was rolled back, "
            "nothing of it is in the database. Mend that and run it again. Where the data may go: "
            "--without-restore-point --reason '...'",
            returncode=2,
        )

    @classmethod
    def unwritten(cls, error: OSError, path: Path) -> Self:
        return cls.because(f"{path} cannot be written ({error.strerror or error}); RESTORE_POINTS names the folder")


@dataclass(frozen=True)
class KeptFile:
    """A file of a point; `rows` are those in it, of whatever table."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Reference:
    """A foreign key of another table that goes with the table that it refers to."""

    schema: str
    table: str
    name: str
    definition: str


@dataclass
class Part:
    """What was kept of one table.

    `kind` is "column" (its values by the primary key), "rows" (as they were before they were changed or taken out),
    "table" (an archive of pg_dump), or "database" (one of everything). A later file of a column stands over the earlier
    one, so that `counted` says how many values there are. `columns` are those of the files with their types, in their
    order.
    """

    kind: str
    schema: str = ""
    table: str = ""
    column: str = ""
    key: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)
    files: list[KeptFile] = field(default_factory=list)
    counted: int | None = None

    @property
    def rows(self) -> int:
        return self.counted if self.counted is not None else sum(file.rows for file in self.files)

    def __str__(self) -> str:
        if self.kind == "database":
            return "the whole database"
        table = self.table if self.schema == "public" else f"{self.schema}.{self.table}"
        what = {"column": f"the values of {table}.{self.column}", "rows": f"rows of {table}", "table": table}
        return what[self.kind]


@dataclass
class Manifest:
    """What a point is of; `direction` is "apply" or "undo", `run` the row of the ledger; none for a whole database.

    The run's beginning tells the database from another one of its name, as the container's and the laptop's.
    """

    database: str
    server_version: str
    taken_at: datetime
    app: str = ""
    migration: str = ""
    direction: str = ""
    run: int | None = None
    run_started_at: datetime | None = None
    parts: list[Part] = field(default_factory=list)
    format: int = FORMAT

    def as_json(self) -> str:
        values = asdict(self) | {name: moment.isoformat() for name in MOMENTS if (moment := getattr(self, name))}
        return json.dumps(values | {"sha256": _digest_of_values(values)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError for what is no manifest, or one of a later release."""
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise ValueError(f"its format is {values['format']}, and this release knows {FORMAT}")
            if values.pop("sha256") != _digest_of_values(values):
                raise ValueError("its manifest is not what was written: it was changed since")
            values |= {name: datetime.fromisoformat(text) for name in MOMENTS if (text := values.get(name))}
            values["parts"] = [_part(part) for part in values["parts"]]
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no manifest: {error!r}") from error


def _digest_of_values(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _part(values: dict[str, Any]) -> Part:
    references = [Reference(**reference) for reference in values.pop("references")]
    return Part(**values | {"files": [KeptFile(**file) for file in values["files"]], "references": references})


@dataclass(frozen=True)
class RestorePoint:
    """One that is whole, as its folder says."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def bytes(self) -> int:
        return sum(file.bytes for part in self.manifest.parts for file in part.files)

    def problems(self) -> Iterator[str]:
        """What keeps it from being restored: each file is read, and compared with what was written."""
        return self._compare(self._difference)

    def gaps(self) -> Iterator[str]:
        """Those of the problems that show without reading: a file that is gone, or has another size."""
        return self._compare(self._difference_of_size)

    def _compare(self, difference: Callable[[KeptFile], str]) -> Iterator[str]:
        for part in self.manifest.parts:
            for file in part.files:
                try:
                    found = difference(file)
                except OSError as error:
                    found = f"cannot be read: {error.strerror}"
                if found:
                    yield f"{file.name} {found}"

    def _difference(self, file: KeptFile) -> str:
        found = self._difference_of_size(file)
        if not found and digest_of(self.path / file.name) != file.sha256:
            return "is not what was written: its bytes were changed since"
        return found

    def _difference_of_size(self, file: KeptFile) -> str:
        size = (self.path / file.name).stat().st_size
        return f"has {size} bytes, and {file.bytes} were written" if size != file.bytes else ""


class Shelf:
    """The folder of one database's points."""

    def __init__(self, database: str) -> None:
        folder = GuardSettings.load().restore_points
        if folder is None:
            raise CommandError("MIGRATION_GUARD['RESTORE_POINTS'] is None: no restore points are kept.", returncode=2)
        self.root = folder
        self.path = folder / NO_FOLDER.sub(lambda found: f"%{ord(found[0]):02X}", database)

    def points(self) -> list[RestorePoint]:
        """Newest first; what is no point of this release is left out, `unreadable` tells of it."""
        found = [RestorePoint(path, manifest) for path, manifest in self._read() if isinstance(manifest, Manifest)]
        return sorted(found, key=lambda point: (point.manifest.taken_at, point.name), reverse=True)

    def unreadable(self) -> dict[str, str]:
        """Names of folders that ought to be points, each with why they are none."""
        return {path.name: str(problem) for path, problem in self._read() if isinstance(problem, ValueError)}

    def find(self, name: str) -> RestorePoint:
        """The one of that name. Raises CommandError."""
        for point in self.points():
            if point.name == name:
                return point
        if reason := self.unreadable().get(name):
            raise CommandError(f"{self.path / name} cannot be restored: {reason}.", returncode=2)
        names = ", ".join(point.name for point in self.points()) or "none"
        raise CommandError(f"There is no restore point {name} in {self.path}. There is: {names}.", returncode=2)

    def _read(self) -> Iterator[tuple[Path, Manifest | ValueError]]:
        for path in sorted(self.path.glob("*")):
            if path.is_dir() and not path.name.startswith(UNFINISHED):
                try:
                    yield path, Manifest.from_json((path / MANIFEST).read_text())
                except ValueError as error:
                    yield path, error
                except OSError as error:
                    yield path, ValueError(f"its manifest cannot be read: {error.strerror}")

    def begin(self, manifest: Manifest) -> "Draft":
        """A new point, not whole yet; those that a killed run has left go. The turn must be held."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (self.root / IGNORE).exists():
                (self.root / IGNORE).write_text("*\n")
            for left in self.path.glob(f"{UNFINISHED}*"):
                shutil.rmtree(left)
            draft = Draft(self, manifest, self.path / f"{UNFINISHED}{self._free_name(manifest)}")
            draft.path.mkdir(mode=0o700)
        except OSError as error:
            raise NoRestorePoint.unwritten(error, self.path) from error
        return draft

    def _free_name(self, manifest: Manifest) -> str:
        what = f"{manifest.app}.{manifest.migration}" if manifest.migration else "database"
        name = f"{manifest.taken_at.astimezone(UTC):%Y%m%d-%H%M%S}-{what}"
        taken = {path.name for path in self.path.glob("*")}
        return next(free for free in _numbered(name) if free not in taken)

    def tidy(self, now: datetime, say: Say, *, but: Collection[str]) -> None:
        """Delete those that are too many or too old by the settings; these and the newest stay in any case."""
        settings = GuardSettings.load()
        oldest = now - timedelta(days=settings.RESTORE_POINTS_DAYS)
        for place, point in enumerate(self.points()):
            is_spare = place >= settings.RESTORE_POINTS_KEPT or point.manifest.taken_at < oldest
            if place > 0 and is_spare and point.name not in but:
                _remove(point.path)
                say(f"Restore point deleted, as the settings say: {point.name}")


class Draft:
    """A point in the making."""

    def __init__(self, shelf: Shelf, manifest: Manifest, path: Path) -> None:
        self.shelf = shelf
        self.manifest = manifest
        self.path = path

    def seal(self) -> None:
        """Put everything on the disk and give it its name. Raises NoRestorePoint."""
        try:
            manifest = self.path / MANIFEST
            manifest.write_text(self.manifest.as_json())
            for path in self.path.iterdir():
                _flush(path)
            _flush(self.path)
            whole = self.path.with_name(self.path.name.removeprefix(UNFINISHED))
            self.path = self.path.rename(whole)
            _flush(self.shelf.path)
        except OSError as error:
            raise NoRestorePoint.unwritten(error, self.path) from error

    def reopen(self) -> None:
        """Take the name back from one that was sealed: its transaction is begun again."""
        self.path = _unfinish(self.path)

    def discard(self) -> None:
        _remove(self.path)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unfinish(path: Path) -> Path:
    is_whole = not path.name.startswith(UNFINISHED)
    return path.rename(path.with_name(f"{UNFINISHED}{path.name}")) if is_whole else path


def _remove(path: Path) -> None:
    """What is killed half-way leaves nothing that looks like a point."""
    with suppress(OSError):
        shutil.rmtree(_unfinish(path))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1
