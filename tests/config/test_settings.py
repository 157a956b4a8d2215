"""What the program asks of its environment before it starts, seen from outside."""

from pathlib import Path

import pytest

from tests.project import Project

REQUIRED = [
    "ALLOWED_HOSTS",
    "POSTGRES_APP_PASSWORD",
    "POSTGRES_APP_USER",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "POSTGRES_SERVER",
    "POSTGRES_USER",
    "SECRET_KEY",
]
SECRETS = {
    "FIRST_SUPERUSER_PASSWORD": "first-superuser-s3cret",
    "POSTGRES_APP_PASSWORD": "application-s3cret",
    "POSTGRES_PASSWORD": "database-owner-s3cret",
    "SECRET_KEY": "Zq8w-27Vn4kTb1xYc6LmR0sHd5JfPg9AuEiO3vXhNtQyBzWr7S",
}
PRODUCTION = {
    "ENVIRONMENT": "production",
    "ALLOWED_HOSTS": "trader.example.com",
    "FIRST_SUPERUSER": "admin@example.com",
    "POSTGRES_APP_USER": "trader_app",
    "POSTGRES_DB": "app",
    "POSTGRES_SERVER": "db.example.com",
    "POSTGRES_USER": "owner",
}


def names_in(output: str) -> list[str]:
    """The variables that the refusal names, one for each of its lines."""
    return sorted(line.split()[1] for line in output.splitlines() if line.startswith("  - "))


def test_without_any_environment_it_names_each_missing_variable_and_does_not_start(bare_tree: Project) -> None:
    check = bare_tree.manage("check")

    assert check.returncode == 2
    assert names_in(check.stdout) == REQUIRED
    assert "Traceback" not in check.stdout


@pytest.mark.parametrize("environment", [{"ENVIRONMENT": "production"}, {}], ids=["production", "unset"])
def test_development_values_are_refused_outside_local_development(
    bare_tree: Project, environment: dict[str, str]
) -> None:
    bare_tree.env |= PRODUCTION | dict.fromkeys(SECRETS, "changethis")
    del bare_tree.env["ENVIRONMENT"]
    bare_tree.env |= environment

    check = bare_tree.manage("check")

    assert check.returncode == 2
    assert names_in(check.stdout) == sorted(SECRETS)
    assert "changethis" not in check.stdout


def test_every_weak_or_missing_secret_is_named_and_none_is_shown(bare_tree: Project, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-a-file\n")
    bare_tree.env |= PRODUCTION | {
        "FIRST_SUPERUSER_PASSWORD_FILE": "/nowhere/password",
        "POSTGRES_APP_PASSWORD_FILE": str(tmp_path / "password"),
        "SECRET_KEY": "a-key-that-is-too-short",
    }

    check = bare_tree.manage("check")

    assert check.returncode == 2
    assert names_in(check.stdout) == [
        "FIRST_SUPERUSER_PASSWORD_FILE=/nowhere/password:",
        "POSTGRES_APP_PASSWORD",
        "POSTGRES_PASSWORD",
        "SECRET_KEY",
    ]
    assert "a-key-that-is-too-short" not in check.stdout
    assert "from-a-file" not in check.stdout


def test_production_with_good_values_passes_every_deployment_check(bare_tree: Project) -> None:
    bare_tree.env |= PRODUCTION | SECRETS

    check = bare_tree.manage("check", "--deploy", "--fail-level", "WARNING")

    assert check.returncode == 0, check.stdout
    assert "no issues (0 silenced)" in check.stdout


def test_secrets_may_come_from_files(bare_tree: Project, tmp_path: Path) -> None:
    bare_tree.env |= PRODUCTION
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n")
        bare_tree.env[f"{name}_FILE"] = str(tmp_path / name)

    check = bare_tree.manage("check", "--deploy", "--fail-level", "WARNING")

    assert check.returncode == 0, check.stdout
