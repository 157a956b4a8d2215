"""The guard in databases that are not UTF-8, public, plainly named, in time zones or without a pool or wrappers."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from tests.migration_guard.operating import TURN_HELD
from tests.migration_guard.stranger import Stranger, begin
from tests.programs import Program, managing
from tests.project import CHECKOUT, DROP_DATABASE, Project, database_environment

pytestmark = pytest.mark.endurance

CREATE_LATIN1 = sql.SQL("CREATE DATABASE {database} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
ADD_V = "migrations.AddField('Item', 'v', models.IntegerField(null=True))"
ADD_INDEX = "AddIndexConcurrently('Item', models.Index(fields=['name'], name='item_name'))"
THREE_ITEMS = "INSERT INTO shop_item (name) VALUES ('a'), ('b'), ('c')"
LEDGER_SCHEMA = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'migration_guard_run'"
# As Django wants names with quotes: doubled.
TABLE, COLUMN, INDEX = 'Ördër ""x"" 😀', 'Größe ""y"" 😀 (m²)', 'ÏX ""z"" 😀'
NAME = 'Näme; -- "" ON USING ('
IS_VALID = "SELECT indisvalid, indisunique FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname = %s"


@pytest.fixture
def latin1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stranger]:
    """The shop in a database that cannot hold an emoji."""
    # Of the test's own sessions; Django's are so by themselves.
    monkeypatch.setenv("PGCLIENTENCODING", "UTF8")
    database = f"project_{uuid.uuid4().hex}"
    maintenance = Project(CHECKOUT, database_environment("postgres"))
    with maintenance.connect() as connection:
        connection.execute(CREATE_LATIN1.format(database=sql.Identifier(database)))
    try:
        yield begin(tmp_path / "shop", database_environment(database))
    finally:
        with maintenance.connect() as connection:
            connection.execute(DROP_DATABASE.format(database=sql.Identifier(database)))


@pytest.fixture
def tenant(shop: Stranger) -> Stranger:
    """The shop in a schema of its own."""
    shop.sql('CREATE SCHEMA "Tenant 1"')
    shop.configure("""SERVER["OPTIONS"] = {"options": '-c search_path="Tenant\\\\ 1"'}""")
    return shop


@pytest.fixture
def quoted(shop: Stranger) -> Stranger:
    """The shop with names that need every quote there is, and four items."""
    shop.migration(
        "0001_initial",
        f"""
        class Migration(migrations.Migration):
            initial = True
            operations = [
                migrations.CreateModel(
                    "Item",
                    [
                        ("id", models.BigAutoField(primary_key=True, db_column="ID")),
                        ("name", models.CharField(max_length=40, db_column={NAME!r})),
                    ],
                    options={{"db_table": {TABLE!r}}},
                ),
            ]
        """,
    )
    shop.operations(
        "0002_size", f"migrations.AddField('Item', 'size', models.IntegerField(null=True, db_column={COLUMN!r}))"
    )
    assert shop.manage("migrate").returncode == 0
    shop.sql(f"""INSERT INTO "{TABLE}" ("{NAME}", "{COLUMN}") VALUES ('a', 1), ('a', 2), ('c', 3), ('d', NULL)""")
    return shop


def succeed(project: Stranger, *arguments: str) -> str:
    ended = project.manage(*arguments)
    assert ended.returncode == 0, ended.stdout
    assert "Traceback" not in ended.stdout
    return ended.stdout


def plain(name: str) -> str:
    """The name as the catalog has it."""
    return name.replace('""', '"')


def outcomes(project: Stranger) -> list[tuple[str, str, str]]:
    runs = json.loads(succeed(project, "history", "--json"))
    return [(run["name"], run["action"], run["outcome"]) for run in runs]


def test_emoji_in_a_migration_are_kept_in_a_latin1_database(latin1: Stranger) -> None:
    emoji = f"{ADD_V.replace('null=True', 'null=True, help_text=HELP')},  # Größer 😀"
    latin1.operations("0002_v", emoji).write_text(
        latin1.operations("0002_v", emoji)
        .read_text()
        .replace("class Migration", 'HELP = "wie groß 😀"\n\n\nclass Migration')
    )

    succeed(latin1, "migrate")

    (run,) = json.loads(succeed(latin1, "history", "shop", "0002", "--json"))
    assert 'HELP = "wie groß 😀"' in [part["text"] for part in run["parts"]]


def test_edit_with_emoji_is_shown_and_accepted_in_a_latin1_database(latin1: Stranger) -> None:
    latin1.operations("0002_v", ADD_V.replace("null=True", "null=True, help_text='😀'"))
    succeed(latin1, "migrate")
    latin1.operations("0002_v", ADD_V.replace("null=True", "null=True, help_text='☹'"))

    refused = latin1.manage("migrate")
    succeed(latin1, "migrate", "--accept-edited", "shop", "0002_v", "--reason", "Nur ein Bild: ☹ für 😀")

    assert refused.returncode == 2
    assert "help_text='😀'" in refused.stdout
    assert "help_text='☹'" in refused.stdout
    assert "Nur ein Bild: \\u2639 f\\xfcr \\U0001f600" in succeed(latin1, "history")


@pytest.mark.parametrize("atomic", [True, False])
def test_error_in_any_script_is_kept_in_a_latin1_database(latin1: Stranger, atomic: bool) -> None:
    latin1.migration(
        "0002_broken",
        f"""
        def fail(apps, schema_editor):
            raise ValueError("Ошибка 😀 größer")


        class Migration(migrations.Migration):
            atomic = {atomic}
            dependencies = [("shop", "0001_initial")]
            operations = [{ADD_V}, migrations.RunPython(fail, migrations.RunPython.noop)]
        """,
    )

    failed = latin1.manage("migrate")

    assert failed.returncode != 0
    assert "ValueError: Ошибка 😀 größer" in failed.stdout
    assert outcomes(latin1)[-1] == ("0002_broken", "apply", "failed")
    (run,) = json.loads(succeed(latin1, "history", "shop", "0002", "--json"))
    assert run["error"].encode().decode("unicode_escape").endswith("größer")


def test_rollback_works_in_a_latin1_database(latin1: Stranger) -> None:
    latin1.operations("0002_v", ADD_V.replace("null=True", "null=True, db_column='größe'"))
    succeed(latin1, "migrate")
    latin1.sql("INSERT INTO shop_item (name, größe) VALUES ('é', 1)")

    undone = succeed(latin1, "rollback", "--yes")

    assert "Drops the column shop_item.größe, which has a value in 1 row." in undone
    assert latin1.columns() == {"id", "name"}


def test_release_and_user_in_any_script_are_kept_in_a_latin1_database(latin1: Stranger) -> None:
    latin1.configure("MIGRATION_GUARD = {'RELEASE': 'выпуск 😀'}")
    latin1.env["LOGNAME"] = "Łukasz"

    succeed(latin1, "migrate")

    assert outcomes(latin1) == [("0001_initial", "apply", "done")]


def test_ledger_is_in_the_schema_of_the_search_path(tenant: Stranger) -> None:
    succeed(tenant, "migrate")

    assert tenant.sql(LEDGER_SCHEMA) == [('"Tenant 1"',)]
    assert outcomes(tenant) == [("0001_initial", "apply", "done")]
    assert "No migrations to apply" in succeed(tenant, "migrate")


def test_invalid_index_is_built_again_in_the_schema_of_the_search_path(tenant: Stranger) -> None:
    succeed(tenant, "migrate")
    table = '"Tenant 1".shop_item'
    tenant.sql(f"INSERT INTO {table} (name) VALUES ('a'), ('a')")
    leave_invalid(tenant, f"CREATE UNIQUE INDEX CONCURRENTLY item_name ON {table} (name)")
    tenant.operations("0002_index", ADD_INDEX, atomic=False)

    succeed(tenant, "migrate")

    assert tenant.sql(IS_VALID, "item_name") == [(True, False)]


def test_table_of_that_name_in_another_schema_is_none_of_a_loss(tenant: Stranger) -> None:
    tenant.operations("0002_v", ADD_V)
    succeed(tenant, "migrate")
    tenant.sql("CREATE TABLE public.shop_item (v int)")
    tenant.sql("INSERT INTO public.shop_item VALUES (1), (2)")
    tenant.sql("""INSERT INTO "Tenant 1".shop_item (name, v) VALUES ('a', 1)""")

    undone = succeed(tenant, "rollback", "--yes")

    assert "which has a value in 1 row." in undone
    assert tenant.sql("SELECT sum(v) FROM public.shop_item") == [(3,)]


def test_names_with_quotes_are_migrated_undone_and_counted(quoted: Stranger) -> None:
    undone = succeed(quoted, "rollback", "--yes")

    assert f"Drops the column {TABLE}.{COLUMN}, which has a value in 3 rows." in undone
    assert quoted.columns(plain(TABLE)) == {"ID", plain(NAME)}


def test_table_with_quotes_is_counted(quoted: Stranger) -> None:
    undone = succeed(quoted, "rollback", "--yes", "shop", "zero")

    assert f"Drops the table {TABLE} with 4 rows." in undone
    assert quoted.columns(plain(TABLE)) == set()


def test_renamed_names_with_quotes_are_followed(quoted: Stranger) -> None:
    quoted.operations(
        "0003_rename",
        "migrations.RenameField('Item', 'size', 'weight')",
        "migrations.AlterModelTable('Item', 'Neu \"\" 😀')",
    )
    succeed(quoted, "migrate")

    undone = succeed(quoted, "rollback", "--yes", "shop", "0001")

    assert f'Drops the column Neu "" 😀.{COLUMN}, which has a value in 3 rows.' in undone


@pytest.mark.parametrize("fields", ["['name']", "['size', '-name']"])
def test_invalid_index_with_quotes_is_built_again(quoted: Stranger, fields: str) -> None:
    leave_invalid(quoted, f'CREATE UNIQUE INDEX CONCURRENTLY "{INDEX}" ON "{TABLE}" ("{NAME}")')
    index = f"AddIndexConcurrently('Item', models.Index(fields={fields}, name={INDEX!r}))"
    quoted.operations("0003_index", index, atomic=False)

    succeed(quoted, "migrate")

    assert quoted.sql(IS_VALID, plain(INDEX)) == [(True, False)]
    assert quoted.applied()[-1] == "0003_index"


def test_index_with_quotes_that_a_killed_run_built_is_taken(quoted: Stranger) -> None:
    quoted.operations(
        "0003_index", f"AddIndexConcurrently('Item', models.Index(fields=['name'], name={INDEX!r}))", atomic=False
    )
    with quoted.connect() as holder:
        holder.execute("BEGIN")
        holder.execute(f'LOCK TABLE "{TABLE}" IN ROW EXCLUSIVE MODE'.encode())
        with managing(quoted, "migrate", "-v0") as migrating:
            wait_until_invalid(quoted, migrating)
        left_behind = quoted.sql(IS_VALID, plain(INDEX))
        holder.execute("ROLLBACK")

    succeed(quoted, "migrate")

    assert left_behind == [(False, False)]
    assert quoted.sql(IS_VALID, plain(INDEX)) == [(True, False)]


def leave_invalid(project: Stranger, statement: str) -> None:
    """Build a unique index over rows that are not unique."""
    with pytest.raises(Exception, match="could not create unique index"):
        project.sql(statement)
    assert project.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(1,)]


def wait_until_invalid(project: Stranger, migrating: Program) -> None:
    deadline = time.monotonic() + 10
    while not project.sql("SELECT 1 FROM pg_index WHERE NOT indisvalid"):
        assert migrating.process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_everything_works_without_time_zones(shop: Stranger) -> None:
    shop.configure("USE_TZ = False\nTIME_ZONE = 'Asia/Kathmandu'")
    shop.operations("0002_v", ADD_V)
    shop.operations("0003_index", ADD_INDEX, atomic=False)
    succeed(shop, "migrate")
    shop.sql(THREE_ITEMS)

    succeed(shop, "rollback", "--yes", "--steps", "2")

    assert [action for _, action, _ in outcomes(shop)] == ["apply", "apply", "apply", "undo", "undo"]
    assert len(succeed(shop, "history").splitlines()) == 5
    now = "SELECT count(*) FROM migration_guard_run WHERE started_at BETWEEN now() - interval '1 min' AND now()"
    assert shop.sql(now) == [(5,)]


def test_time_zones_may_be_switched_between_two_runs(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_V)
    succeed(shop, "migrate")
    shop.configure("USE_TZ = False")

    succeed(shop, "rollback", "--yes")

    assert [action for _, action, _ in outcomes(shop)] == ["apply", "apply", "undo"]


def test_everything_works_with_a_connection_pool(shop: Stranger) -> None:
    shop.configure("SERVER['OPTIONS'] = {'pool': True}")
    shop.operations("0002_v", ADD_V)
    shop.operations("0003_index", ADD_INDEX, atomic=False)
    migrated = succeed(shop, "migrate")
    shop.sql(THREE_ITEMS)

    undone = succeed(shop, "rollback", "--yes", "--steps", "2")

    assert "Drops the column shop_item.v, which is empty." in undone
    assert "arning" not in migrated + undone
    assert shop.applied() == ["0001_initial"]
    assert "No migrations to apply" not in succeed(shop, "migrate")
    assert "No migrations to apply" in succeed(shop, "migrate")


def test_failed_migration_is_recorded_with_a_connection_pool(shop: Stranger) -> None:
    shop.configure("SERVER['OPTIONS'] = {'pool': {'min_size': 1, 'max_size': 1, 'timeout': 3}}")
    shop.operations("0002_broken", ADD_V, "migrations.RunSQL('SELECT 1/0')", atomic=False)

    failed = shop.manage("migrate")

    assert "division by zero" in failed.stdout
    assert outcomes(shop)[-1] == ("0002_broken", "apply", "failed")
    assert shop.sql(TURN_HELD) == []


def test_wrapper_that_takes_statements_for_text_is_no_obstacle(shop: Stranger) -> None:
    """Those that put a comment into each, as sqlcommenter's, make text of what they get."""
    shop.configure("""
        from django.db.backends.signals import connection_created

        def commented(execute, sql, params, many, context):
            return execute(f"{sql} /* by the shop */", params, many, context)

        def comment(connection, **_):
            if commented not in connection.execute_wrappers:
                connection.execute_wrappers.append(commented)

        connection_created.connect(comment)
    """)
    shop.manage("migrate")
    shop.sql(THREE_ITEMS)
    shop.operations("0002_v", ADD_V)

    rehearsed, drift = shop.manage("rehearse"), shop.manage("drift")

    assert "PASSED" in rehearsed.stdout, rehearsed.stdout
    assert "No drift" in drift.stdout, drift.stdout
