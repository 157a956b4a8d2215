"""The production override, and the image by itself."""

import re
import subprocess

import pytest

from tests.compose.stack import Compose, write_private

HTTPS = {"Host": "book.example.com", "X-Forwarded-Proto": "https"}
SECRETS = {
    "secret_key": "k9" * 30,
    "postgres_password": "an owner's password",
    "postgres_app_password": "an application's password",
}


@pytest.fixture
def production(compose: Compose) -> Compose:
    """The project under the override, with secrets that the container's user can read."""
    compose.files = ["docker-compose.yml", "docker-compose.production.yml"]
    compose.project.env |= {"ALLOWED_HOSTS": "book.example.com"}
    for name, value in SECRETS.items():
        write_private(compose.project.path / "secrets" / name, f"{value}\n", uid=10001)
    return compose


def test_production_serves_with_secrets_from_files(production: Compose) -> None:
    production.run("up", "--wait")

    page = production.get("/admin/login/", headers=HTTPS)
    assert page.status == 200
    assert production.get("/admin/login/", headers={"Host": "book.example.com"}).status == 301
    assert production.get("/admin/login/", headers=HTTPS | {"Host": "elsewhere.example.com"}).status == 400
    assert production.sql("SELECT count(*) FROM trader_user") == "0"
    assert production.sql("SELECT count(*) FROM trader_account") == "0"


def test_production_serves_static_files_hashed_and_compressed(production: Compose) -> None:
    production.run("up", "--wait")
    page = production.get("/admin/login/", headers=HTTPS)
    found = re.search(r"/static/admin/css/base\.[0-9a-f]{12}\.css", page.body)
    assert found

    style = production.get(found.group(), headers=HTTPS | {"Accept-Encoding": "gzip", "Accept": "text/css"})

    assert style.status == 200
    assert style.headers["Content-Encoding"] == "gzip"
    assert "immutable" in style.headers["Cache-Control"]


def test_production_publishes_no_database_and_mounts_no_source(production: Compose) -> None:
    config = production.run("config").stdout

    assert "published" not in config.partition("\n  db:")[2].partition("\nnetworks:")[0]
    assert "type: bind" not in config
    assert "changethis" not in config
    assert "FIRST_SUPERUSER" not in config


def test_a_secret_that_the_container_cannot_read_is_named(production: Compose) -> None:
    write_private(production.project.path / "secrets" / "secret_key", SECRETS["secret_key"], uid=0)

    production.run("up", "-d")

    log = production.wait_for_log("SECRET_KEY_FILE=/run/secrets/secret_key: Permission denied")
    assert "UID 10001" in log


def test_production_refuses_weak_secrets_and_prints_none(production: Compose) -> None:
    write_private(production.project.path / "secrets" / "secret_key", "short-key", uid=10001)

    production.run("up", "-d")

    log = production.wait_for_log("SECRET_KEY has 9 characters")
    assert "short-key" not in log


def test_the_image_has_no_dotenv_and_refuses_to_start_without_an_environment(image: str) -> None:
    listed = subprocess.run(
        ["docker", "run", "--rm", "--entrypoint", "find", image, "/app", "-name", ".env*"],
        capture_output=True,
        text=True,
        check=True,
    )
    ended = subprocess.run(["docker", "run", "--rm", image], capture_output=True, text=True, check=False)

    assert listed.stdout == ""
    assert ended.returncode == 2
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD", "POSTGRES_SERVER", "ALLOWED_HOSTS"):
        assert f"{name} is not set" in ended.stderr


def test_the_image_runs_as_a_user_that_owns_no_file_of_it(image: str) -> None:
    owned = subprocess.run(
        ["docker", "run", "--rm", "--entrypoint", "sh", image, "-c", "id -u; find /app /opt/venv -user 10001"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert owned.stdout == "10001\n"
