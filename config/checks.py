"""System checks of how the project is deployed (docs/running.md describes each by its id)."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import Error, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email


@register
def check_migrations_folders(**_: Any) -> list[Error]:
    """config.E001: Django takes an unreadable folder for "no migrations" and starts as if nothing were amiss."""
    return [
        Error(
            f"The migrations of {app.label} cannot be read: {problem}.",
            hint=(
                "Let every user read the folder and its files, chmod -R go+rX on the machine that has them; "
                "then docker compose restart backend."
            ),
            id="config.E001",
        )
        for app in apps.get_app_configs()
        if _is_own(app)
        for problem in _unreadable(Path(app.path) / "migrations")
    ]


@register
def check_first_superuser(**_: Any) -> list[Error]:
    """config.E002"""
    if not settings.FIRST_SUPERUSER:
        return []
    try:
        validate_email(settings.FIRST_SUPERUSER)
    except ValidationError:
        message = f"FIRST_SUPERUSER is {settings.FIRST_SUPERUSER!r}: the login is an e-mail address."
        return [Error(message, hint="Set it to an address such as admin@example.com.", id="config.E002")]
    return []


@register
def check_roles(**_: Any) -> list[Error]:
    """config.E003"""
    if settings.POSTGRES_APP["USER"] != settings.POSTGRES_OWNER["USER"]:
        return []
    message = f"POSTGRES_USER and POSTGRES_APP_USER are both {settings.POSTGRES_OWNER['USER']!r}."
    hint = "The role that serves must not be the one that owns the schema: name another POSTGRES_APP_USER."
    return [Error(message, hint=hint, id="config.E003")]


def _is_own(app: AppConfig) -> bool:
    path = Path(app.path)
    return path.is_relative_to(settings.BASE_DIR) and "site-packages" not in path.parts


def _unreadable(folder: Path) -> Iterator[str]:
    """What this process cannot read in the folder; one that does not exist is not a problem."""
    try:
        # An editor's lock is such a file with a dot before its name; Django passes over it too.
        files = [file for file in folder.iterdir() if file.suffix == ".py" and not file.name.startswith(".")]
        closed = [file for file in files if not os.access(file, os.R_OK, effective_ids=True)]
    except FileNotFoundError:
        return
    except PermissionError:
        closed = [folder]
    else:
        if folder / "__init__.py" not in files:
            yield f"{folder} has no __init__.py"
    for path in sorted(closed):
        yield f"{path} has {_mode_and_owner(path)}, this process runs as UID {os.geteuid()}"


def _mode_and_owner(path: Path) -> str:
    try:
        found = path.stat()
    except PermissionError:
        return "a closed folder above it"
    except FileNotFoundError:
        return "nothing behind its link"
    return f"mode {stat.S_IMODE(found.st_mode):04o} and owner UID {found.st_uid}"
