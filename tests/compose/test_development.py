"""The flow on the laptop: `docker compose up`, migrations from the bind mount, restarts."""

import shutil

from tests.compose.stack import Compose

MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("trader", "{parent}")]
    operations = [
        migrations.AddField("user", "phone_number", models.CharField(max_length=32, blank=True, default="")),
    ]
"""


def test_up_ends_with_the_admin_answering(running: Compose) -> None:
    assert running.get("/admin/login/").status == 200
    assert running.get("/readyz").body == '{"status": "ready"}'
    assert running.sql("SELECT email FROM trader_user") == "admin@example.com"


def test_the_database_starts_alone_and_can_be_looked_into(compose: Compose) -> None:
    compose.run("up", "db", "-d", "--wait")

    listed = compose.run("exec", "-T", "db", "psql", "-U", "postgres", "-d", "app", "-c", r"\conninfo").stdout
    assert 'database "app"' in listed
    assert compose.run("ps", "--services").stdout.split() == ["db"]


def test_the_backend_connects_as_a_role_that_owns_nothing(running: Compose) -> None:
    running.get("/readyz")

    connected = running.sql("SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'my-trader'")

    assert connected == "trader_app"
    assert running.sql("SELECT count(*) FROM pg_class WHERE relowner = 'trader_app'::regrole") == "0"


def test_a_migration_written_on_the_laptop_is_applied_by_a_restart(running: Compose) -> None:
    migrations = running.project.path / "trader" / "migrations"
    parent = max(path.stem for path in migrations.glob("0*.py"))

    (migrations / "0999_user_phone_number.py").write_text(MIGRATION.format(parent=parent))
    running.run("restart", "backend")
    running.run("up", "--wait")

    column = "SELECT data_type FROM information_schema.columns WHERE column_name = 'phone_number'"
    assert running.sql(column) == "character varying"
    assert "Applying trader.0999_user_phone_number... OK" in running.logs()


def test_migrate_runs_by_hand_in_the_container(running: Compose) -> None:
    assert "No migrations to apply" in running.run("exec", "-T", "backend", "python", "manage.py", "migrate").stdout


def test_no_migration_is_written_in_the_container(running: Compose) -> None:
    before = sorted((running.project.path / "trader" / "migrations").iterdir())

    makemigrations = ("exec", "-T", "backend", "python", "manage.py", "makemigrations", "trader", "--empty", "-n", "x")
    ended = running.run(*makemigrations, check=False)

    assert ended.returncode != 0
    assert "Read-only file system" in ended.stdout
    assert sorted((running.project.path / "trader" / "migrations").iterdir()) == before


def test_a_migrations_folder_closed_to_the_container_stops_the_start(compose: Compose) -> None:
    migrations = compose.project.path / "trader" / "migrations"
    migrations.chmod(0o700)

    compose.run("up", "-d")

    log = compose.wait_for_log("config.E001")
    assert "/app/trader/migrations has mode 0700 and owner UID" in log
    assert "this process runs as UID 10001" in log
    assert compose.run("up", "--wait", check=False).returncode != 0


def test_a_missing_migrations_folder_is_not_made_by_docker(compose: Compose) -> None:
    migrations = compose.project.path / "trader" / "migrations"
    shutil.rmtree(migrations)

    ended = compose.run("up", "-d", check=False)

    assert ended.returncode != 0
    assert "trader/migrations" in ended.stdout
    assert not migrations.exists()


def test_what_a_person_changed_survives_a_restart(running: Compose) -> None:
    running.sql("UPDATE trader_currency SET minor_unit = 4 WHERE code = 'SEK'")
    running.sql("UPDATE trader_venue SET mic = 'XOLD' WHERE mic = 'XBUD'")
    running.sql("UPDATE trader_user SET password = 'changed'")

    running.run("restart", "backend")
    running.run("up", "--wait")

    assert running.sql("SELECT minor_unit FROM trader_currency WHERE code = 'SEK'") == "4"
    assert running.sql("SELECT mic FROM trader_venue WHERE mic IN ('XOLD', 'XBUD')") == "XOLD"
    assert running.sql("SELECT password FROM trader_user") == "changed"


def test_a_password_changed_after_the_volume_was_made_is_explained(compose: Compose) -> None:
    compose.run("up", "--wait")
    compose.run("stop", "backend")

    compose.project.env["POSTGRES_PASSWORD"] = "another-password"
    ended = compose.run("up", "--wait", "--no-deps", "backend", check=False, timeout=60)

    assert ended.returncode != 0
    log = compose.wait_for_log("the server refuses the password")
    assert "uv run python manage.py db password" in log
    assert "another-password" not in log


def test_the_backend_waits_for_a_database_that_comes_late(compose: Compose) -> None:
    compose.run("up", "db", "-d", "--wait")
    compose.run("stop", "db")
    compose.run("up", "-d", "--no-deps", "backend")
    compose.wait_for_log("Waiting for the database")

    compose.run("start", "db")

    compose.wait_for_log("Listening at")
    assert compose.get("/readyz").status == 200
    assert compose.inspect()["RestartCount"] == 0
