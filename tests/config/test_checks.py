import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.apps import apps
from django.core.checks import Error, run_checks
from pytest_django import Settings

from config.checks import check_migrations_folders

NOBODY = 65534


@pytest.fixture
def migrations(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The migrations folder of `trader`, moved to where every user can reach it, with two files in it."""
    with tempfile.TemporaryDirectory(prefix="my-trader-checks-", dir="/tmp") as root:
        Path(root).chmod(0o755)
        folder = Path(root, "trader", "migrations")
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "0001_user.py").touch()
        settings.BASE_DIR = Path(root)
        monkeypatch.setattr(apps.get_app_config("trader"), "path", str(folder.parent))
        yield folder
        folder.chmod(0o755)


@contextmanager
def unprivileged() -> Iterator[int]:
    """Run the block as a user whom permissions bind, which they do not do with root; gives the UID."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    os.seteuid(NOBODY)
    try:
        yield NOBODY
    finally:
        os.seteuid(0)


def found(check: str) -> list[Error]:
    return [error for error in run_checks() if isinstance(error, Error) and error.id == check]


def unreadable_migrations() -> tuple[str, int]:
    """What config.E001 says when an ordinary user runs it, and that user's UID."""
    with unprivileged() as uid:
        errors = check_migrations_folders()
    assert {error.id for error in errors} <= {"config.E001"}
    return "\n".join(error.msg for error in errors), uid


def test_readable_migrations_pass(migrations: Path) -> None:
    (migrations / ".#0002_half_written.py").symlink_to("an editor's lock")

    assert unreadable_migrations()[0] == ""


def test_a_closed_folder_of_migrations_is_named_with_its_mode_and_the_uid(migrations: Path) -> None:
    migrations.chmod(0o700)
    owner = migrations.stat().st_uid
    if os.geteuid() != 0:
        migrations.chmod(0o000)
    mode = f"{migrations.stat().st_mode & 0o777:04o}"

    message, uid = unreadable_migrations()

    assert f"{migrations} has mode {mode} and owner UID {owner}, this process runs as UID {uid}" in message
    assert "The migrations of trader cannot be read" in message


def test_a_closed_file_of_migrations_is_named_with_its_mode_and_the_uid(migrations: Path) -> None:
    file = migrations / "0001_user.py"
    file.chmod(0o000)

    message, uid = unreadable_migrations()

    assert f"{file} has mode 0000 and owner UID {file.stat().st_uid}, this process runs as UID {uid}" in message
    assert "__init__.py" not in message


def test_a_folder_that_can_be_listed_but_not_entered_is_named(migrations: Path) -> None:
    migrations.chmod(0o744 if os.geteuid() == 0 else 0o444)

    message, uid = unreadable_migrations()

    assert f"{migrations}/0001_user.py has a closed folder above it, this process runs as UID {uid}" in message


def test_a_link_that_leads_nowhere_is_named(migrations: Path) -> None:
    (migrations / "0002_currency.py").symlink_to("/nowhere")

    assert f"{migrations}/0002_currency.py has nothing behind its link" in unreadable_migrations()[0]


def test_a_folder_without_init_is_named(migrations: Path) -> None:
    (migrations / "__init__.py").unlink()

    assert f"{migrations} has no __init__.py" in unreadable_migrations()[0]


def test_a_first_superuser_without_an_address_is_refused(settings: Settings) -> None:
    settings.FIRST_SUPERUSER = "admin"

    [error] = found("config.E002")

    assert "FIRST_SUPERUSER is 'admin'" in error.msg


@pytest.mark.parametrize("first_superuser", ["", "admin@example.com"])
def test_a_first_superuser_is_an_address_or_nobody(settings: Settings, first_superuser: str) -> None:
    settings.FIRST_SUPERUSER = first_superuser

    assert found("config.E002") == []


def test_one_role_for_owning_and_serving_is_refused(settings: Settings) -> None:
    settings.POSTGRES_APP = settings.POSTGRES_APP | {"USER": settings.POSTGRES_OWNER["USER"]}

    [error] = found("config.E003")

    assert settings.POSTGRES_OWNER["USER"] in error.msg
    assert "POSTGRES_APP_USER" in (error.hint or "")
