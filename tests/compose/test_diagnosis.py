"""What `doctor` says on the laptop of the containers, and how its commands mend that."""

import json
import shutil
import sys
import time

import pytest

from tests.compose.stack import Compose
from tests.project import Project
from tests.server import free_port

MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("trader", "{parent}")]
    operations = [migrations.RunSQL("SELECT {number}", "SELECT {number}")]
"""
SECRETS = ("changethis", "another-password-than-before")

Line = dict[str, str]


def doctor(compose: Compose) -> list[Line]:
    done = compose.project.run(
        sys.executable, "manage.py", "doctor", "--json", env={"COMPOSE_PROJECT_NAME": compose.name}
    )
    assert not any(secret in done.stdout for secret in SECRETS)
    lines: list[Line] = json.loads(done.stdout)["lines"]
    return lines


def problems(compose: Compose) -> list[Line]:
    return [line for line in doctor(compose) if line["state"] not in {"ok", "note"}]


def mend(compose: Compose, subject: str) -> None:
    """Run what is printed for the subject, and then for what that leaves, until all is well."""
    (line,) = [line for line in problems(compose) if line["subject"] == subject]
    for _ in range(3):
        done = compose.project.run("sh", "-c", line["mend"], timeout=200, env={"COMPOSE_PROJECT_NAME": compose.name})
        assert done.returncode == 0, f"{line['mend']}: {done.stdout}"
        left = [line for line in problems(compose) if line["mend"]]
        if not left:
            break
        line = left[0]
    assert problems(compose) == []


def write_migration(compose: Compose, number: int) -> None:
    folder = compose.project.path / "trader" / "migrations"
    parent = max(path.stem for path in folder.glob("0*.py"))
    (folder / f"{number:04}_another.py").write_text(MIGRATION.format(parent=parent, number=number))
    (folder / "max_migration.txt").write_text(f"{number:04}_another\n")


def test_containers_that_are_well(running: Compose) -> None:
    told = {line["subject"]: line["message"] for line in doctor(running)}

    assert problems(running) == []
    assert told["server"].endswith("is Compose's db")
    assert told["backend"] == "Compose's is healthy"
    assert told["container"].startswith("it has the files that are here")


def test_inside_the_container_it_looks_at_what_is_there(running: Compose) -> None:
    said = running.run("exec", "-T", "backend", "python", "manage.py", "doctor").stdout

    assert "ok       database: PostgreSQL 17" in said
    assert "docker is not installed here" in said


def test_database_that_is_stopped(running: Compose) -> None:
    running.run("stop", "db")

    (line,) = [line for line in problems(running) if line["subject"] == "server"]

    assert "Compose's db is exited" in line["message"]
    mend(running, "server")


def test_folder_that_was_made_anew_is_not_what_the_container_sees(running: Compose) -> None:
    folder = running.project.path / "trader" / "migrations"
    shutil.copytree(folder, folder.with_name("former"))
    shutil.rmtree(folder)
    folder.with_name("former").rename(folder)
    write_migration(running, 900)

    (line,) = [line for line in problems(running) if line["subject"] == "container"]

    assert "it has other migrations than this folder" in line["message"]
    mend(running, "container")
    assert running.sql("SELECT count(*) FROM django_migrations WHERE name = '0900_another'") == "1"


def test_migration_that_is_not_applied(running: Compose) -> None:
    write_migration(running, 901)

    mend(running, "migrations")

    assert running.sql("SELECT count(*) FROM django_migrations WHERE name = '0901_another'") == "1"


def test_image_that_is_older_than_the_sources(running: Compose) -> None:
    with (running.project.path / "trader" / "models" / "users.py").open("a") as source:
        source.write("\n# Newer than the image.\n")

    (line,) = [line for line in problems(running) if line["subject"] == "image"]

    assert "it is older than the sources: trader/models/users.py" in line["message"]
    mend(running, "image")


@pytest.mark.parametrize("password", ["another-password-than-before"])
def test_password_that_was_changed_after_the_volume_was_made(running: Compose, password: str) -> None:
    dotenv = running.project.path / ".env"
    dotenv.write_text(dotenv.read_text().replace("POSTGRES_PASSWORD=changethis", f"POSTGRES_PASSWORD={password}"))

    (line,) = [line for line in problems(running) if line["subject"] == "server"]

    assert "keeps the password that its data was made with" in line["message"]
    mend(running, "server")


def test_port_of_the_database_that_was_changed(running: Compose) -> None:
    former = running.project.env.pop("POSTGRES_PORT")
    dotenv = running.project.path / ".env"
    dotenv.write_text(dotenv.read_text().replace("POSTGRES_PORT=5432", f"POSTGRES_PORT={free_port()}"))

    (line,) = [line for line in problems(running) if line["subject"] == "server"]

    assert f"Compose's db runs and is published on {{5432: {former}}}" in line["message"]
    mend(running, "server")


def test_database_that_is_held(running: Compose) -> None:
    running.run("pause", "db")

    (line,) = [line for line in problems(running) if line["subject"] == "server"]

    assert "says nothing, and it is Compose's db" in line["message"]
    mend(running, "server")


def test_backend_that_is_unhealthy(running: Compose) -> None:
    running.sql("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM trader_app")
    deadline = time.monotonic() + 60
    while running.inspect()["State"]["Health"]["Status"] != "unhealthy":
        assert time.monotonic() < deadline
        time.sleep(0.5)

    (line,) = [line for line in problems(running) if line["subject"] == "backend"]

    assert line["message"].startswith("Compose's is unhealthy")
    mend(running, "backend")


def test_folder_that_the_container_cannot_read(running: Compose) -> None:
    (running.project.path / "trader" / "migrations").chmod(0o700)
    running.run("restart", "backend")
    running.wait_for_log("config.E001")

    (line,) = [line for line in problems(running) if line["subject"] == "files"]

    assert "cannot be read by every user" in line["message"]
    mend(running, "files")


def test_containers_of_another_checkout(running: Compose) -> None:
    path = shutil.copytree(running.project.path, running.project.path.with_name("another"), symlinks=True)
    copy = Compose(Project(path, running.project.env), running.name)

    (line,) = [line for line in problems(copy) if line["subject"] == "backend"]

    assert line["message"].endswith(f"are those of {running.project.path}")
    mend(copy, "backend")
    mend(running, "backend")
