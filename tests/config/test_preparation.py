"""`prepare` from outside: on an empty database, on a prepared one, beside others, and ended in the middle."""

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import psycopg
import pytest
from psycopg import sql

from migration_guard.turns import TURN_KEY
from tests.pgbouncer import pgbouncer
from tests.programs import Program, managing
from tests.project import CHECKOUT, DROP_DATABASE, Project, fresh_database
from tests.server import free_port

T = TypeVar("T")

LOCAL = {
    "ENVIRONMENT": "local",
    "POSTGRES_APP_PASSWORD": "an application's password",
    "FIRST_SUPERUSER": "first@example.com",
    "FIRST_SUPERUSER_PASSWORD": "a first password",
}
NOTE = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("trader", "LATEST")]
    operations = [migrations.AddField("venue", "note", models.TextField(null=True))]
"""
PRODUCTION = {
    "ENVIRONMENT": "production",
    "ALLOWED_HOSTS": "book.example.com",
    "SECRET_KEY": "0hb3Yx4kTq8vWm2LcNs7Rj5Zf1Gd9Pa6Eu-Qi_XoBnKrCtDyFl",
    "POSTGRES_APP_PASSWORD": "an application's password",
    "FIRST_SUPERUSER_PASSWORD": "a first password",
}
CLONE_DATABASE = sql.SQL("CREATE DATABASE {clone} TEMPLATE {original}")
CREATE_OWNER = sql.SQL("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD {password}")
TABLES = "SELECT relname, xmin::text, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
ROWS = sql.SQL("SELECT xmin::text, * FROM {table} ORDER BY ctid")
ROLE = "SELECT xmin::text FROM pg_authid WHERE rolname = %s"
RIGHTS_ON_BARS = """
    SELECT DISTINCT relacl::text FROM pg_class WHERE relname LIKE 'trader\\_pricebar%' AND relkind IN ('r', 'p')
"""
WAITING_FOR_MIGRATIONS_TABLE = """
    SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'django_migrations'::regclass
"""
WAITING_FOR_POSITIONS = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'trader_position'::regclass"
# What nothing else that is truncated takes with it.
ROOTS = ("currency", "execution", "journalentry", "loadedfixture", "posting", "user", "venue")
DELIVERED = """
    SELECT (SELECT count(*) FROM trader_loadedfixture WHERE model = 'trader.demonstration'),
        (SELECT count(*) FROM trader_execution), (SELECT count(*) FROM trader_posting),
        (SELECT count(*) FROM trader_pricebar), (SELECT count(*) FROM trader_fxrate)
"""


@dataclass(frozen=True)
class Start:
    """Processes that ran `prepare` on one database at once."""

    project: Project
    codes: list[int]
    outputs: list[str]


@pytest.fixture(scope="module")
def first_start(new_role_name: Callable[[], str]) -> Iterator[Start]:
    """Three racers on an empty database; nothing is to be changed in it, `prepared` is a copy of it."""
    with fresh_database() as variables, ExitStack() as stack:
        project = Project(CHECKOUT, variables | LOCAL | {"POSTGRES_APP_USER": new_role_name()})
        racers = [stack.enter_context(managing(project, "prepare")) for _ in range(3)]
        codes = [racer.wait() for racer in racers]
        yield Start(project, codes, [racer.output for racer in racers])


@pytest.fixture
def prepared(first_start: Start, checkout: Project) -> Iterator[Project]:
    """The tree with a prepared database of its own, as a restart finds it."""
    original = first_start.project.env["POSTGRES_DB"]
    clone = f"{original}_{uuid.uuid4().hex[:8]}"
    names = {"clone": sql.Identifier(clone), "original": sql.Identifier(original)}
    with checkout.connect() as maintenance:
        maintenance.execute(CLONE_DATABASE.format(**names))
        yield replace(first_start.project, env=first_start.project.env | {"POSTGRES_DB": clone})
        maintenance.execute(DROP_DATABASE.format(database=names["clone"]))


@contextmanager
def holding(project: Project, statement: str) -> Iterator[psycopg.Connection]:
    """A session that holds the lock which the statement takes, until the end of the block."""
    with project.connect() as session, session.transaction():
        session.execute(statement)
        yield session


def column(project: Project, query: str) -> list[object]:
    with project.connect() as session:
        return [value for (value,) in session.execute(query)]


def everything(project: Project) -> dict[str, object]:
    """All rows with the transactions that wrote them, and the catalog's record of tables, rights and the role."""
    with project.connect() as session:
        tables = sorted(session.execute(TABLES).fetchall())
        rows = {
            name: session.execute(ROWS.format(table=sql.Identifier(name))).fetchall()
            for (name,) in session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        }
        role = session.execute(ROLE, [project.env["POSTGRES_APP_USER"]]).fetchone()
    return rows | {"tables": tables, "role": role}


def wait_until(found: Callable[[], T], *, within: float) -> T:
    """What is found, as soon as there is something."""
    deadline = time.monotonic() + within
    while not (result := found()):
        assert time.monotonic() < deadline, "It did not come in time."
        time.sleep(0.05)
    return result


def empty(project: Project) -> None:
    with project.connect() as session:
        # The book's facts refuse to go, whoever asks, as long as their triggers fire.
        session.execute("SET session_replication_role = replica")
        tables = sql.SQL(", ").join(sql.Identifier(f"trader_{name}") for name in ROOTS)
        session.execute(sql.SQL("TRUNCATE {tables} CASCADE").format(tables=tables))


def delivered(project: Project) -> tuple[int, ...] | None:
    """Demonstrations, executions, postings, bars and rates."""
    with project.connect() as session:
        return session.execute(DELIVERED).fetchone()


def terminate(program: Program) -> int:
    """The exit code after SIGTERM; fails when the program takes more than two seconds to end."""
    program.process.send_signal(signal.SIGTERM)
    return program.process.wait(timeout=2)


def test_racers_on_an_empty_database_all_succeed_and_each_thing_is_done_once(first_start: Start) -> None:
    said = "".join(first_start.outputs)

    assert first_start.codes == [0, 0, 0], said
    steps = (
        "Applying trader.0001",
        "CREATE ROLE",
        "Fixtures: ",
        "Groups: ",
        "Demonstration book: ",
        "First superuser: ",
    )
    for once in steps:
        assert said.count(once) == 1


def test_an_empty_database_gets_fixtures_groups_a_superuser_and_the_application_role(prepared: Project) -> None:
    application = replace(
        prepared,
        env=prepared.env
        | {
            "POSTGRES_USER": prepared.env["POSTGRES_APP_USER"],
            "POSTGRES_PASSWORD": prepared.env["POSTGRES_APP_PASSWORD"],
        },
    )

    assert column(application, "SELECT email FROM trader_user WHERE is_superuser") == ["first@example.com"]
    assert column(application, "SELECT code FROM trader_account") == ["DEMO"]
    assert column(application, "SELECT count(*) FROM trader_currency") == [165]
    assert column(application, "SELECT name FROM auth_group ORDER BY name") == ["operator", "trader", "viewer"]
    assert column(application, "SELECT count(*) > 100 FROM trader_execution") == [True]


def test_a_second_prepare_changes_nothing_and_leaves_what_a_person_changed(prepared: Project) -> None:
    with prepared.connect() as session:
        session.execute("UPDATE trader_user SET email = 'me@example.com', password = 'another hash'")
        session.execute("UPDATE trader_currency SET minor_unit = 4 WHERE code = 'CLF'")
        session.execute("UPDATE trader_currency SET code = 'MINE' WHERE code = 'XAF'")
        session.execute("DELETE FROM trader_currency WHERE code = 'XPF'")
        session.execute("DELETE FROM auth_group_permissions WHERE id % 2 = 0")
        session.execute("UPDATE auth_group SET name = 'desk' WHERE name = 'trader'")
    before = everything(prepared)

    prepare = prepared.manage("prepare")

    assert prepare.returncode == 0, prepare.stdout
    assert prepare.stdout.splitlines()[-1].strip() == "No migrations to apply."
    assert everything(prepared) == before


def test_the_partition_of_the_year_is_made_where_it_is_missing_with_the_rights_of_its_sisters(
    prepared: Project,
) -> None:
    year = datetime.now(UTC).year
    with prepared.connect() as session:
        session.execute(f"DROP TABLE trader_pricebar_{year}".encode())

    first, again = prepared.manage("prepare"), prepared.manage("prepare")

    assert first.returncode == again.returncode == 0, first.stdout
    assert f"Price bars: made trader_pricebar_{year}; 0 moved into it." in first.stdout
    assert "trader_pricebar" not in again.stdout
    # Nothing was left to be granted.
    assert "Role " not in first.stdout
    rights = (
        f"SELECT DISTINCT relacl::text FROM pg_class WHERE relname IN ('trader_pricebar', 'trader_pricebar_{year}')"
    )
    assert len(column(prepared, rights)) == 1


def test_a_start_serves_without_a_partition_that_cannot_be_made_now(prepared: Project) -> None:
    year = datetime.now(UTC).year
    with prepared.connect() as session:
        session.execute(f"DROP TABLE trader_pricebar_{year}".encode())

    with holding(prepared, "LOCK TABLE trader_pricebar_default IN ROW EXCLUSIVE MODE"):
        prepare = prepared.manage("prepare")

    assert prepare.returncode == 0, prepare.stdout
    assert f"the partition of {year} was not waited for any longer" in prepare.stdout


def test_it_waits_for_the_holder_of_the_lock_and_says_who_that_is(prepared: Project) -> None:
    with managing(prepared, "prepare") as prepare:
        with holding(prepared, f"SELECT pg_advisory_xact_lock({TURN_KEY})") as holder:
            prepare.wait_for("Waiting for another process to finish: server process")
            assert f"server process {holder.info.backend_pid}, user " in prepare.output
            assert prepare.process.poll() is None

        assert prepare.wait() == 0
    assert "No migrations to apply." in prepare.output


def test_a_database_that_only_reads_is_refused_in_one_sentence(prepared: Project) -> None:
    with prepared.connect() as session:
        session.execute(f"ALTER DATABASE {prepared.env['POSTGRES_DB']} SET default_transaction_read_only = on")

    prepare = prepared.manage("prepare")

    assert prepare.returncode == 2, prepare.stdout
    assert prepare.stdout.startswith("CommandError: Nothing was changed in the database project_")
    assert "Traceback" not in prepare.stdout


@pytest.mark.endurance
def test_a_pooler_that_shares_sessions_is_refused_in_one_sentence(checkout: Project) -> None:
    with fresh_database() as variables, pgbouncer(Project(checkout.path, variables), "transaction", 2) as port:
        behind = replace(checkout, env=checkout.env | variables | {"POSTGRES_PORT": str(port)})

        prepare = behind.manage("prepare")

    assert prepare.returncode == 2, prepare.stdout
    assert prepare.stdout.startswith("CommandError: The connection goes through a proxy")
    assert "Traceback" not in prepare.stdout


def test_sigterm_while_it_waits_for_the_database_ends_it_at_once(checkout: Project) -> None:
    nowhere = replace(checkout, env=checkout.env | {"POSTGRES_PORT": str(free_port())})

    with managing(nowhere, "prepare") as prepare:
        prepare.wait_for("Waiting for the database.")

        assert terminate(prepare) != 0


def test_sigterm_while_it_migrates_ends_it_at_once_and_leaves_nothing_half_done(prepared: Project) -> None:
    prepared.env |= {"DEMONSTRATION": "false"}
    prepared.manage("migrate", "trader", "0005")
    is_there = "SELECT to_regclass('trader_loadedfixture') IS NOT NULL"

    with (
        # Lets it read what was applied, and stops it when it has made the table and records that.
        holding(prepared, "LOCK TABLE django_migrations IN EXCLUSIVE MODE"),
        managing(prepared, "prepare") as prepare,
    ):
        stopped = wait_until(lambda: column(prepared, WAITING_FOR_MIGRATIONS_TABLE), within=60)

        assert terminate(prepare) != 0
        wait_until(lambda: not column(prepared, f"SELECT pid FROM pg_stat_activity WHERE pid = {stopped[0]}"), within=5)
        assert column(prepared, is_there) == [False]

    assert prepared.manage("prepare").returncode == 0
    assert column(prepared, is_there) == [True]


def test_production_gets_no_demonstration_and_no_superuser_that_it_did_not_ask_for(
    prepared: Project, bare_tree: Project, new_role_name: Callable[[], str]
) -> None:
    owner = {"POSTGRES_USER": new_role_name(), "POSTGRES_PASSWORD": "the password of an owner"}
    empty(prepared)
    with prepared.connect() as session:
        names = {"role": sql.Identifier(owner["POSTGRES_USER"]), "password": sql.Literal(owner["POSTGRES_PASSWORD"])}
        session.execute(CREATE_OWNER.format(**names))
    bare_tree.env |= prepared.env | owner
    bare_tree.env |= {"ENVIRONMENT": "production", "ALLOWED_HOSTS": "trader.example.com", "SECRET_KEY": "x" * 50}
    del bare_tree.env["FIRST_SUPERUSER"], bare_tree.env["FIRST_SUPERUSER_PASSWORD"]

    prepare = bare_tree.manage("prepare")

    assert prepare.returncode == 0, prepare.stdout
    assert column(prepared, "SELECT email FROM trader_user") == []
    assert column(prepared, "SELECT code FROM trader_account") == []
    assert column(prepared, "SELECT symbol FROM trader_instrument") == []
    assert column(prepared, "SELECT count(*) FROM trader_currency") == [165]
    assert delivered(prepared) == (0, 0, 0, 0, 0)


def test_local_development_goes_without_the_demonstration_where_that_is_said(prepared: Project) -> None:
    empty(prepared)
    prepared.env |= {"DEMONSTRATION": "false"}

    prepare = prepared.manage("prepare")

    assert prepare.returncode == 0, prepare.stdout
    assert column(prepared, "SELECT code FROM trader_account") == []
    assert column(prepared, "SELECT count(*) FROM trader_currency") == [165]
    assert delivered(prepared) == (0, 0, 0, 0, 0)


@pytest.mark.endurance
def test_a_demonstration_that_was_killed_in_the_middle_leaves_nothing_and_comes_whole_with_the_next_start(
    prepared: Project,
) -> None:
    whole = delivered(prepared)
    empty(prepared)

    with (
        # Lets it write rates, bars and deposits, and stops it at the first fill.
        holding(prepared, "LOCK TABLE trader_position IN EXCLUSIVE MODE"),
        managing(prepared, "prepare") as prepare,
    ):
        stopped = wait_until(lambda: column(prepared, WAITING_FOR_POSITIONS), within=60)
        prepare.process.kill()
        prepare.process.wait()
    wait_until(lambda: not column(prepared, f"SELECT pid FROM pg_stat_activity WHERE pid = {stopped[0]}"), within=5)

    assert delivered(prepared) == (0, 0, 0, 0, 0)
    assert prepared.manage("prepare").returncode == 0
    assert delivered(prepared) == whole


@pytest.mark.endurance
def test_outside_local_nothing_is_applied_that_was_not_rehearsed(
    project: Project, new_role_name: Callable[[], str]
) -> None:
    project.env |= LOCAL | {"POSTGRES_APP_USER": new_role_name()}
    assert project.manage("prepare").returncode == 0
    latest = max(path.stem for path in (project.path / "trader/migrations").glob("0*.py"))
    migration = project.path / "trader/migrations/9999_venue_note.py"
    migration.write_text(NOTE.replace("LATEST", latest))
    local, project.env = project.env, project.env | PRODUCTION

    refused = project.manage("prepare")

    assert refused.returncode == 2
    assert "trader.9999_venue_note has no receipt (trader/migrations/receipts/9999_venue_note.json)" in refused.stdout
    assert "python manage.py rehearse" in refused.stdout
    project.env = local
    rehearsed = project.manage("rehearse")
    assert "9999_venue_note.json" in rehearsed.stdout
    project.env |= PRODUCTION
    prepared = project.manage("prepare")
    assert prepared.returncode == 0, prepared.stdout
    with project.connect() as session:
        session.execute(sql.SQL("DROP OWNED BY {role}").format(role=sql.Identifier(project.env["POSTGRES_APP_USER"])))
