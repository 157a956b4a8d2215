"""The guard's settings: one dict, MIGRATION_GUARD, every key with a default (docs/migration-guard.md)."""

import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Self

from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

NUMBER = (int, float)
# The folders that pip and the distributions install packages into, whichever interpreter they are of.
INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class GuardSettings:
    """MIGRATION_GUARD, read. Times are in seconds."""

    APPS: list[str] | None = None
    LOCK_TIMEOUT: float = 1.0
    LOCK_BUDGET: float = 600.0
    DIRECT_DATABASE: str | None = None
    RELEASE: str = ""
    # A rehearsal warns, and fails, where a reader or writer waits longer; it fails over tables with more rows only.
    STALL_WARNS: float = 0.1
    STALL_FAILS: float = 0.3
    STALL_ROWS: int = 10_000
    REQUIRE_RECEIPTS: bool = False
    CLIENT_PROGRAMS: str = ""
    # None: no restore points. How many are kept, and for how many days.
    RESTORE_POINTS: str | None = "restore_points"
    RESTORE_POINTS_KEPT: int = 20
    RESTORE_POINTS_DAYS: int = 90
    # Dotted paths of further checks of `doctor`.
    DOCTOR: list[str] = field(default_factory=list)

    @classmethod
    def load(cls) -> Self:
        """What the project sets, over the defaults. A wrong value is refused by the system checks (guard.E001...)."""
        given = configured()
        return cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})

    @property
    def release(self) -> str:
        """What runs: RELEASE of the settings, else the commit that the working folder is at."""
        return self.RELEASE or _commit()

    @property
    def restore_points(self) -> Path | None:
        """The folder that they are kept in; a relative one is in the project's."""
        if self.RESTORE_POINTS is None:
            return None
        return Path(getattr(settings, "BASE_DIR", Path.cwd()), self.RESTORE_POINTS)

    def guards(self, app_label: str, path: Path) -> bool:
        """Whether the app is the project's own: named in APPS or, without APPS, outside the installed packages."""
        if self.APPS is not None:
            return app_label in self.APPS
        path = path.resolve()
        is_package = INSTALLED.intersection(path.parts) or any(map(path.is_relative_to, _package_folders()))
        return not is_package

    def guarded_apps(self) -> list[str]:
        """The labels of the installed apps that are the project's own."""
        return [config.label for config in apps.get_app_configs() if self.guards(config.label, Path(config.path))]


def configured() -> dict[str, Any]:
    value = getattr(settings, "MIGRATION_GUARD", {})
    return value if isinstance(value, dict) else {}


def problems() -> Iterator[tuple[str, str, str]]:
    """What is wrong with MIGRATION_GUARD: the check's id, what was found, and what to do."""
    raw = getattr(settings, "MIGRATION_GUARD", {})
    if not isinstance(raw, dict):
        yield "guard.E001", f"MIGRATION_GUARD is {raw!r}, not a dict.", "Make it a dict, or leave it out."
        return
    known = [field.name for field in fields(GuardSettings)]
    for key in sorted(raw.keys() - set(known), key=str):
        yield "guard.E002", f"MIGRATION_GUARD has no key {key!r}.", f"Its keys are {', '.join(known)}."
    for key in ("LOCK_TIMEOUT", "LOCK_BUDGET", "STALL_WARNS", "STALL_FAILS"):
        value = raw.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, NUMBER) or not 0.001 <= value <= 86_400:
            yield "guard.E003", f"MIGRATION_GUARD[{key!r}] is {value!r}.", "Give seconds, from 0.001 to 86400."
    yield from _wrong_numbers(raw)
    if not isinstance(raw.get("REQUIRE_RECEIPTS", False), bool):
        yield (
            "guard.E009",
            f"MIGRATION_GUARD['REQUIRE_RECEIPTS'] is {raw['REQUIRE_RECEIPTS']!r}.",
            "Give True or False.",
        )
    yield from _wrong_names(raw)


def _wrong_numbers(raw: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if not _is_whole(rows := raw.get("STALL_ROWS", 0), at_least=0):
        yield "guard.E008", f"MIGRATION_GUARD['STALL_ROWS'] is {rows!r}.", "Give a number of rows, from 0."
    for key in ("RESTORE_POINTS_KEPT", "RESTORE_POINTS_DAYS"):
        if not _is_whole(value := raw.get(key, 1), at_least=1):
            yield "guard.E013", f"MIGRATION_GUARD[{key!r}] is {value!r}.", "Give a whole number, from 1."


def _is_whole(value: object, *, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _wrong_names(raw: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    labels = raw.get("APPS")
    installed = sorted(config.label for config in apps.get_app_configs())
    if labels is not None and not (isinstance(labels, list | tuple) and all(label in installed for label in labels)):
        yield "guard.E004", f"MIGRATION_GUARD['APPS'] is {labels!r}.", f"List labels of: {', '.join(installed)}."
    alias = raw.get("DIRECT_DATABASE")
    if alias is not None and alias not in list(settings.DATABASES):
        aliases = ", ".join(settings.DATABASES)
        yield "guard.E005", f"MIGRATION_GUARD['DIRECT_DATABASE'] is {alias!r}.", f"Name one of DATABASES: {aliases}."
    folder = raw.get("RESTORE_POINTS", "restore_points")
    if folder is not None and not (isinstance(folder, str) and folder):
        yield "guard.E012", f"MIGRATION_GUARD['RESTORE_POINTS'] is {folder!r}.", "Name a folder, as text, or None."
    yield from _wrong_checks(raw.get("DOCTOR", []))
    if not isinstance(raw.get("CLIENT_PROGRAMS", ""), str):
        found = raw["CLIENT_PROGRAMS"]
        yield "guard.E010", f"MIGRATION_GUARD['CLIENT_PROGRAMS'] is {found!r}.", "Name the folder of pg_dump, as text."
    if not isinstance(raw.get("RELEASE", ""), str):
        yield "guard.E006", f"MIGRATION_GUARD['RELEASE'] is {raw['RELEASE']!r}.", "Give a text, such as a commit."


def _wrong_checks(paths: object) -> Iterator[tuple[str, str, str]]:
    if not isinstance(paths, list | tuple):
        yield "guard.E011", f"MIGRATION_GUARD['DOCTOR'] is {paths!r}.", "List dotted paths of checks."
        return
    for path in paths:
        try:
            import_string(path)
        except (ImportError, AttributeError, TypeError) as error:
            hint = "Name a callable by its dotted path, as 'config.diagnosis.check_files'."
            yield "guard.E011", f"MIGRATION_GUARD['DOCTOR'] names {path!r}, which cannot be imported: {error}.", hint


def _package_folders() -> set[Path]:
    paths = sysconfig.get_paths()
    return {Path(paths[name]).resolve() for name in ("purelib", "platlib", "stdlib")}


@cache
def _commit() -> str:
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
