"""Django's own tests of its migration commands, with the guard's `migrate` in the place of Django's."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

from tests.migration_guard.stranger import SERVER
from tests.packages import download
from tests.project import CHECKOUT, database_environment

pytestmark = pytest.mark.endurance

SETTINGS = f"""{SERVER}
DATABASES = {{"default": SERVER | {{"NAME": "djangos_own"}}, "other": SERVER | {{"NAME": "djangos_own_other"}}}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
"""
RUN = """
import runpy, sys
import django.core.management as management

of_django = management.load_command_class
guarded = 0


def load(app, name):
    global guarded
    if name == "migrate":
        guarded += 1
        app = "migration_guard"
    return of_django(app, name)


management.load_command_class = load
sys.argv[0] = "runtests.py"
try:
    runpy.run_path("runtests.py", run_name="__main__")
finally:
    print("guarded:", guarded)
"""


def test_djangos_tests_of_its_commands_pass(tmp_path: Path) -> None:
    (archive,) = download(f"django=={django.get_version()}", tmp_path / "sdist", "--no-binary=:all:")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (tests,) = tmp_path.glob("django-*/tests")
    (tests / "guarded_settings.py").write_text(SETTINGS)
    (tests / "run_guarded.py").write_text(RUN)

    labels = ["migrations.test_commands", "migrations.test_executor", "migrate_signals"]
    ended = subprocess.run(
        [sys.executable, "run_guarded.py", "--settings=guarded_settings", "--parallel=1", "--noinput", *labels],
        cwd=tests,
        env=os.environ | database_environment("postgres") | {"PYTHONPATH": f"{CHECKOUT}{os.pathsep}{tests}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout
    guarded = int(ended.stdout.rpartition("guarded: ")[2])
    assert guarded > 60
