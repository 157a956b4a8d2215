"""`doctor` says what is wrong, and the command that it prints mends it."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.wheel import client_programs
from tests.migration_guard.restoring import folder
from tests.migration_guard.stranger import EDITED, INITIAL, Stranger, begin
from tests.project import environment_of, fresh_database
from tests.server import another_server

ADD_V = "migrations.AddField('Item', 'v', models.IntegerField(null=True))"
ADD_W = "migrations.AddField('Item', 'w', models.IntegerField(null=True))"
MODELS_WITH_V = """
from django.db import models

class Item(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=40)
    v = models.IntegerField(null=True)
"""
V = "    v = models.IntegerField(null=True)\n"
HANGS = "import time\n\ndef check(alias):\n    time.sleep(60)\n    return []\n"
MISBEHAVING = """
import sys
from migration_guard.doctor import ok

def gives_texts(alias):
    return ["nonsense"]

def exits(alias):
    sys.exit(3)

def prints(alias):
    print("not a line of the doctor")
    yield ok("prints", "two\\nlines")

def quotes_addresses(alias):
    raise OSError("no answer of redis://user:secret-of-redis@host/0 nor of host=h password='secret of libpq' port=1")

def quotes_settings(alias):
    from django.conf import settings
    raise OSError(f"{settings.CACHES['default']['OPTIONS']['password']}, {settings.DATABASES['default']['PASSWORD']}")
"""
SEES_NO_CHANGE = """
    from django.core.management.commands import makemigrations
    from django.db.migrations.autodetector import MigrationAutodetector

    class Detector(MigrationAutodetector):
        def changes(self, *arguments, **keywords):
            return {}

    class Command(makemigrations.Command):
        autodetector = Detector
"""
RAISES = "from django.conf import settings\n\ndef check(alias):\n    raise OSError(settings.SECRET_KEY)\n"
# Root reads everything, unless this right is taken from it.
WITHOUT_RIGHT = "-dac_override,-dac_read_search"
AS_WHO_IS_REFUSED = (
    ("setpriv", f"--bounding-set={WITHOUT_RIGHT}", f"--inh-caps={WITHOUT_RIGHT}") if os.geteuid() == 0 else ()
)
IN_CONFLICT = "<<<<<<< HEAD\n0003_a\n=======\n0003_b\n>>>>>>> branch\n"
LOCKS = """
    SELECT mode, relation::regclass::text FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE application_name = 'migration_guard doctor' AND locktype IN ('relation', 'advisory')
        AND datname = current_database()
"""
WRITTEN = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del), count(*) FROM pg_stat_user_tables"
PASSWORD = "a-password-of-a-reader"
MAKEMIGRATIONS_WITHOUT_HELP_TEXTS = """\
from django.core.management.commands import makemigrations
from django.db import models


class Command(makemigrations.Command):
    def handle(self, *args, **options):
        whole = models.Field.deconstruct

        def deconstruct(field):
            name, path, arguments, keywords = whole(field)
            keywords.pop("help_text", None)
            return name, path, arguments, keywords

        models.Field.deconstruct = deconstruct
        super().handle(*args, **options)
"""
LIMIT_SECONDS = 3.0

Line = dict[str, str]


@pytest.fixture
def applied(shop: Stranger) -> Stranger:
    """With a second column, and all of it applied."""
    # dbshell wants a psql.
    shop.env["PATH"] = f"{client_programs()}{os.pathsep}{shop.environment['PATH']}"
    shop.operations("0002_v", ADD_V)
    shop.write("shop/models.py", MODELS_WITH_V)
    succeed(shop, "migrate")
    return shop


def succeed(project: Stranger, *arguments: str) -> None:
    done = project.manage(*arguments)
    assert done.returncode == 0, done.stdout


def doctor(project: Stranger, *arguments: str, code: int = 0) -> list[Line]:
    done = project.manage("doctor", "--json", *arguments)
    assert done.returncode == code, done.stdout
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["verdict"] == {0: "ok", 1: "problem", 2: "unknown"}[code]
    lines: list[Line] = report["lines"]
    return lines


def problems(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line["state"] == "problem"]


def mend(project: Stranger, line: Line) -> None:
    done = project.run("sh", "-c", line["mend"])
    assert done.returncode == 0, f"{line['mend']}: {done.stdout}"


def has_pending(project: Stranger) -> None:
    project.operations("0003_w", ADD_W)
    project.write("shop/models.py", MODELS_WITH_V + "    w = models.IntegerField(null=True)\n")


def has_two_heads(project: Stranger) -> None:
    for name in ("0003_a", "0003_b"):
        project.operations(name, "migrations.RunSQL('SELECT 1', 'SELECT 1')", after="0002_v")


def has_two_heads_in_the_middle_of_a_merge(project: Stranger) -> None:
    project.configure("INSTALLED_APPS.insert(1, 'django_linear_migrations')")
    has_two_heads(project)
    project.write("shop/migrations/max_migration.txt", IN_CONFLICT)


def has_two_heads_after_a_merge(project: Stranger) -> None:
    has_two_heads_in_the_middle_of_a_merge(project)
    project.write("shop/migrations/max_migration.txt", "0003_b\n")


def has_two_heads_of_which_one_is_applied(project: Stranger) -> None:
    project.operations("0003_b", "migrations.RunSQL('SELECT 1', 'SELECT 1')")
    succeed(project, "migrate")
    has_two_heads_in_the_middle_of_a_merge(project)


def lacks_a_file(project: Stranger) -> None:
    (project.path / "shop/migrations/0002_v.py").unlink()
    project.write("shop/models.py", MODELS_WITH_V.replace(V, ""))


def was_edited(project: Stranger) -> None:
    project.migration("0001_initial", EDITED)
    project.write("shop/models.py", MODELS_WITH_V.replace("40", "50"))


def was_renamed(project: Stranger) -> None:
    (project.path / "shop/migrations/0002_v.py").rename(project.path / "shop/migrations/0002_new_name.py")


def has_a_changed_model(project: Stranger) -> None:
    project.write("shop/models.py", MODELS_WITH_V + "    w = models.IntegerField(null=True)\n")


def broke_off(project: Stranger) -> None:
    project.write("shop/models.py", MODELS_WITH_V + "    w = models.IntegerField(null=True)\n")
    project.operations("0003_w", ADD_W, "migrations.RunSQL('SELECT 1 / 0')", atomic=False)
    assert project.manage("migrate").returncode != 0
    project.operations("0003_w", ADD_W, "migrations.RunSQL('SELECT 1 / 1')", atomic=False)


def was_faked(project: Stranger) -> None:
    has_pending(project)
    succeed(project, "migrate", "--fake")


def is_there_unrecorded(project: Stranger) -> None:
    has_pending(project)
    project.sql("ALTER TABLE shop_item ADD COLUMN w integer")


def has_an_invalid_index(project: Stranger) -> None:
    project.sql('CREATE INDEX "Odd one" ON shop_item (name)')
    project.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"Odd one\"'::regclass")


def has_a_left_copy_of_an_index(project: Stranger) -> None:
    project.sql("CREATE INDEX item_name_ccnew ON shop_item (name)")
    project.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'item_name_ccnew'::regclass")


def has_a_constraint_not_validated(project: Stranger) -> None:
    project.sql('ALTER TABLE shop_item ADD CONSTRAINT "v is small" CHECK (v < 10) NOT VALID')


def has_a_restore_point_that_was_cut(project: Stranger) -> None:
    has_pending(project)
    succeed(project, "migrate", "--restore-point")
    largest = max(folder(project).glob("*/*"), key=lambda path: path.stat().st_size)
    os.truncate(largest, 100)


SCENARIOS: list[tuple[Callable[[Stranger], None], str]] = [
    (has_pending, "1 to be applied: shop.0003_w"),
    (has_two_heads, "shop has two heads: 0003_a, 0003_b"),
    (has_two_heads_in_the_middle_of_a_merge, "shop has two heads: 0003_a, 0003_b"),
    (has_two_heads_after_a_merge, "shop has two heads: 0003_a, 0003_b"),
    (has_two_heads_of_which_one_is_applied, "shop has two heads: 0003_a, 0003_b"),
    (lacks_a_file, "shop.0002_v: applied, and without a file"),
    (was_edited, "shop.0001_initial was edited after it was applied"),
    (was_renamed, "shop.0002_new_name was renamed after it was applied as 0002_v"),
    (has_a_changed_model, "shop has changes without a migration: Add field w to item"),
    (broke_off, "shop.0003_w broke off: 1 of its 2 operations are in the database"),
    (was_faked, "recorded without being run, and the database lacks shop_item.w"),
    (is_there_unrecorded, "shop.0003_w is to be applied, and what it makes is there already"),
    (has_an_invalid_index, 'public."Odd one" of shop_item is INVALID'),
    (has_a_left_copy_of_an_index, "public.item_name_ccnew of shop_item is INVALID"),
    (has_a_constraint_not_validated, '"v is small" of public.shop_item was never validated'),
    (has_a_restore_point_that_was_cut, "cannot be restored: database.dump has 100 bytes"),
]


def test_healthy_project(applied: Stranger) -> None:
    lines = doctor(applied)

    assert {line["state"] for line in lines} == {"ok"}
    assert [line["subject"] for line in lines] == [
        "database",
        "migrations",
        "role",
        "indexes",
        "constraints",
        "models",
    ]
    assert applied.manage("doctor").stdout.count("ok  ") == len(lines)


@pytest.mark.endurance
@pytest.mark.parametrize(("damage", "told"), SCENARIOS, ids=[damage.__name__ for damage, _ in SCENARIOS])
def test_problem_is_told_and_mended_by_the_printed_command(
    applied: Stranger, damage: Callable[[Stranger], None], told: str
) -> None:
    damage(applied)

    (line,) = [line for line in problems(doctor(applied, code=1)) if told in line["message"]]
    mend(applied, line)

    # What a command writes is then to be applied.
    for left in problems(doctor(applied, code=applied.manage("doctor").returncode)):
        assert "to be applied" in left["message"]
        mend(applied, left)
    assert problems(doctor(applied)) == []


def test_faked_one_whose_columns_are_there_is_a_note(applied: Stranger) -> None:
    is_there_unrecorded(applied)
    succeed(applied, "migrate", "--fake")

    (line,) = [line for line in doctor(applied) if line["state"] == "note"]

    assert "shop.0003_w: recorded without being run; drift says whether the schema has it" in line["message"]
    mend(applied, line)


@pytest.mark.endurance
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError"),
        ("x = 1\n", "has no Migration class"),
        (INITIAL.replace("dependencies = []", "dependencies = [('shop', '0099_nothing')]"), "0099_nothing"),
    ],
    ids=["syntax", "import", "no migration", "no parent"],
)
def test_file_that_cannot_be_read_is_a_line(applied: Stranger, text: str, told: str) -> None:
    applied.migration("0003_broken", text)

    done = applied.manage("doctor")

    assert done.returncode in {1, 2}
    assert told in done.stdout
    assert "Traceback" not in done.stdout
    assert "ok       indexes" in done.stdout


@pytest.mark.endurance
def test_role_that_may_not_change_the_schema_is_told(applied: Stranger) -> None:
    role = f"reader_{applied.env['POSTGRES_DB'][-8:]}"
    applied.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    applied.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    applied.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    reader = Stranger(applied.path, applied.env | {"POSTGRES_USER": role, "POSTGRES_PASSWORD": PASSWORD})

    told = [line["message"] for line in problems(doctor(reader, code=1))]

    assert f"{role} may not create tables in public; as its owner: GRANT CREATE ON SCHEMA" in told[0]
    assert f"{role} may not change shop_item, owned by {applied.env['POSTGRES_USER']}" in told[1]
    for message in told:
        applied.sql(message.rpartition(": ")[2])
    assert problems(doctor(reader)) == []
    applied.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_everything_at_once_still_prints_every_line_in_time_and_no_secret(applied: Stranger) -> None:
    applied.write("slow.py", HANGS)
    applied.write("raising.py", RAISES)
    applied.configure("MIGRATION_GUARD = {'DOCTOR': ['slow.check', 'raising.check', 'absent.check']}")
    applied.configure("DATABASES['default']['PASSWORD'] = 'not-the-one-of-the-server'")
    has_a_changed_model(applied)

    began = time.monotonic()
    done = applied.manage("doctor")
    took = time.monotonic() - began

    assert done.returncode == 1, done.stdout
    assert took < 2 * LIMIT_SECONDS
    for told in (
        "does not answer",
        "migrations: not looked at",
        "role: not looked at",
        "shop has changes without a migration",
        "slow.check: took longer than 2.8 s",
        "raising.check: could not be looked at: OSError",
        "absent.check: could not be looked at: ModuleNotFoundError",
    ):
        assert told in done.stdout
    assert "Traceback" not in done.stdout
    assert "not-the-one-of-the-server" not in done.stdout
    assert "a-key-for-tests" not in done.stdout


def test_checks_that_misbehave_are_a_line_each(shop: Stranger) -> None:
    shop.write("misbehaving.py", MISBEHAVING)
    names = ["gives_texts", "exits", "prints", "quotes_addresses", "quotes_settings"]
    shop.configure(f"MIGRATION_GUARD = {{'DOCTOR': {[f'misbehaving.{name}' for name in names]}}}")
    shop.configure("CACHES = {'default': {'OPTIONS': {'password': 'secret-of-a-cache'}, 'BACKEND': ''}}")
    shop.configure("DATABASES['default']['PASSWORD'] = 'secret  with two blanks'")

    said = shop.run("sh", "-c", "python manage.py doctor --json 2>/dev/null").stdout

    told = {line["subject"]: line["message"] for line in json.loads(said)["lines"]}
    assert told["misbehaving.gives_texts"].endswith("TypeError: it gives 'nonsense', and not a Diagnosis")
    assert told["misbehaving.exits"].endswith("SystemExit: 3")
    assert told["prints"] == "two lines"
    assert told["misbehaving.quotes_addresses"].endswith("redis://user:***@host/0 nor of host=h password=*** port=1")
    assert told["misbehaving.quotes_settings"].endswith("OSError: ***, ***")


def test_models_are_compared_as_the_command_of_the_project_does_it(applied: Stranger) -> None:
    has_a_changed_model(applied)
    applied.write("shop/management/commands/makemigrations.py", SEES_NO_CHANGE)

    assert problems(doctor(applied)) == []


def test_settings_of_the_guard_that_are_wrong_are_told(applied: Stranger) -> None:
    applied.configure("MIGRATION_GUARD = {'DOCTOR': None}")

    (line,) = problems(doctor(applied, code=1))

    assert line["message"] == "MIGRATION_GUARD['DOCTOR'] is None. List dotted paths of checks."


def test_column_that_needs_a_default_is_a_change_like_others(applied: Stranger) -> None:
    applied.write("shop/models.py", MODELS_WITH_V + "    w = models.IntegerField()\n")

    (line,) = problems(doctor(applied, code=1))

    assert line["message"] == "shop has changes without a migration: Add field w to item"
    assert line["mend"].endswith("makemigrations shop -n item_w")


def test_name_in_the_command_is_one_that_makemigrations_takes(applied: Stranger) -> None:
    fields = "".join(f"    another_number_{letter} = models.IntegerField(null=True)\n" for letter in "abcde")
    applied.write("shop/models.py", MODELS_WITH_V + fields)

    (line,) = problems(doctor(applied, code=1))

    mend(applied, line)


def test_changes_that_the_makemigrations_of_the_project_leaves_out_are_none(applied: Stranger) -> None:
    applied.configure("INSTALLED_APPS.append('own')")
    applied.write("own/__init__.py", "")
    applied.write("own/management/commands/makemigrations.py", MAKEMIGRATIONS_WITHOUT_HELP_TEXTS)
    applied.write("shop/models.py", MODELS_WITH_V.replace("max_length=40", "max_length=40, help_text='A name.'"))
    assert problems(doctor(applied)) == []

    applied.write("shop/models.py", MODELS_WITH_V + "    w = models.IntegerField(help_text='A number.')\n")
    (line,) = problems(doctor(applied, code=1))
    assert line["message"] == "shop has changes without a migration: Add field w to item"


def test_key_that_is_empty_is_no_secret(applied: Stranger) -> None:
    applied.configure("SECRET_KEY = ''")

    assert problems(doctor(applied)) == []


def test_changes_of_a_library_are_a_note(applied: Stranger) -> None:
    has_a_changed_model(applied)
    applied.configure("MIGRATION_GUARD = {'APPS': []}")

    (line,) = [line for line in doctor(applied) if line["state"] == "note"]

    assert line["message"].startswith("shop, not the project's own, has changes without a migration")
    assert line["mend"] == ""


@pytest.mark.endurance
def test_command_for_whoever_calls_it_from_another_folder_with_a_python_that_is_not_on_the_path(
    applied: Stranger,
) -> None:
    has_pending(applied)
    folder = applied.path.with_name("somebody's folder")
    shutil.copytree(applied.path, folder)
    (folder.parent / "elsewhere").mkdir()
    there = Stranger(folder.parent / "elsewhere", applied.env | {"PATH": "/usr/bin:/bin"})

    said = there.run(sys.executable, "../somebody's folder/manage.py", "doctor", "--json").stdout
    (line,) = problems(json.loads(said)["lines"])
    mend(there, line)

    assert "0003_w" in applied.applied()


@pytest.mark.endurance
def test_database_that_is_read_only_is_told(applied: Stranger) -> None:
    applied.sql(f"ALTER DATABASE {applied.env['POSTGRES_DB']} SET default_transaction_read_only = on")

    (line,) = problems(doctor(applied, code=1))

    assert line["message"].startswith("default_transaction_read_only is on")


@pytest.mark.endurance
def test_standby_is_told_and_nothing_applied_there(tmp_path: Path) -> None:
    with another_server(["fsync=off"]) as server:
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        project = begin(tmp_path / "shop", environment_of(server.address))

        lines = problems(doctor(project, code=1))
        refused = project.manage("migrate")

    assert "it is a standby, or still in recovery: nothing can be changed there" in [line["message"] for line in lines]
    assert (refused.returncode, "it is a standby" in refused.stdout) == (2, True), refused.stdout


@pytest.mark.endurance
@pytest.mark.parametrize(("name", "mode"), [("", 0o000), ("", 0o300), ("0001_initial.py", 0o000)])
def test_migrations_that_cannot_be_read_are_not_taken_for_none(applied: Stranger, name: str, mode: int) -> None:
    (applied.path / "shop/migrations" / name).chmod(mode)

    done = applied.run(*AS_WHO_IS_REFUSED, sys.executable, "manage.py", "doctor", "--json")

    lines = json.loads(done.stdout)["lines"]
    (line,) = problems(lines)
    assert line["message"].endswith("shop/migrations cannot be read")
    assert [line["state"] for line in lines if line["subject"] == "migrations"] == ["unknown"]
    (applied.path / "shop/migrations" / name).chmod(0o700)


@pytest.mark.endurance
def test_table_that_is_locked_does_not_hold_it(applied: Stranger) -> None:
    with applied.connect() as other:
        other.execute("BEGIN; LOCK TABLE shop_item, django_migrations IN ACCESS EXCLUSIVE MODE")

        lines = doctor(applied, code=2)

        (blocked,) = [line for line in lines if line["state"] == "unknown"]
        assert "lock timeout" in blocked["message"]


@pytest.mark.endurance
@pytest.mark.parametrize(
    ("catalog", "code", "told"),
    [("pg_class", 1, "does not answer"), ("pg_constraint", 2, "constraints could not be looked at: OperationalError")],
)
def test_catalog_that_is_locked_does_not_hold_it(applied: Stranger, catalog: str, code: int, told: str) -> None:
    with applied.connect() as other:
        other.execute(f"BEGIN; LOCK TABLE {catalog} IN ACCESS EXCLUSIVE MODE".encode())

        began = time.monotonic()
        lines = doctor(applied, code=code)

        assert time.monotonic() - began < 2 * LIMIT_SECONDS
        assert any(told in f"{line['subject']} {line['message']}" for line in lines)
        assert ("models", "ok") in {(line["subject"], line["state"]) for line in lines}


@pytest.mark.endurance
def test_no_lock_is_taken_that_others_wait_for(applied: Stranger) -> None:
    seen = set()

    with applied.connect() as other:
        program = applied.start(sys.executable, "manage.py", "doctor")
        while program.poll() is None:
            seen.update(other.execute(LOCKS).fetchall())
        program.communicate()

    assert {mode for mode, _ in seen} == {"AccessShareLock"}
    assert not any(str(relation).startswith("shop_") for _, relation in seen)


@pytest.mark.endurance
def test_migrations_that_are_being_applied(applied: Stranger) -> None:
    has_pending(applied)
    applied.operations("0004_slow", "migrations.RunSQL('SELECT pg_sleep(60)')")
    migrating = applied.start(sys.executable, "manage.py", "migrate")
    while "0003_w" not in applied.applied():
        assert migrating.poll() is None

    lines = doctor(applied, code=1)

    assert any(line["message"].startswith("they are being applied at this moment") for line in lines)
    migrating.kill()
    migrating.communicate()


@pytest.mark.endurance
def test_other_database_is_mended_by_commands_for_it(applied: Stranger) -> None:
    with fresh_database() as variables:
        applied.configure(f"DATABASES['second'] = SERVER | {{'NAME': '{variables['POSTGRES_DB']}'}}")

        for line in problems(doctor(applied, "--database", "second", code=1)):
            assert "migrate --database second" in line["mend"]
            mend(applied, line)

        assert problems(doctor(applied, "--database", "second")) == []


@pytest.mark.endurance
def test_nothing_is_written(applied: Stranger) -> None:
    doctor(applied)
    before = applied.sql(WRITTEN)

    doctor(applied)

    assert applied.sql(WRITTEN) == before


def test_database_that_was_never_migrated(shop: Stranger) -> None:
    shop.write("shop/models.py", MODELS_WITH_V.replace(V, ""))

    lines = doctor(shop, code=1)

    assert [line["message"] for line in problems(lines)] == ["1 to be applied: shop.0001_initial"]
    assert shop.sql("SELECT to_regclass('django_migrations'), to_regclass('migration_guard_run')") == [(None, None)]


def test_database_of_another_vendor_is_refused(shop: Stranger) -> None:
    shop.configure("DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}")

    done = shop.manage("doctor")

    assert done.returncode == 2
    assert "the guard knows PostgreSQL only" in done.stdout
