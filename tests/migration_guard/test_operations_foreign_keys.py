"""AlterFieldForeignKeyNotValid and ValidateForeignKey: Django's foreign key, in two steps."""

from typing import Any

import psycopg
import pytest
from django.db import migrations, models
from django.db.migrations.state import ProjectState

from migration_guard.operations import AlterFieldForeignKeyNotValid, ValidateForeignKey
from migration_guard.operations.foreign_keys import can_do
from tests.migration_guard.operating import WAITING_BUILD, begin_with, kill_while, shape, shape_after, succeed, write
from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

MODELS = """
from django.db import models

class Tag(models.Model):
    slug = models.CharField(max_length=40, unique=True)

class Order(models.Model):
    number = models.BigIntegerField(null=True, db_column="Number of it")
    slug = models.CharField(max_length=40, null=True)
    loose = models.ForeignKey(Tag, models.CASCADE, db_constraint=False, related_name="+")
    one = models.BigIntegerField(unique=True)

    class Meta:
        db_table = "Shop Order"
"""
ID = ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
INITIAL = [
    migrations.CreateModel("Tag", fields=[ID, ("slug", models.CharField(max_length=40, unique=True))]),
    migrations.CreateModel(
        "Order",
        fields=[
            ID,
            ("number", models.BigIntegerField(null=True, db_column="Number of it")),
            ("slug", models.CharField(max_length=40, null=True)),
            ("loose", models.ForeignKey("shop.Tag", models.CASCADE, db_constraint=False, related_name="+")),
            ("one", models.BigIntegerField(unique=True)),
        ],
        options={"db_table": "Shop Order"},
    ),
]
KEYS: dict[str, Any] = {
    "number": models.ForeignKey("shop.Tag", models.CASCADE, null=True, db_column="Number of it"),
    "slug": models.ForeignKey("shop.Tag", models.CASCADE, "+", to_field="slug", null=True, db_column="slug"),
    "loose": models.ForeignKey("shop.Tag", models.CASCADE, "+"),
    "one": models.OneToOneField("shop.Tag", models.CASCADE, related_name="+", db_column="one"),
}
WRITTEN = {
    "number": 'models.ForeignKey(Tag, models.CASCADE, null=True, db_column="Number of it")',
    "slug": 'models.ForeignKey(Tag, models.CASCADE, "+", to_field="slug", null=True, db_column="slug")',
    "loose": 'models.ForeignKey(Tag, models.CASCADE, "+")',
    "one": 'models.OneToOneField(Tag, models.CASCADE, related_name="+", db_column="one")',
}
KEY = AlterFieldForeignKeyNotValid("Order", "number", KEYS["number"])
INSERT = 'INSERT INTO "Shop Order" ("Number of it", slug, loose_id, one) VALUES (%s, %s, %s, %s)'


@pytest.fixture
def order(shop: Stranger) -> Stranger:
    """The shop with a tag and an order that leads to it."""
    begin_with(shop, MODELS, *INITIAL)
    shop.sql("INSERT INTO shop_tag (slug) VALUES ('a'), ('b')")
    shop.sql(INSERT, 1, "a", 1, 1)
    return shop


@pytest.mark.parametrize("name", KEYS)
def test_schema_is_that_of_the_plain_form(order: Stranger, name: str) -> None:
    tag, order_ = MODELS.split("class Order")
    lines = [f"    {name} = {WRITTEN[name]}" if f" {name} =" in line else line for line in order_.splitlines()]
    order.write("shop/models.py", tag + "class Order" + "\n".join(lines))
    before = shape(order)
    write(order, "0002_key", migrations.AlterField("Order", name, KEYS[name]))
    plain = shape_after(order, "0002")
    succeed(order, "migrate", "shop", "0001")
    write(order, "0002_key", AlterFieldForeignKeyNotValid("Order", name, KEYS[name]), atomic=False)
    write(order, "0003_validate", ValidateForeignKey("Order", name))

    not_valid = shape_after(order, "0002")
    order.sql(INSERT, 2, "b", 2, 2)
    valid = shape_after(order, "0003")
    back = shape_after(order, "0001")

    assert valid == plain != not_valid
    assert back == before
    succeed(order, "migrate")
    assert "No changes detected" in succeed(order, "makemigrations", "--check", "--dry-run")


def test_new_rows_are_checked_at_once_and_old_ones_when_validating(order: Stranger) -> None:
    order.sql(INSERT, 77, "a", 1, 2)
    write(order, "0002_key", KEY, atomic=False)
    write(order, "0003_validate", ValidateForeignKey("Order", "number"))

    refused = order.manage("migrate")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        order.sql(INSERT, 78, "a", 1, 3)
    order.sql('DELETE FROM "Shop Order" WHERE one = 2')
    succeed(order, "migrate")

    assert refused.returncode == 1
    assert "violates foreign key constraint" in refused.stdout
    assert order.applied() == ["0001_initial", "0002_key", "0003_validate"]


def test_kill_while_the_index_is_built_leads_to_the_key(order: Stranger) -> None:
    write(order, "0002_key", KEY, atomic=False)
    after = shape_after(order, "0002")
    before = shape_after(order, "0001")
    with order.connect() as holder:
        holder.autocommit = False
        holder.execute('UPDATE "Shop Order" SET slug = slug')
        kill_while(order, "migrate", query=WAITING_BUILD)
    broken_off = shape(order)

    succeed(order, "migrate")

    assert shape(order) == after
    assert broken_off != after
    assert shape_after(order, "0001") == before


@pytest.mark.parametrize("way_back", [False, True])
def test_kill_before_the_key_is_made_is_mended(order: Stranger, *, way_back: bool) -> None:
    write(order, "0002_key", KEY, atomic=False)
    after = shape_after(order, "0002")
    before = shape_after(order, "0001")
    with order.connect() as holder:
        holder.autocommit = False
        holder.execute("UPDATE shop_tag SET slug = slug")
        kill_while(
            order,
            "migrate",
            query="SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock' AND query LIKE '%FOREIGN KEY%'",
        )
    index_alone = shape(order)

    succeed(order, "rollback", "--yes") if way_back else succeed(order, "migrate")

    assert index_alone not in (before, after)
    assert shape(order) == (before if way_back else after)


def test_partitioned_table_gets_its_index_and_key(shop: Stranger) -> None:
    begin_with(shop, "", *INITIAL)
    shop.sql('ALTER TABLE "Shop Order" RENAME TO shop_unused')
    shop.sql('CREATE TABLE "Shop Order" (LIKE shop_unused) PARTITION BY RANGE (one)')
    shop.sql('CREATE TABLE shop_order_1 PARTITION OF "Shop Order" FOR VALUES FROM (1) TO (9)')
    write(shop, "0002_key", KEY, atomic=False)
    write(shop, "0003_validate", ValidateForeignKey("Order", "number"))

    succeed(shop, "migrate")
    keys = shop.sql(
        "SELECT convalidated FROM pg_constraint WHERE contype = 'f' AND conrelid = '\"Shop Order\"'::regclass"
    )
    succeed(shop, "migrate", "shop", "0001")

    assert keys == [(True,)]


@pytest.mark.parametrize(
    ("old", "new", "can"),
    [
        (models.BigIntegerField(), models.ForeignKey("shop.Tag", models.CASCADE, db_column="f"), True),
        (models.BigIntegerField(), models.ForeignKey("shop.Tag", models.CASCADE), False),
        (models.IntegerField(), models.ForeignKey("shop.Tag", models.CASCADE, db_column="f"), False),
        (models.PositiveBigIntegerField(), models.ForeignKey("shop.Tag", models.CASCADE, db_column="f"), False),
        (models.BigIntegerField(), models.OneToOneField("shop.Tag", models.CASCADE, db_column="f"), False),
        (models.BigIntegerField(null=True), models.ForeignKey("shop.Tag", models.CASCADE, db_column="f"), False),
        (models.BigIntegerField(), models.ForeignKey("shop.Tag", models.CASCADE, db_column="f", null=True), False),
        (
            models.ForeignKey("shop.Tag", models.CASCADE, db_constraint=False, related_name="+"),
            models.ForeignKey("shop.Tag", models.CASCADE, related_name="+"),
            True,
        ),
        (
            models.ForeignKey("shop.Tag", models.CASCADE, related_name="+"),
            models.ForeignKey("shop.Order", models.CASCADE, related_name="+"),
            False,
        ),
        (
            models.BigIntegerField(),
            models.ForeignKey("shop.Tag", models.CASCADE, db_constraint=False, db_column="f"),
            False,
        ),
        (models.BigIntegerField(), models.ManyToManyField("shop.Tag"), False),
        (models.BigIntegerField(), models.IntegerField(), False),
    ],
)
def test_other_changes_of_the_column_are_refused(
    old: "models.Field[Any, Any]", new: "models.Field[Any, Any]", *, can: bool
) -> None:
    before = ProjectState()
    for operation in [*INITIAL, migrations.AddField("Order", "f", old)]:
        operation.state_forwards("shop", before)
    after = before.clone()
    migrations.AlterField("Order", "f", new).state_forwards("shop", after)
    fields = [state.apps.get_model("shop", "Order")._meta.get_field("f") for state in (before, after)]

    assert can_do(*fields) is can


def test_refusal_says_what_to_do(order: Stranger) -> None:
    write(
        order,
        "0002_key",
        AlterFieldForeignKeyNotValid("Order", "number", models.ForeignKey("shop.Tag", models.CASCADE)),
        atomic=False,
    )

    migration = order.manage("migrate")

    assert migration.returncode == 1
    assert "renames its column Number of it to number_id (db_column='Number of it' keeps it)" in migration.stdout


def test_sql_is_shown(order: Stranger) -> None:
    write(order, "0002_key", KEY, atomic=False)

    shown = succeed(order, "sqlmigrate", "shop", "0002")

    assert shown.count("CREATE INDEX CONCURRENTLY") == shown.count("DEFERRABLE INITIALLY DEFERRED NOT VALID;") == 1


def test_operation_says_what_it_does() -> None:
    assert KEY.describe() == "Make field number on Order a foreign key that is not validated yet"
    assert KEY.migration_name_fragment == "order_number_foreign_key"
    assert ValidateForeignKey("Order", "number").migration_name_fragment == "validate_order_number"
