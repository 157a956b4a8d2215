"""Another type for a column in use: its values, names and rules as AlterField leaves them, without its rewrite."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.operations.retyping import plan
from tests.migration_guard.operating import WAITING_BUILD, begin_with, kill_while, shape, shape_after, succeed, write
from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

ID = ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
MODELS = """
from django.db import models
from django.db.models.functions import Abs

class Item(models.Model):
    name = models.CharField(max_length=40)
    size = models.{kind}(db_index=True, db_column="Size of it", db_comment="how large", db_default=3)
    rank = models.{positive}(null=True, unique=True)
    day = models.{day}(null=True)

    class Meta:
        db_table = "Shop Item"
        unique_together = [("name", "size")]
        indexes = [
            models.Index(Abs("size"), "name", name="Item size of it and a long name"[:30]),
            models.Index("rank", condition=models.Q(size__gt=5), name="item_rank"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(size__lt=10_000_000), name="item_size_check"),
            models.UniqueConstraint("name", "rank", name="item_name_rank"),
        ]
"""
OLD: dict[str, Any] = {
    "size": models.IntegerField(db_index=True, db_column="Size of it", db_comment="how large", db_default=3),
    "rank": models.PositiveIntegerField(null=True, unique=True),
    "day": models.DateField(null=True),
}
NEW: dict[str, Any] = {
    "size": models.BigIntegerField(db_index=True, db_column="Size of it", db_comment="how large", db_default=3),
    "rank": models.PositiveBigIntegerField(null=True, unique=True),
    "day": models.DateTimeField(null=True),
}
OPTIONS = {
    "db_table": "Shop Item",
    "unique_together": {("name", "size")},
    "indexes": [
        models.Index(models.functions.Abs("size"), models.F("name"), name="Item size of it and a long name"[:30]),
        models.Index(models.F("rank"), condition=models.Q(size__gt=5), name="item_rank"),
    ],
    "constraints": [
        models.CheckConstraint(condition=models.Q(size__lt=10_000_000), name="item_size_check"),
        models.UniqueConstraint(models.F("name"), models.F("rank"), name="item_name_rank"),
    ],
}
INITIAL = migrations.CreateModel(
    "Item", fields=[ID, ("name", models.CharField(max_length=40)), *OLD.items()], options=OPTIONS
)
ROWS = """
    INSERT INTO "Shop Item" (name, "Size of it", rank, day)
    SELECT i::text, i, nullif(i, 7), nullif('2026-01-01'::date + i % 9, '2026-01-03') FROM generate_series(1, 3000) AS i
"""
# As the release of before writes.
INSERT = 'INSERT INTO "Shop Item" (name, "Size of it", rank, day) VALUES (%s, %s, %s, %s)'
DEFAULT = 'INSERT INTO "Shop Item" (name) VALUES (%s)'
VALUES = 'SELECT name, "Size of it", rank, day::timestamptz FROM "Shop Item" ORDER BY name'
FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW;END'"
UNIQUE = 'CREATE UNIQUE INDEX u ON "Shop Item" ("Size of it")'
GRANTS = "SELECT attacl::text FROM pg_attribute WHERE attrelid = '\"Shop Item\"'::regclass AND attname = 'Size of it'"
FILES = ["0002_add", "0003_fill", "0004_index", "0005_swap"]


@pytest.fixture
def item(shop: Stranger) -> Stranger:
    begin_with(shop, MODELS.format(kind="IntegerField", positive="PositiveIntegerField", day="DateField"), INITIAL)
    shop.sql(ROWS)
    return shop


def planned(name: str, old: Any, new: Any, *more: Operation) -> Sequence[Sequence[Operation]] | None:
    before = ProjectState()
    for operation in [INITIAL, *more]:
        operation.state_forwards("shop", before)
    if name not in OLD:
        migrations.AddField("Item", name, old).state_forwards("shop", before)
    after = before.clone()
    migrations.AlterField("Item", name, new).state_forwards("shop", after)
    old_field, new_field = (state.apps.get_model("shop", "Item")._meta.get_field(name) for state in (before, after))
    return plan("Item", name, old_field, new_field)


def write_steps(project: Stranger, name: str) -> None:
    files = planned(name, OLD[name], NEW[name])
    assert files is not None
    for file, operations in zip(FILES, files, strict=True):
        write(project, file, *operations, atomic=file not in ("0003_fill", "0004_index"))


def plain(project: Stranger, name: str) -> object:
    """The schema that AlterField makes; undone again."""
    write(project, "0002_add", migrations.AlterField("Item", name, NEW[name]))
    found = shape_after(project, "0002")
    succeed(project, "migrate", "shop", "0001")
    (project.path / "shop/migrations/0002_add.py").unlink()
    return found


@pytest.mark.parametrize("name", NEW)
def test_schema_is_that_of_the_plain_form(item: Stranger, name: str) -> None:
    before, wanted = shape(item), plain(item, name)
    write_steps(item, name)

    succeed(item, "migrate")

    assert shape(item) == wanted != before
    kinds = {key: type((NEW if key == name else OLD)[key]).__name__ for key in OLD}
    item.write("shop/models.py", MODELS.format(kind=kinds["size"], positive=kinds["rank"], day=kinds["day"]))
    assert "No changes detected" in succeed(item, "makemigrations", "--check", "--dry-run")
    assert shape_after(item, "0001") == before


@pytest.mark.parametrize("name", NEW)
def test_each_step_is_undone_and_done_again(item: Stranger, name: str) -> None:
    write_steps(item, name)
    shapes = [shape(item), *(shape_after(item, file) for file in FILES)]
    values = item.sql(VALUES)

    undone = [shape_after(item, target) for target in reversed(["0001", *FILES[:-1]])]
    again = [shape_after(item, file) for file in FILES]
    for target in reversed(["0001", *FILES[:-1]]):
        succeed(item, "migrate", "shop", target)
        succeed(item, "migrate")
        assert shape(item) == shapes[-1]
        succeed(item, "migrate", "shop", target)

    assert undone == list(reversed(shapes[:-1]))
    assert again == shapes[1:]
    assert item.sql(VALUES) == values


@pytest.mark.parametrize("name", NEW)
def test_previous_release_writes_between_the_steps(item: Stranger, name: str) -> None:
    write_steps(item, name)

    for number, file in enumerate(FILES):
        succeed(item, "migrate", "shop", file)
        item.sql(INSERT, f"new {number}", 5000 + number, 6000 + number, "2026-05-05")
        item.sql(DEFAULT, f"default {number}")
        item.sql(
            'UPDATE "Shop Item" SET "Size of it" = "Size of it" + 7000, rank = 70 + rank WHERE name = %s',
            f"new {number}",
        )

    rows = item.sql(VALUES.replace("ORDER BY", "WHERE name LIKE '%%new%%' ORDER BY").replace("%%", "%"))
    assert [row[:3] for row in rows] == [(f"new {n}", 12000 + n, 6070 + n) for n in range(4)]
    assert item.sql('SELECT count(*), count(DISTINCT "Size of it") FROM "Shop Item" WHERE name LIKE \'default%\'') == [
        (4, 1)
    ]
    assert item.sql('SELECT count(*) FROM "Shop Item" WHERE name = rank::text') == [(2999,)]


def test_values_are_those_of_the_plain_form(item: Stranger) -> None:
    write(item, "0002_add", migrations.AlterField("Item", "day", NEW["day"]))
    succeed(item, "migrate")
    wanted = item.sql(VALUES)
    succeed(item, "migrate", "shop", "0001")
    write_steps(item, "day")

    succeed(item, "migrate")

    assert item.sql(VALUES) == wanted


@pytest.mark.parametrize("file", ["0003_fill", "0004_index"])
def test_kill_in_the_middle_is_mended(item: Stranger, file: str) -> None:
    wanted = plain(item, "size")
    write_steps(item, "size")
    succeed(item, "migrate", "shop", FILES[FILES.index(file) - 1])
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND query LIKE 'UPDATE %'"
    )
    with item.connect() as holder:
        holder.autocommit = False
        # The last row that is filled, so that batches before it are done.
        holder.execute("UPDATE \"Shop Item\" SET name = name WHERE name = '2999'")
        kill_while(item, "migrate", query=waiting if file == "0003_fill" else WAITING_BUILD)
        holder.rollback()
    half_done = shape(item)

    succeed(item, "migrate")

    assert half_done != wanted
    assert shape(item) == wanted
    assert item.sql('SELECT count(*) FROM "Shop Item" WHERE "Size of it"::text = name') == [(3000,)]


def test_swap_without_an_index_that_was_made_since_is_refused(item: Stranger) -> None:
    write_steps(item, "size")
    succeed(item, "migrate", "shop", "0004")
    item.sql('CREATE INDEX later ON "Shop Item" ("Size of it")')

    refused = item.manage("migrate")

    assert refused.returncode == 2
    assert "has nothing yet for later" in refused.stdout
    assert item.sql("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zz_retype%'") == [(1,)]


def test_row_that_was_written_past_the_trigger_is_found(item: Stranger) -> None:
    write_steps(item, "size")
    succeed(item, "migrate", "shop", "0003")
    item.sql('SET session_replication_role = replica; UPDATE "Shop Item" SET "Size of it" = 9 WHERE name = \'8\'')

    refused = item.manage("migrate")
    succeed(item, "migrate", "shop", "0002")
    succeed(item, "migrate")

    assert refused.returncode == 2
    assert "has rows whose Size of it_retyped is not their Size of it" in refused.stdout
    assert item.sql('SELECT "Size of it" FROM "Shop Item" WHERE name = \'8\'') == [(9,)]


def test_sql_of_both_ways_is_shown(item: Stranger) -> None:
    write_steps(item, "size")

    shown = [succeed(item, "sqlmigrate", "shop", file, *way) for file in FILES for way in ([], ["--backwards"])]

    assert "EXECUTE FUNCTION" in shown[0]
    assert "CANNOT BE WRITTEN AS SQL" in shown[2]
    assert 'RENAME COLUMN "Size of it_retyped" TO "Size of it"' in shown[6]
    assert 'ON "Shop Item" USING btree (abs("Size of it_retyped"), name)' in shown[7]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ('CREATE VIEW shop_view AS SELECT "Size of it" FROM "Shop Item"', "rule _RETURN on view shop_view"),
        ('CREATE TABLE shop_child () INHERITS ("Shop Item")', "its partitions or heirs"),
        ('CREATE POLICY p ON "Shop Item" USING ("Size of it" > 1)', 'policy p on table "Shop Item"'),
        (
            f'{FUNCTION}; CREATE TRIGGER t BEFORE UPDATE ON "Shop Item" FOR EACH ROW EXECUTE FUNCTION f()',
            "trigger t",
        ),
        (
            f'{UNIQUE}; CREATE TABLE other (size int REFERENCES "Shop Item" ("Size of it"))',
            "constraint other_size_fkey on table other",
        ),
        ('CREATE SEQUENCE s OWNED BY "Shop Item"."Size of it"', "sequence s"),
        ('CREATE INDEX c ON "Shop Item" ("Size of it"); CLUSTER "Shop Item" USING c', "index c"),
    ],
)
def test_column_that_something_else_uses_is_refused(item: Stranger, made: str, told: str) -> None:
    for statement in made.split("; "):
        item.sql(statement)
    write_steps(item, "size")

    refused = item.manage("migrate")

    assert refused.returncode == 2
    assert f"cannot be changed in steps, because of {told}" in refused.stdout
    assert item.applied() == ["0001_initial"]


def test_grants_of_the_column_and_triggers_that_change_it_are_kept(item: Stranger) -> None:
    role = f"{item.env['POSTGRES_DB']}_Clerk"
    item.sql(f'CREATE ROLE "{role}"')
    try:
        item.sql(f'GRANT UPDATE ("Size of it") ON "Shop Item" TO "{role}" WITH GRANT OPTION')
        item.sql(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
            '\'BEGIN NEW."Size of it" := NEW."Size of it" + 1000; RETURN NEW; END\''
        )
        item.sql('CREATE TRIGGER t BEFORE INSERT ON "Shop Item" FOR EACH ROW EXECUTE FUNCTION f()')
        before = item.sql(GRANTS)
        write_steps(item, "size")
        succeed(item, "migrate", "shop", "0004")
        item.sql(INSERT, "x", 1, None, None)

        succeed(item, "migrate")

        assert item.sql(GRANTS) == before
        assert item.sql('SELECT "Size of it" FROM "Shop Item" WHERE name = \'x\'') == [(1001,)]
    finally:
        item.sql(f'DROP OWNED BY "{role}"')
        item.sql(f'DROP ROLE "{role}"')


@pytest.mark.parametrize(
    ("old", "new", "steps"),
    [
        (models.IntegerField(), models.BigIntegerField(), True),
        (models.IntegerField(), models.CharField(max_length=11), True),
        (models.IntegerField(), models.CharField(max_length=10), False),
        (models.IntegerField(), models.DecimalField(max_digits=12, decimal_places=2), True),
        (models.IntegerField(), models.DecimalField(max_digits=11, decimal_places=2), False),
        (
            models.DecimalField(max_digits=8, decimal_places=2),
            models.DecimalField(max_digits=9, decimal_places=2),
            False,
        ),
        (
            models.DecimalField(max_digits=8, decimal_places=2),
            models.DecimalField(max_digits=9, decimal_places=3),
            True,
        ),
        (
            models.DecimalField(max_digits=8, decimal_places=2),
            models.DecimalField(max_digits=8, decimal_places=1),
            True,
        ),
        (
            models.DecimalField(max_digits=8, decimal_places=2),
            models.DecimalField(max_digits=7, decimal_places=2),
            False,
        ),
        (models.DateTimeField(), models.DateField(), True),
        (models.UUIDField(), models.CharField(max_length=36), True),
        (models.BigIntegerField(), models.IntegerField(), False),
        (models.CharField(max_length=9), models.TextField(), False),
        (models.CharField(max_length=9), models.CharField(max_length=8), False),
        (models.CharField(max_length=9), models.IntegerField(), False),
        (models.PositiveIntegerField(), models.BigIntegerField(), False),
        (models.IntegerField(), models.BigIntegerField(null=True), False),
        (models.IntegerField(), models.BigIntegerField(db_index=True), False),
        (models.IntegerField(), models.BigIntegerField(db_column="other"), False),
        (models.IntegerField(), models.BigIntegerField(db_default=1), False),
        (models.IntegerField(), models.BigIntegerField(help_text="x"), True),
        (models.BigIntegerField(), models.ForeignKey("shop.Item", models.CASCADE, db_column="f"), False),
        (models.IntegerField(), models.IntegerField(), False),
    ],
)
def test_what_can_be_made_in_steps(
    old: "models.Field[Any, Any]", new: "models.Field[Any, Any]", *, steps: bool
) -> None:
    assert (planned("f", old, new) is not None) is steps


@pytest.mark.parametrize(
    "operation",
    [
        migrations.CreateModel(
            "Other", fields=[ID, ("item", models.ForeignKey("shop.Item", models.CASCADE, to_field="rank"))]
        ),
        migrations.AddField(
            "Item",
            "double",
            models.GeneratedField(
                expression=models.F("rank") * 2, output_field=models.BigIntegerField(), db_persist=True
            ),
        ),
        migrations.AddConstraint(
            "Item",
            models.UniqueConstraint(fields=["rank"], name="deferred", deferrable=models.Deferrable.DEFERRED),
        ),
        migrations.AlterModelOptions("Item", {"managed": False}),
    ],
)
def test_column_that_others_refer_to_keeps_the_plain_form(operation: Operation) -> None:
    assert planned("rank", OLD["rank"], NEW["rank"], operation) is None


def test_names_are_no_longer_than_the_server_lets_them_be(shop: Stranger) -> None:
    name = "a_column_with_a_name_that_is_as_long_as_a_name_can_be_for_ever_"
    assert len(name) == 63
    fields: list[tuple[str, Any]] = [ID, (name.rstrip("_"), models.IntegerField(db_index=True, db_column=name))]
    create = migrations.CreateModel("Item", fields=fields)
    begin_with(shop, "", create)
    shop.sql(f"INSERT INTO shop_item ({name}) VALUES (1)")
    new: Any = models.BigIntegerField(db_index=True, db_column=name)
    field = name.rstrip("_")
    write(shop, "0002_add", migrations.AlterField("Item", field, new))
    wanted = shape_after(shop, "0002")
    succeed(shop, "migrate", "shop", "0001")
    before, after = ProjectState(), ProjectState()
    for state in (before, after):
        create.state_forwards("shop", state)
    migrations.AlterField("Item", field, new).state_forwards("shop", after)
    fields_ = [state.apps.get_model("shop", "Item")._meta.get_field(field) for state in (before, after)]
    for file, operations in zip(FILES, plan("Item", field, *fields_) or [], strict=True):
        write(shop, file, *operations, atomic=file not in ("0003_fill", "0004_index"))

    succeed(shop, "migrate")

    assert shape(shop) == wanted
