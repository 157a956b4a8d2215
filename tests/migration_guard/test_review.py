"""`review` as a command: what it prints, how it ends, and what it takes from a database or does without."""

import json
from pathlib import Path

import pytest

from tests.migration_guard.stranger import ADD_COLUMN, Stranger

pytestmark = pytest.mark.endurance

INDEX = "migrations.AddIndex('Item', models.Index(fields=['name'], name='item_name'))"
KEYS = {"id", "severity", "app", "name", "operation", "statement", "lock", "blocks", "message", "hint"}

DEPOT = """
    class Migration(migrations.Migration):
        dependencies = [("shop", "0002_unique")]
        operations = [migrations.CreateModel("Depot", [("id", models.BigAutoField(primary_key=True))])]
"""


def found(project: Stranger, *arguments: str) -> list[dict[str, str]]:
    reviewed = project.manage("review", "--json", "--offline", "--fail-on", "never", *arguments)
    assert reviewed.returncode == 0, reviewed.stdout
    findings: list[dict[str, str]] = json.loads(reviewed.stdout)
    return findings


def test_finding_has_its_statement_lock_reason_and_safer_form(shop: Stranger) -> None:
    shop.operations("0002_index", INDEX)

    reviewed = shop.manage("review", "--offline")

    assert reviewed.returncode == 1
    assert "shop.0002_index  shop/migrations/0002_index.py:" in reviewed.stdout
    assert "error index-not-concurrent, line 10, 1: Create index item_name" in reviewed.stdout
    assert 'SQL    CREATE INDEX "item_name" ON "shop_item" ("name");' in reviewed.stdout
    assert "lock   SHARE: blocks writes" in reviewed.stdout
    assert "safer  AddIndexConcurrently" in reviewed.stdout
    assert "Found in 2 migrations: 1 error." in reviewed.stdout


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("info", 1), ("never", 0)], ids=str)
def test_exit_code_follows_the_threshold(shop: Stranger, fail_on: str, code: int) -> None:
    shop.operations("0002_index", INDEX)

    assert shop.manage("review", "--offline", "--fail-on", fail_on).returncode == code


def test_nothing_found_is_said_and_ends_with_0(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_COLUMN)

    reviewed = shop.manage("review", "--offline", "--fail-on", "info")

    assert (reviewed.returncode, reviewed.stdout.strip()) == (0, "Nothing found in 2 migrations.")


def test_warning_is_under_the_threshold_of_errors(shop: Stranger) -> None:
    shop.operations("0002_drop", "migrations.RunSQL('DROP INDEX shop_x', migrations.RunSQL.noop)")

    assert shop.manage("review", "--offline", "--fail-on", "error").returncode == 0
    assert shop.manage("review", "--offline").returncode == 1


def test_json_is_a_list_of_findings(shop: Stranger) -> None:
    shop.operations("0002_index", INDEX)

    (finding,) = found(shop)

    assert finding.keys() == KEYS
    assert (finding["id"], finding["severity"]) == ("index-not-concurrent", "error")
    assert (finding["app"], finding["name"]) == ("shop", "0002_index")
    assert (finding["lock"], finding["blocks"]) == ("SHARE", "writes")


def test_github_gets_an_annotation_at_the_operations_line(shop: Stranger) -> None:
    path = shop.operations("0002_index", ADD_COLUMN, INDEX)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "AddIndex(" in text)

    annotation = shop.manage("review", "--offline", "--github").stdout.strip()

    begin = f"::error file=shop/migrations/0002_index.py,line={line},title=index-not-concurrent::"
    assert annotation.startswith(begin)
    assert "\n" not in annotation


def test_unknown_migration_is_refused_with_what_there_is(shop: Stranger) -> None:
    shop.operations("0002_index", INDEX)

    for arguments, said in [
        (["review", "nothing"], "There is no app nothing with migrations."),
        (["review", "shop", "0009"], "shop has no migration 0009; its last is 0002_index."),
        (["review", "shop", "000"], "shop has more than one migration 000...: 0001_initial, 0002_index."),
    ]:
        reviewed = shop.manage(*arguments)

        assert reviewed.returncode == 2
        assert said in reviewed.stdout


def test_one_migration_by_a_prefix(shop: Stranger) -> None:
    shop.operations("0002_index", INDEX)
    shop.operations("0003_index", INDEX.replace("item_name", "other"))

    assert {finding["name"] for finding in found(shop, "shop", "0003")} == {"0003_index"}


def test_migrations_of_another_app_may_come_between(shop: Stranger) -> None:
    shop.configure("INSTALLED_APPS.append('depot')")
    shop.write("depot/__init__.py", "")
    shop.write("depot/migrations/__init__.py", "")
    shop.operations(
        "0002_unique", "migrations.AlterField('Item', 'name', models.CharField(max_length=40, unique=True))"
    )
    shop.migration("0001_initial", DEPOT, app="depot")
    shop.operations("0003_v", ADD_COLUMN)
    path = shop.path / "shop/migrations/0003_v.py"
    path.write_text(path.read_text().replace("dependencies = [", "dependencies = [('depot', '0001_initial'), "))

    assert {finding["name"] for finding in found(shop, "shop")} == {"0002_unique"}


def test_applied_migrations_are_left_out(shop: Stranger) -> None:
    shop.operations("0002_index", INDEX)
    shop.manage("migrate")

    assert "Nothing found in 0 migrations." in shop.manage("review").stdout
    assert "index-not-concurrent" in shop.manage("review", "shop").stdout


def test_database_that_is_down_is_said_and_the_review_goes_on(shop: Stranger) -> None:
    shop.operations("0002_index", INDEX)
    shop.env["POSTGRES_PORT"] = "1"

    reviewed = shop.manage("review")

    assert reviewed.returncode == 1
    assert "The database default does not answer, so that sizes are not known" in reviewed.stdout
    assert "index-not-concurrent" in reviewed.stdout


def test_small_table_makes_a_lock_less_grave_and_a_large_one_is_told(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.operations("0002_index", INDEX)
    shop.sql("INSERT INTO shop_item (name) SELECT 'n' FROM generate_series(1, 100)")
    shop.sql("ANALYZE shop_item")
    small = shop.manage("review")
    shop.sql("INSERT INTO shop_item (name) SELECT 'n' FROM generate_series(1, 20000)")
    shop.sql("ANALYZE shop_item")
    large = shop.manage("review")

    assert "warning index-not-concurrent" in small.stdout
    assert "about 100 rows" in small.stdout
    assert "error index-not-concurrent" in large.stdout
    assert "about 20,100 rows" in large.stdout


def test_table_of_a_pending_migration_is_empty(shop: Stranger) -> None:
    shop.manage("migrate")
    create = (
        "migrations.CreateModel('Part', [('id', models.BigAutoField(primary_key=True)), ('n', models.IntegerField())])"
    )
    shop.operations("0002_part", create)
    shop.operations("0003_index", INDEX.replace("'Item'", "'Part'").replace("'name'", "'n'"))

    assert "Nothing found in 2 migrations." in shop.manage("review").stdout
    assert [finding["id"] for finding in found(shop, "shop", "0003")] == ["index-not-concurrent"]


def test_partitioned_table_is_known_from_the_database(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.sql("CREATE TABLE bars (day int) PARTITION BY RANGE (day)")
    shop.operations(
        "0002_index", "migrations.RunSQL('CREATE INDEX CONCURRENTLY bars_day ON bars (day)', '')", atomic=False
    )

    assert "concurrently-on-partitioned" in shop.manage("review").stdout


def silence(path: Path, comment: str) -> None:
    path.write_text(
        path.read_text().replace("        migrations.AddIndex", f"        {comment}\n        migrations.AddIndex")
    )


def test_silence_beside_the_operation_takes_the_finding_back(shop: Stranger) -> None:
    silence(shop.operations("0002_index", INDEX), "# review: index-not-concurrent: the table has ten rows")

    assert found(shop) == []


def test_silence_without_a_reason_is_a_finding_and_not_heeded(shop: Stranger) -> None:
    silence(shop.operations("0002_index", INDEX), "# review: index-not-concurrent")

    assert {finding["id"] for finding in found(shop)} == {"index-not-concurrent", "silence-without-reason"}


def test_silence_that_takes_nothing_back_is_told(shop: Stranger) -> None:
    silence(shop.operations("0002_index", INDEX), "# review: drop-table: we no longer need it")

    assert {finding["id"] for finding in found(shop)} == {"index-not-concurrent", "silence-unused"}


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "ALTER TABLE", "\\\\copy t from x", "DO $$ BEGIN", "", "-- nothing", "é;;;'"]
)
def test_no_sql_ends_the_review(shop: Stranger, sql: str) -> None:
    shop.operations("0002_sql", f'migrations.RunSQL("""{sql}""", migrations.RunSQL.noop)')

    reviewed = shop.manage("review", "--offline", "--json")

    assert reviewed.returncode in {0, 1}
    assert all(finding["statement"] for finding in json.loads(reviewed.stdout))


def test_sarif_names_each_rule_and_place(shop: Stranger) -> None:
    shop.operations("0002_index", INDEX)

    log = json.loads(shop.manage("review", "--offline", "--sarif", "--fail-on", "never").stdout)

    (run,) = log["runs"]
    (result,) = run["results"]
    location = result["locations"][0]["physicalLocation"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [result["ruleId"]] == ["index-not-concurrent"]
    assert result["level"] in {"note", "warning", "error"}
    assert location["artifactLocation"]["uri"] == "shop/migrations/0002_index.py"
    assert location["region"]["startLine"] == 10
    assert result["message"]["text"]


def test_table_without_statistics_is_not_taken_for_a_small_one(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.sql("ALTER TABLE shop_item SET (autovacuum_enabled = off)")
    shop.sql("INSERT INTO shop_item (name) SELECT 'n' FROM generate_series(1, 20000)")
    shop.operations("0002_index", INDEX)

    assert "error index-not-concurrent" in shop.manage("review").stdout


@pytest.mark.parametrize(
    "module",
    [
        "import nothing_of_that_name",
        "class Migration(",
        "class Migration(migrations.Migration):\n    dependencies = [('shop', '0000_lost')]",
    ],
)
def test_migrations_that_cannot_be_read_are_no_finding(shop: Stranger, module: str) -> None:
    shop.migration("0002_broken", module)

    reviewed = shop.manage("review", "--offline")

    assert reviewed.returncode == 2
    assert "The migrations cannot be read:" in reviewed.stdout
    assert "Traceback" not in reviewed.stdout
