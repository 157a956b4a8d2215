"""The complete histories of other people's projects are reviewed without an exception."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.project import CHECKOUT

pytestmark = pytest.mark.endurance

SETTINGS = """
SECRET_KEY = "a-key-for-tests"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""
DJANGO = [f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "sessions", "messages")]


@dataclass(frozen=True)
class History:
    """A package and its dependencies, the settings that it needs, and how many migrations it has at least."""

    requirement: str
    settings: str
    apps: tuple[str, ...]
    migrations: int


WAGTAIL = History(
    "wagtail==8.0.*",
    f"""{SETTINGS}
INSTALLED_APPS = ["migration_guard", "taggit", "modelcluster", "wagtail", *{DJANGO}]
INSTALLED_APPS += [f"wagtail.{{name}}" for name in (
    "contrib.forms", "contrib.redirects", "contrib.search_promotions", "embeds", "sites", "users", "snippets",
    "documents", "images", "search", "admin",
)]
WAGTAIL_SITE_NAME, WAGTAILADMIN_BASE_URL, STATIC_URL, ROOT_URLCONF = "none", "http://localhost", "/static/", "settings"
""",
    ("wagtailcore", "wagtailimages", "wagtaildocs", "wagtailusers", "wagtailadmin", "wagtailredirects"),
    125,
)
OSCAR = History(
    "django-oscar==4.2.*",
    f"""
import oscar
from oscar.defaults import *
{SETTINGS}
INSTALLED_APPS = ["migration_guard", *oscar.INSTALLED_APPS]
SITE_ID, ROOT_URLCONF = 1, "settings"
HAYSTACK_CONNECTIONS = {{"default": {{"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}}}
""",
    ("catalogue", "order", "partner", "offer", "voucher", "basket", "address", "communication", "customer", "payment"),
    110,
)
PRETIX = History(
    "pretix==2026.8.*",
    """
import os, tempfile
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp())
from pretix.settings import *
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}}
INSTALLED_APPS = ["migration_guard", *INSTALLED_APPS]
""",
    ("pretixbase", "pretixapi"),
    180,
)


@pytest.mark.parametrize("history", [WAGTAIL, OSCAR, PRETIX], ids=lambda history: history.requirement)
def test_complete_history_is_reviewed(history: History, tmp_path: Path) -> None:
    python = install(history, tmp_path)
    guarded = f"MIGRATION_GUARD = {{'APPS': {history.apps}}}\n"
    (tmp_path / "settings.py").write_text(f"{history.settings}\n{guarded}")

    findings = review(python, tmp_path)

    assert len({(finding["app"], finding["name"]) for finding in findings}) > history.migrations / 3
    assert all(finding["statement"].strip() and finding["message"] and finding["hint"] for finding in findings)


def install(history: History, folder: Path, *also: str) -> Path:
    """The Python of an environment that has the package, others that are named, the driver and the parser."""
    python = folder / "environment" / "bin" / "python"
    for command in (
        ["uv", "venv", "--quiet", str(python.parent.parent)],
        [
            "uv",
            "pip",
            "install",
            "--quiet",
            f"--python={python}",
            history.requirement,
            *also,
            "psycopg[binary]",
            "squawk-cli==2.70.0",
        ],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return python


def review(python: Path, folder: Path) -> list[dict[str, str]]:
    reviewed = subprocess.run(
        [python, "-m", "django", "review", "--offline", "--json", "--fail-on", "never"],
        cwd=folder,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": f"{folder}{os.pathsep}{CHECKOUT}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert reviewed.returncode == 0, reviewed.stderr
    findings: list[dict[str, str]] = json.loads(reviewed.stdout)
    return findings
