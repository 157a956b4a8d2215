"""Other people's projects, with only the guard added to them: their complete histories are rehearsed."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.migration_guard.test_histories import DJANGO, OSCAR, SETTINGS, WAGTAIL, History, install
from tests.project import CHECKOUT, fresh_database

pytestmark = pytest.mark.endurance

CMS = History(
    "django-cms==5.0.*",
    f"""{SETTINGS}
INSTALLED_APPS = [
    "migration_guard", "django.contrib.sites", "cms", "menus", "treebeard", "sekizai", "filer", "easy_thumbnails",
    "djangocms_text", *{DJANGO},
]
SITE_ID, LANGUAGE_CODE, LANGUAGES, CMS_CONFIRM_VERSION4, ROOT_URLCONF = 1, "en", [("en", "English")], True, "settings"
TEMPLATES = [{{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "OPTIONS": {{"context_processors": [
        "django.template.context_processors.request", "sekizai.context_processors.sekizai",
        "cms.context_processors.cms_settings",
    ]}},
}}]
""",
    ("cms",),
    40,
)
SERVER = """
import os
DATABASES["default"] |= {
    "NAME": os.environ["POSTGRES_DB"], "HOST": os.environ["POSTGRES_SERVER"], "PORT": os.environ["POSTGRES_PORT"],
    "USER": os.environ["POSTGRES_USER"], "PASSWORD": os.environ["POSTGRES_PASSWORD"],
}
"""


# Known by name: 0023 calls itself reversible, and its way back queries by a model of another registry.
WAGTAILS = {
    ("wagtailimages.0023_add_choose_permissions", "reverse-fails"),
    ("wagtailcore.0025_collection_initial_data", "forward-fails"),
    ("wagtailcore.0054_initial_locale", "forward-fails"),
}
# A category gets a column that no row may leave empty, and loses it again.
OSCARS = {("catalogue.0002_auto_20150217_1221", "reverse-fails")}


@pytest.mark.parametrize(
    ("history", "also", "expected"),
    [(WAGTAIL, (), WAGTAILS), (OSCAR, (), OSCARS), (CMS, ("djangocms-text", "django-filer"), set())],
    ids=["wagtail", "oscar", "cms"],
)
def test_complete_history_is_rehearsed(
    history: History, also: tuple[str, ...], expected: set[tuple[str, str]], tmp_path: Path
) -> None:
    python = install(history, tmp_path, *also)
    (tmp_path / "settings.py").write_text(history.settings + SERVER)
    with fresh_database() as variables:

        def manage(*arguments: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [python, "-m", "django", *arguments],
                cwd=tmp_path,
                env=os.environ
                | variables
                | {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}"},
                capture_output=True,
                text=True,
                timeout=1500,
                check=False,
            )

        rehearsed = manage("rehearse", "--history", "--json")
        migrated = manage("migrate", "--verbosity", "0", "--skip-checks")
        drift = manage("drift")

    assert rehearsed.stdout, rehearsed.stderr
    report: dict[str, Any] = json.loads(rehearsed.stdout)
    assert report["error"] == ""
    assert len(report["migrations"]) > history.migrations
    found = {
        (f"{migration['app']}.{migration['name']}", finding["id"])
        for migration in report["migrations"]
        for finding in migration["findings"]
    }
    assert expected <= found
    # With rows in its tables: those that were made up, or that the migrations themselves have written.
    probed = [stall for migration in report["migrations"] for stall in migration["stall_ms"].values()]
    assert sum(stall["rows"] > 0 for stall in probed) > len(probed) / 2
    assert migrated.returncode == 0, migrated.stderr
    assert (drift.returncode, "No drift" in drift.stdout) == (0, True), drift.stdout + drift.stderr
