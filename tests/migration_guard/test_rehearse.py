"""`rehearse` measures pending migrations on a copy, and leaves the database that it copies as it is."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from migration_guard.databases import prefix_of
from tests.migration_guard.operating import succeed
from tests.migration_guard.stranger import ADD_COLUMN, Stranger
from tests.programs import running

endurance = pytest.mark.endurance

ROWS = "INSERT INTO shop_item (name) SELECT 'item ' || g FROM generate_series(1, %s) g"
EVERYTHING = "SELECT md5(string_agg(item::text, ',' ORDER BY id)) FROM shop_item item"
# Other tests rehearse on the same server.
LEFT_BEHIND = """
    SELECT datname FROM pg_database WHERE starts_with(datname, %s)
    UNION ALL
    SELECT application_name FROM pg_stat_activity
    WHERE starts_with(datname, %s) OR (datname = current_database() AND application_name LIKE 'migration_guard%%')
"""
SLEEPING = """
    SELECT pid FROM pg_stat_activity WHERE starts_with(datname, %s) AND state = 'active' AND query LIKE '%%pg_sleep%%'
"""
WEIRD = '"Weird ""x"" 100%"'
CREATE_TAG = "migrations.CreateModel('Tag', [('id', models.BigAutoField(primary_key=True))])"
VOLATILE = "ALTER TABLE shop_item ADD COLUMN w double precision DEFAULT random()"


@pytest.fixture
def stocked(shop: Stranger) -> Stranger:
    """The shop with its first migration applied and rows in its table; a busy machine makes no stall."""
    shop.configure("MIGRATION_GUARD = {'STALL_WARNS': 5, 'STALL_FAILS': 10}")
    succeed(shop, "migrate")
    shop.sql(ROWS, 20_000)
    shop.sql("ANALYZE")
    return shop


def rehearse(project: Stranger, *arguments: str, code: int = 0) -> dict[str, Any]:
    command = project.manage("rehearse", "--json", *arguments, timeout=300)
    assert command.returncode == code, command.stdout
    # What is said beside it stands before or behind it.
    report: dict[str, Any]
    report, _ = json.JSONDecoder().raw_decode(command.stdout[command.stdout.index("{\n") :])
    return report


def left_behind(project: Stranger) -> list[tuple[object, ...]]:
    """Copies of the project's database, and sessions of the guard in them or in it."""
    prefix = prefix_of(project.env["POSTGRES_DB"])
    return project.sql(LEFT_BEHIND, prefix, prefix)


def only(report: dict[str, Any]) -> dict[str, Any]:
    (migration,) = report["migrations"]
    assert isinstance(migration, dict)
    return migration


def findings(migration: dict[str, Any]) -> set[tuple[str, str]]:
    return {(finding["id"], finding["severity"]) for finding in migration["findings"]}


def locks(statement: dict[str, Any]) -> set[tuple[str, str]]:
    return {(lock["relation"], lock["mode"]) for lock in statement["locks"]}


def test_added_column(stocked: Stranger) -> None:
    stocked.operations("0002_v", ADD_COLUMN)
    before = stocked.sql(EVERYTHING), stocked.columns()

    report = rehearse(stocked)

    migration = only(report)
    (statement,) = migration["statements"]
    assert report["verdict"] == migration["verdict"] == "passed"
    assert (migration["app"], migration["name"]) == ("shop", "0002_v")
    assert statement["sql"] == 'ALTER TABLE "shop_item" ADD COLUMN "v" integer NULL'
    assert locks(statement) == {("shop_item", "ACCESS EXCLUSIVE")}
    assert statement["operation"] == "Add field v to Item"
    assert statement["rewritten"] == []
    assert 0 < statement["wal_bytes"] < 100_000
    assert migration["reversible"]
    assert migration["reverse_lossless"]
    # What the application has written into the new column by then.
    assert migration["losses"] == [{"table": "shop_item", "column": "v", "rows": 3}]
    assert "made-up values" in report["source"]["notes"][0]
    assert {probe["outcome"] for probe in migration["previous_release"]} == {"passed"}
    assert migration["stall_ms"].keys() == {"shop_item"}
    assert report["source"]["kind"] == "live"
    # The source, as it was.
    assert (stocked.sql(EVERYTHING), stocked.columns()) == before
    assert stocked.applied() == ["0001_initial"]
    assert left_behind(stocked) == []


def test_plain_sql_is_taken_apart(stocked: Stranger) -> None:
    stocked.operations(
        "0002_w",
        f"migrations.RunSQL('{VOLATILE}; CREATE INDEX by_w ON shop_item (w);', 'ALTER TABLE shop_item DROP COLUMN w')",
    )

    migration = only(rehearse(stocked))

    column, index = migration["statements"]
    assert column["sql"].startswith(VOLATILE)
    assert ("shop_item", "ACCESS EXCLUSIVE") in locks(column)
    assert set(column["rewritten"]) == {"shop_item", "shop_item_pkey"}
    assert index["sql"].startswith("CREATE INDEX by_w")
    assert index["rewritten"] == []
    assert column["wal_bytes"] > 1_000_000 > index["ms"]
    assert migration["verdict"] == "passed"
    assert ("rows-differ", "info") in findings(migration)
    (size,) = migration["sizes"]
    assert size["after"] > size["before"]


@endurance
def test_script_is_measured_whole_where_its_parser_is_not_installed(stocked: Stranger) -> None:
    stocked.configure("from migration_guard.review import syntax\nsyntax._squawk = lambda: missing()")
    stocked.configure("def missing(): raise syntax.ParserMissing('')")
    stocked.operations("0002_w", "migrations.RunSQL('SELECT 1; SELECT 2', migrations.RunSQL.noop)")
    stocked.operations("0003_i", "AddIndexConcurrently('Item', models.Index(fields=['name'], name='i'))", atomic=False)

    script, index = rehearse(stocked)["migrations"]

    assert [statement["sql"] for statement in script["statements"]] == ["SELECT 1; SELECT 2"]
    assert index["stall_ms"].keys() == {"shop_item"}


@endurance
def test_index_built_concurrently(stocked: Stranger) -> None:
    stocked.operations("0002_i", "AddIndexConcurrently('Item', models.Index(fields=['name'], name='i'))", atomic=False)

    migration = only(rehearse(stocked))

    (statement,) = migration["statements"]
    assert statement["documented"]
    assert locks(statement) == {("shop_item", "SHARE UPDATE EXCLUSIVE")}
    assert migration["verdict"] == "passed"


@endurance
def test_statement_kept_for_the_end_is_its_operations(stocked: Stranger) -> None:
    stocked.operations(
        "0002_box",
        "migrations.CreateModel('Box', [('id', models.BigAutoField(primary_key=True)),"
        " ('item', models.ForeignKey('shop.Item', models.CASCADE))])",
        ADD_COLUMN,
    )

    migration = only(rehearse(stocked))

    by_operation = [(statement["sql"].split()[:2], statement["operation"]) for statement in migration["statements"]]
    assert by_operation == [
        (["CREATE", "TABLE"], "Create model Box"),
        (["ALTER", "TABLE"], "Add field v to Item"),
        (["ALTER", "TABLE"], "Create model Box"),
        (["CREATE", "INDEX"], "Create model Box"),
    ]
    assert ("shop_item", "SHARE ROW EXCLUSIVE") in locks(migration["statements"][2])


@endurance
def test_what_goes_past_the_cursors_is_listed(stocked: Stranger) -> None:
    stocked.migration(
        "0002_raw",
        """
        def past(apps, schema_editor):
            with schema_editor.connection.connection.cursor() as cursor:
                cursor.execute("UPDATE shop_item SET name = 'raw' WHERE id = 1")
            with schema_editor.connection.cursor() as cursor:
                with cursor.copy("COPY shop_item (name) FROM STDIN") as copy:
                    copy.write_row(["copied"])
                cursor.execute("SELECT 1")

        class Migration(migrations.Migration):
            dependencies = [("shop", "0001_initial")]
            operations = [migrations.RunPython(past, migrations.RunPython.noop)]
        """,
    )

    migration = only(rehearse(stocked))

    assert migration["unseen"] == ["UPDATE shop_item SET name = 'raw' WHERE id = 1", "COPY shop_item (name) FROM STDIN"]
    assert [statement["sql"] for statement in migration["statements"]] == ["SELECT 1"]


@endurance
def test_nothing_pending(stocked: Stranger) -> None:
    report = rehearse(stocked)

    assert report["verdict"] == "passed"
    assert report["migrations"] == []


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_sql_that_ends_the_transaction_of_its_migration_is_told(stocked: Stranger, end: str) -> None:
    stocked.operations("0002_v", f"migrations.RunSQL('ALTER TABLE shop_item ADD v int; {end}; SELECT 1', '')")

    migration = only(rehearse(stocked, code=1))

    assert "It ends the transaction of its migration" in migration["findings"][0]["message"]
    assert [bool(statement["error"]) for statement in migration["statements"]] == [False, True]


def test_two_ends_are_refused_as_migrate_refuses_them(stocked: Stranger) -> None:
    stocked.operations("0002_v", ADD_COLUMN)
    stocked.operations("0003_other", ADD_COLUMN.replace("'v'", "'w'"), after="0001_initial")

    command = stocked.manage("rehearse")

    assert command.returncode == 2
    assert "more than one in an app (shop: 0002_v, 0003_other)" in command.stdout


def test_receipt_that_cannot_be_written_is_told_below_the_report(stocked: Stranger) -> None:
    stocked.operations("0002_v", ADD_COLUMN)
    stocked.write("shop/migrations/receipts", "")

    command = stocked.manage("rehearse")

    assert command.returncode == 2
    assert "PASSED" in command.stdout
    assert "a receipt cannot be written" in command.stdout
    assert "Traceback" not in command.stdout


def test_plan_that_fails_in_the_middle(stocked: Stranger) -> None:
    stocked.operations("0002_v", ADD_COLUMN)
    stocked.operations("0003_twice", "migrations.RunSQL('SELECT 1; ALTER TABLE shop_item ADD COLUMN v int')")
    stocked.operations("0004_w", ADD_COLUMN.replace("'v'", "'w'"))

    report = rehearse(stocked, code=1)

    assert [migration["verdict"] for migration in report["migrations"]] == ["passed", "failed"]
    assert (
        'shop.0003_twice fails: ProgrammingError: column "v" of relation "shop_item" already exists' in report["error"]
    )
    first, second = report["migrations"][1]["statements"]
    assert (first["sql"], first["error"]) == ("SELECT 1;", "")
    assert "already exists" in second["error"]
    assert left_behind(stocked) == []


@endurance
def test_code_that_exits_fails_as_another_does(stocked: Stranger) -> None:
    stocked.operations("0002_back", "migrations.RunPython(migrations.RunPython.noop, lambda *_: exit('No way'))")
    stocked.operations("0003_exit", "migrations.RunPython(lambda *_: exit('Not here'), migrations.RunPython.noop)")

    report = rehearse(stocked, code=1)

    assert "shop.0003_exit fails: SystemExit: Not here" in report["error"]
    assert ("reverse-fails", "error") in findings(report["migrations"][0])


@endurance
def test_way_back_that_is_none(stocked: Stranger) -> None:
    stocked.operations("0002_no_name", "migrations.RemoveField('Item', 'name')")

    migration = only(rehearse(stocked, code=1))

    assert {("reverse-fails", "error"), ("previous-release", "error")} <= findings(migration)
    assert not migration["reversible"]


def test_way_back_that_loses_values(stocked: Stranger) -> None:
    stocked.operations(
        "0002_short",
        "migrations.RunSQL(\"UPDATE shop_item SET name = 'same' WHERE id <= 30\", migrations.RunSQL.noop)",
        "migrations.RunSQL('DELETE FROM shop_item WHERE id = 31', migrations.RunSQL.noop)",
    )

    migration = only(rehearse(stocked))

    assert migration["verdict"] == "warned"
    assert migration["reversible"]
    assert migration["reverse_lossless"] is False
    losses = {(loss["table"], loss["column"], loss["rows"]) for loss in migration["losses"]}
    assert losses == {("shop_item", "name", 30), ("shop_item", None, 1)}


@endurance
def test_what_is_written_into_new_columns_meanwhile_is_lost(stocked: Stranger) -> None:
    stocked.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not that'; END$$")
    stocked.sql("CREATE TRIGGER t BEFORE UPDATE OR DELETE ON shop_item FOR EACH ROW EXECUTE FUNCTION refuse()")
    state = (
        "migrations.SeparateDatabaseAndState(state_operations=[{}], database_operations=[migrations.RunSQL({}, {})])"
    )
    stocked.operations(
        "0002_tag",
        CREATE_TAG,
        "migrations.AddField('Item', 'tag', models.ForeignKey('shop.Tag', models.CASCADE, null=True))",
        "migrations.AddField('Item', 'size', models.IntegerField(null=True, unique=True))",
    )
    stocked.operations("0003_v", ADD_COLUMN, atomic=False)
    add, drop = "'ALTER TABLE shop_tag ADD w int CHECK (w > 9)'", "'ALTER TABLE shop_tag DROP w'"
    stocked.operations("0004_w", state.format(ADD_COLUMN.replace("'Item', 'v'", "'Tag', 'w'"), add, drop))
    add, drop = "'ALTER TABLE shop_item ADD f int DEFAULT 1'", "'ALTER TABLE shop_item DROP f'"
    stocked.operations("0005_f", state.format(ADD_COLUMN.replace("'v'", "'f'"), add, drop))
    make, drop = "'CREATE TABLE shop_box (id bigserial PRIMARY KEY)'", "'DROP TABLE shop_box'"
    stocked.operations("0006_box", state.format(CREATE_TAG.replace("Tag", "Box"), make, drop))
    stocked.operations("0007_default", "migrations.AddField('Tag', 'd', models.IntegerField(db_default=1))")

    report = rehearse(stocked)

    assert [
        {(loss["table"], loss["column"], loss["rows"]) for loss in migration["losses"]}
        for migration in report["migrations"]
    ] == [
        {("shop_tag", None, 3), ("shop_item", "tag_id", 3), ("shop_item", "size", 3)},
        {("shop_item", "v", 3)},
        {("shop_tag", "w", 3)},
        {("shop_item", "f", 20_000)},
        {("shop_box", None, 3)},
        {("shop_tag", "d", 3)},
    ]
    assert all(migration["reverse_lossless"] for migration in report["migrations"])
    assert all(findings(migration) == set() for migration in report["migrations"])


@endurance
def test_way_back_to_another_schema(stocked: Stranger) -> None:
    stocked.operations("0002_i", "migrations.RunSQL('CREATE INDEX i ON shop_item (name)', migrations.RunSQL.noop)")

    report = rehearse(stocked, code=1)

    assert {("reverse-differs", "error"), ("forward-fails", "error")} <= findings(only(report))
    # It is left applied as it was the first time, and what comes after it is rehearsed.
    assert report["error"] == ""


@endurance
def test_keys_of_rows_that_the_way_back_wrote_are_no_obstacle(shop: Stranger) -> None:
    shop.operations(
        "0002_kind",
        "migrations.RunSQL('CREATE TABLE shop_kind (id int PRIMARY KEY); INSERT INTO shop_kind VALUES (1), (2);"
        " ALTER TABLE shop_item ADD COLUMN kind_id int NOT NULL DEFAULT 1"
        " REFERENCES shop_kind DEFERRABLE INITIALLY DEFERRED')",
    )
    succeed(shop, "migrate")
    shop.sql(ROWS, 50)
    alter = "migrations.RunSQL('ALTER TABLE shop_item ALTER COLUMN kind_id SET DEFAULT 1', migrations.RunSQL.noop)"
    same = "UPDATE shop_item SET name = name"
    shop.operations("0003_same", f"migrations.RunSQL('{same}', '{same}')", alter)
    # Only the second time it changes a key, which is checked at the end: too late for what it does next.
    one, two = (f"UPDATE shop_item SET kind_id = {kind}" for kind in (1, 2))
    shop.operations("0004_one", f"migrations.RunSQL('{one}', '{two}')", alter)
    shop.operations(
        "0005_note",
        "migrations.CreateModel('Note', [('id', models.BigAutoField(primary_key=True)),"
        " ('item', models.ForeignKey('shop.Item', models.CASCADE))])",
        "migrations.RunSQL(migrations.RunSQL.noop, 'UPDATE shop_note SET item_id = item_id')",
        # What it refers to comes after it, within the transaction.
        "migrations.RunSQL('UPDATE shop_item SET kind_id = 1; DELETE FROM shop_kind WHERE id = 3',"
        " 'UPDATE shop_item SET kind_id = 3; INSERT INTO shop_kind VALUES (3)')",
    )

    report = rehearse(shop, code=1)

    assert report["error"] == ""
    found = {migration["name"]: findings(migration) for migration in report["migrations"]}
    errors = {(name, id_) for name, all_ in found.items() for id_, severity in all_ if severity == "error"}
    assert errors == {("0004_one", "forward-fails")}
    note = report["migrations"][2]
    assert note["reversible"]
    assert ("shop_note", 3) in {(loss["table"], loss["rows"]) for loss in note["losses"]}


@endurance
def test_irreversible(stocked: Stranger) -> None:
    stocked.operations("0002_w", f"migrations.RunSQL('{VOLATILE}')")

    migration = only(rehearse(stocked))

    assert not migration["reversible"]
    assert migration["reverse_lossless"] is None
    assert findings(migration) == {("irreversible", "warning")}
    assert migration["statements"][0]["wal_bytes"] > 1_000_000


@endurance
def test_release_before_that_breaks_on_purpose(stocked: Stranger) -> None:
    path = stocked.operations(
        "0002_v",
        "migrations.RunSQL('ALTER TABLE shop_item ADD COLUMN v int NOT NULL DEFAULT 1;"
        " ALTER TABLE shop_item ALTER COLUMN v DROP DEFAULT', 'ALTER TABLE shop_item DROP COLUMN v')",
    )
    migration = only(rehearse(stocked, code=1))
    (failed,) = (probe for probe in migration["previous_release"] if probe["outcome"] == "failed")
    assert (failed["model"], failed["operation"]) == ("shop.Item", "insert")
    assert '"v"' in failed["error"]

    path.write_text(path.read_text().replace("    atomic = True", "    serves_previous_release = False"))

    assert findings(only(rehearse(stocked))) == {("previous-release", "warning")}


@endurance
def test_stall_over_the_threshold_fails(stocked: Stranger) -> None:
    stocked.configure("MIGRATION_GUARD = {'STALL_ROWS': 20_000}")
    sleep = "migrations.RunSQL('LOCK TABLE shop_item IN SHARE MODE; SELECT pg_sleep(0.5)', migrations.RunSQL.noop)"
    stocked.operations("0002_sleep", sleep)

    # Not more rows than may wait.
    small = only(rehearse(stocked))

    stall = small["stall_ms"]["shop_item"]
    assert findings(small) == {("stall", "warning")}
    assert 450 < stall["write"] < 2_500
    assert stall["read"] < stall["write"]
    stocked.sql(ROWS, 1)
    stocked.sql("ANALYZE")
    assert findings(only(rehearse(stocked, code=1))) == {("stall", "error")}


@endurance
@pytest.mark.parametrize("rows", [0, 20_000])
def test_triggers_that_refuse_to_change_rows(stocked: Stranger, rows: int) -> None:
    stocked.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not that'; END$$")
    stocked.sql("CREATE TRIGGER t BEFORE UPDATE OR DELETE ON shop_item FOR EACH ROW EXECUTE FUNCTION refuse()")
    stocked.operations("0002_v", ADD_COLUMN)

    migration = only(rehearse(stocked))

    probes = {probe["operation"]: (probe["outcome"], probe["error"]) for probe in migration["previous_release"]}
    assert probes["insert"] == probes["select"] == ("passed", "")
    assert probes["update"][0] == probes["delete"][0] == "not probed"
    assert "not that" in probes["update"][1]
    assert findings(migration) == set()


def test_history_from_an_empty_database(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_COLUMN)
    shop.operations(
        "0003_upper", "migrations.RunSQL('UPDATE shop_item SET name = upper(name)', migrations.RunSQL.noop)"
    )

    report = rehearse(shop, "--history")

    assert [migration["name"] for migration in report["migrations"]] == ["0001_initial", "0002_v", "0003_upper"]
    assert report["source"]["kind"] == "history"
    # Made-up rows are there to lose something.
    assert report["migrations"][2]["reverse_lossless"] is False
    assert shop.columns("django_migrations") == set()


@endurance
def test_history_with_the_rows_of_the_database(stocked: Stranger) -> None:
    stocked.operations("0002_v", ADD_COLUMN)
    stocked.sql("DELETE FROM shop_item WHERE id > 100")

    _, migration = rehearse(stocked, "--history")["migrations"]

    assert migration["stall_ms"]["shop_item"]["rows"] == 100


@endurance
def test_page_is_written(stocked: Stranger) -> None:
    stocked.operations("0002_v", ADD_COLUMN)

    succeed(stocked, "rehearse", "--html", "page.html")

    page = (stocked.path / "page.html").read_text()
    assert "<svg" in page
    assert "0002_v" in page


def test_page_that_cannot_be_written_is_told_first(stocked: Stranger) -> None:
    command = stocked.manage("rehearse", "--html", "there/is/none.html")

    assert command.returncode == 2
    assert "The page cannot be written" in command.stdout


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"POSTGRES_PORT": "1"}, "Connection refused"),
        ({"POSTGRES_PASSWORD": "another"}, "password authentication failed"),
        ({"POSTGRES_DB": "there_is_none"}, 'database "there_is_none" does not exist'),
    ],
)
def test_database_that_cannot_be_reached(shop: Stranger, variables: dict[str, str], said: str) -> None:
    command = shop.run(sys.executable, "manage.py", "rehearse", "--html", "page.html", env=variables)

    assert command.returncode == 2
    assert "The database default cannot be reached" in command.stdout
    assert said in command.stdout
    assert "See that its server runs, and that DATABASES['default'] leads to it" in command.stdout
    assert not (shop.path / "page.html").exists()


@endurance
def test_interrupted_command_leaves_nothing_behind(stocked: Stranger) -> None:
    stocked.operations("0002_sleep", "migrations.RunSQL('SELECT pg_sleep(30)', '')")
    # Who runs the tests in the background has their processes ignore the signal.
    interruptible = ("env", "--default-signal=INT", sys.executable)
    with running(stocked, *interruptible, "manage.py", "rehearse", "--html", "page.html") as rehearsing:
        while not stocked.sql(SLEEPING, prefix_of(stocked.env["POSTGRES_DB"])):
            assert rehearsing.process.poll() is None, rehearsing.output
            time.sleep(0.05)
        rehearsing.process.send_signal(signal.SIGINT)

        assert rehearsing.wait() == 2

    assert "Interrupted. The database was only read" in rehearsing.output
    assert "Traceback" not in rehearsing.output
    assert left_behind(stocked) == []
    assert not (stocked.path / "page.html").exists()


@endurance
def test_partitioned_table_and_one_whose_name_needs_quotes(stocked: Stranger) -> None:
    stocked.sql(f'CREATE TABLE {WEIRD} (id int PRIMARY KEY, "Co l" text)')
    stocked.sql(f"INSERT INTO {WEIRD} VALUES (1, 'one')")
    stocked.sql('CREATE TABLE "a.dot" AS SELECT 1 AS id')
    stocked.sql("CREATE TABLE bars (ts date, price int, PRIMARY KEY (ts)) PARTITION BY RANGE (ts)")
    stocked.sql("CREATE TABLE bars_2025 PARTITION OF bars FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')")
    stocked.sql("INSERT INTO bars SELECT '2025-01-01'::date + g, g FROM generate_series(0, 99) g")
    stocked.operations(
        "0002_both",
        f"migrations.RunSQL('ALTER TABLE {WEIRD} ADD COLUMN v int', 'ALTER TABLE {WEIRD} DROP v')",
        "migrations.RunSQL('UPDATE bars SET price = -1 WHERE price > 89', migrations.RunSQL.noop)",
        "migrations.RunSQL('UPDATE \"a.dot\" SET id = 2', 'UPDATE \"a.dot\" SET id = 1')",
    )

    migration = only(rehearse(stocked))

    assert migration["stall_ms"].keys() == {'Weird "x" 100%', '"a.dot"', "bars", "bars_2025"}
    losses = {(loss["table"], loss["column"], loss["rows"]) for loss in migration["losses"]}
    assert losses == {("bars", "price", 10), ("bars_2025", "price", 10)}
    assert all(size["before"] is not None for size in migration["sizes"])


@endurance
def test_views_that_hold_rows_and_tables_of_other_schemas(stocked: Stranger) -> None:
    stocked.sql("CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM shop_item")
    stocked.sql('CREATE SCHEMA "Old shop"')
    stocked.sql('CREATE TABLE "Old shop"."a.dot" AS SELECT 1 AS id')
    stocked.operations(
        "0002_odd",
        "migrations.RunSQL('DELETE FROM shop_item WHERE id = 1', \"INSERT INTO shop_item VALUES (1, 'item 1')\")",
        "migrations.RunSQL('REFRESH MATERIALIZED VIEW sums', '')",
        """migrations.RunSQL('ALTER TABLE "Old shop"."a.dot" ADD v int', 'ALTER TABLE "Old shop"."a.dot" DROP v')""",
    )
    stocked.operations("0003_vacuum", "migrations.RunSQL('VACUUM shop_item', '')", atomic=False)

    report = rehearse(stocked)

    first, second = report["migrations"]
    assert findings(first) == findings(second) == set()
    assert first["stall_ms"].keys() == {"shop_item", "sums", '"Old shop"."a.dot"'}
    assert first["losses"] == []
    assert all(size["before"] is not None for size in first["sizes"])
    # Not the attempt within a transaction that comes first.
    assert [statement["sql"] for statement in second["statements"]] == ["VACUUM shop_item"]
    text = stocked.manage("rehearse").stdout
    assert "block nobody" not in text


@endurance
def test_renamed_table(stocked: Stranger) -> None:
    stocked.operations("0002_thing", "migrations.RenameModel('Item', 'Thing')")
    stocked.operations("0003_v", ADD_COLUMN.replace("'Item'", "'Thing'"))

    report = rehearse(stocked, code=1)

    first, second = report["migrations"]
    assert ("previous-release", "error") in findings(first)
    assert first["reverse_lossless"]
    assert first["losses"] == []
    # It was broken before, and nothing more is.
    assert findings(second) == set()
    assert second["stall_ms"]["shop_thing"]["rows"] == 20_000


@endurance
def test_wait_on_a_sample_is_told_for_all_rows(stocked: Stranger) -> None:
    stocked.configure("MIGRATION_GUARD = {}")
    sleep = "LOCK TABLE shop_item; SELECT pg_sleep(count(*) / 20000.0) FROM shop_item"
    stocked.operations("0002_sleep", f"migrations.RunSQL('{sleep}', migrations.RunSQL.noop)")

    report = rehearse(stocked, "--sample", "20", code=1)

    assert report["source"]["percent"] == 20
    migration = only(report)
    stall = migration["stall_ms"]["shop_item"]
    assert 3_000 < stall["rows"] < 5_000
    assert stall["rows_in_source"] == 20_000
    assert 100 < stall["read_wait"] < 2_000
    (told,) = {finding["message"] for finding in migration["findings"] if finding["message"].startswith("Readers")}
    assert "of its rows: about" in told
    assert findings(migration) == {("stall", "error")}


@endurance
def test_many_tables(stocked: Stranger) -> None:
    for number in range(300):
        stocked.sql(f"CREATE TABLE t_{number} (id int PRIMARY KEY, v int)")
        stocked.sql(f"INSERT INTO t_{number} SELECT g, g FROM generate_series(1, 10) g")
    script = "; ".join(f"ALTER TABLE t_{number} ADD COLUMN w int" for number in range(300))
    back = "; ".join(f"ALTER TABLE t_{number} DROP COLUMN w" for number in range(300))
    stocked.operations("0002_all", f"migrations.RunSQL('{script}', '{back}')")

    migration = only(rehearse(stocked))

    assert len(migration["statements"]) == 300
    assert len(migration["sizes"]) == 300
    assert migration["reverse_lossless"]
    assert migration["verdict"] in {"passed", "warned"}


@endurance
def test_stalls_are_told_apart_beside_a_cpu_hog(stocked: Stranger) -> None:
    stocked.configure("MIGRATION_GUARD = {'STALL_ROWS': 10_000}")
    for number in range(60):
        sleep = f"LOCK TABLE shop_item; SELECT pg_sleep({(0.05, 0.15, 0.5)[number % 3]})"
        stocked.operations(f"{number + 2:04}_sleep", f"migrations.RunSQL('{sleep}', migrations.RunSQL.noop)")

    with hogging():
        report = rehearse(stocked, code=1)

    assert len(report["migrations"]) == 60
    wrong = [migration for migration in report["migrations"] if findings(migration) not in verdicts(held(migration))]
    assert wrong == []


def held(migration: dict[str, Any]) -> float:
    """For how long the table was locked, in milliseconds: where other tests run beside it, longer than it slept."""
    lock = migration["statements"][0]
    return float(lock["released"] - lock["began"])


def verdicts(ms: float) -> list[set[tuple[str, str]]]:
    """What may be found in a migration that keeps others waiting for so long: just at a threshold, either."""
    severities = {100.0: "warning", 300.0: "error"}
    found: list[set[tuple[str, str]]] = []
    for each in (ms - 20, ms + 20):
        passed = [severity for threshold, severity in severities.items() if each > threshold]
        found.append({("stall", passed[-1])} if passed else set())
    return found


@contextmanager
def hogging() -> Iterator[None]:
    """Keep one processor busy."""
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        hog.kill()
        hog.wait()
