"""UniqueTogetherConcurrently: Django's constraints, built as concurrent indexes."""

from typing import Any

import pytest
from django.db import migrations, models

from migration_guard.operations import UniqueTogetherConcurrently
from tests.migration_guard.operating import WAITING_BUILD, begin_with, kill_while, shape, shape_after, succeed, write
from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

MODELS = """
from django.db import models

class Item(models.Model):
    name = models.CharField(max_length=40)
    size = models.IntegerField(db_column="Size of it")
    place = models.IntegerField()

    class Meta:
        db_table = "{table}"
        unique_together = {together}
"""
FIELDS: list[tuple[str, Any]] = [
    ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
    ("name", models.CharField(max_length=40)),
    ("size", models.IntegerField(db_column="Size of it")),
    ("place", models.IntegerField()),
]
OLD = {("name", "place"), ("size", "place")}
NEW = {("name", "size"), ("name", "size", "place"), ("size", "place")}
CONCURRENTLY = UniqueTogetherConcurrently("Item", NEW)
INDEXES = "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = '\"Shop Item\"'::regclass"
UNIQUE = "SELECT count(*) FROM pg_constraint WHERE contype = 'u' AND conrelid = '\"Shop Item\"'::regclass"


@pytest.fixture
def item(shop: Stranger) -> Stranger:
    options = {"db_table": "Shop Item", "unique_together": OLD}
    begin_with(
        shop,
        MODELS.format(table="Shop Item", together=sorted(NEW)),
        migrations.CreateModel("Item", fields=FIELDS, options=options),
    )
    shop.sql(
        'INSERT INTO "Shop Item" (name, "Size of it", place) SELECT i::text, i % 7, i FROM generate_series(1, 200) i'
    )
    return shop


def test_schema_is_that_of_the_plain_form(item: Stranger) -> None:
    before = shape(item)
    write(item, "0002_unique", migrations.AlterUniqueTogether("Item", NEW))
    plain = shape_after(item, "0002")
    succeed(item, "migrate", "shop", "0001")
    write(item, "0002_unique", CONCURRENTLY, atomic=False)

    after = shape_after(item, "0002")
    back = shape_after(item, "0001")

    assert after == plain != before
    assert back == before
    succeed(item, "migrate")
    assert "No changes detected" in succeed(item, "makemigrations", "--check", "--dry-run")


def test_row_that_breaks_the_rule_leaves_no_index(item: Stranger) -> None:
    before = shape(item)
    insert = 'INSERT INTO "Shop Item" (name, "Size of it", place) VALUES (\'1\', 1, 0)'
    item.sql(insert)
    write(item, "0002_unique", CONCURRENTLY, atomic=False)

    failed = item.manage("migrate")
    left = shape(item)
    item.sql('DELETE FROM "Shop Item" WHERE place = 0')
    succeed(item, "migrate")

    assert failed.returncode == 1
    assert "could not create unique index" in failed.stdout
    assert left == before
    assert item.sql(UNIQUE) == [(3,)]


def test_kill_while_an_index_is_built_leads_to_the_constraint(item: Stranger) -> None:
    write(item, "0002_unique", migrations.AlterUniqueTogether("Item", NEW))
    plain = shape_after(item, "0002")
    succeed(item, "migrate", "shop", "0001")
    write(item, "0002_unique", CONCURRENTLY, atomic=False)
    with item.connect() as holder:
        holder.autocommit = False
        holder.execute('UPDATE "Shop Item" SET place = place WHERE place = 1')
        kill_while(item, "migrate", query=WAITING_BUILD)
    invalid = item.sql(f"{INDEXES} AND NOT indisvalid")

    succeed(item, "migrate")

    assert len(invalid) == 1
    assert shape(item) == plain


@pytest.mark.parametrize("backwards", [False, True])
def test_what_is_there_already_is_not_done_again(item: Stranger, *, backwards: bool) -> None:
    """As after a kill between the last statement and its record."""
    write(item, "0002_unique", CONCURRENTLY, atomic=False)
    after = shape_after(item, "0002")
    before = shape_after(item, "0001")
    if not backwards:
        succeed(item, "migrate")
    action, position = ("undo", 1) if backwards else ("apply", 0)
    item.sql("DELETE FROM django_migrations WHERE app = 'shop' AND name = '0002_unique'")
    item.sql(
        "UPDATE migration_guard_run SET outcome = 'interrupted', record_id = NULL, action = %s, position = %s, "
        "began_next = true WHERE id = (SELECT max(id) FROM migration_guard_run WHERE name = '0002_unique')",
        action,
        position,
    )

    succeed(item, "rollback", "--yes") if backwards else succeed(item, "migrate")

    assert shape(item) == (before if backwards else after)


def test_index_of_that_name_with_another_definition_is_refused(item: Stranger) -> None:
    write(item, "0002_unique", UniqueTogetherConcurrently("Item", OLD | {("name", "size")}), atomic=False)
    succeed(item, "migrate")
    (name,) = (
        {*item.sql(f"{INDEXES} AND indisunique")}
        - {*item.sql(f"{INDEXES} AND relname LIKE '%place%'")}
        - {("Shop Item_pkey",)}
    )
    succeed(item, "migrate", "shop", "0001")
    item.sql(f'CREATE UNIQUE INDEX "{name[0]}" ON "Shop Item" (id, name)')

    migration = item.manage("migrate")

    assert migration.returncode == 1
    assert f'relation "{name[0]}" already exists' in migration.stdout


def test_partitioned_table_gets_the_plain_form(shop: Stranger) -> None:
    begin_with(shop, "", migrations.CreateModel("Item", fields=FIELDS))
    shop.sql("ALTER TABLE shop_item RENAME TO shop_unused")
    shop.sql("CREATE TABLE shop_item (LIKE shop_unused) PARTITION BY RANGE (place)")
    shop.sql("CREATE TABLE shop_item_1 PARTITION OF shop_item FOR VALUES FROM (1) TO (9)")
    write(shop, "0002_unique", UniqueTogetherConcurrently("Item", {("name", "place")}), atomic=False)

    succeed(shop, "migrate")
    unique = shop.sql("SELECT count(*) FROM pg_constraint WHERE contype = 'u' AND conrelid = 'shop_item'::regclass")
    succeed(shop, "migrate", "shop", "0001")

    assert unique == [(1,)]


def test_sql_is_shown(item: Stranger) -> None:
    write(item, "0002_unique", CONCURRENTLY, atomic=False)

    shown = succeed(item, "sqlmigrate", "shop", "0002")

    assert shown.count("CREATE UNIQUE INDEX CONCURRENTLY") == shown.count("UNIQUE USING INDEX") == 2
    assert shown.count("DROP CONSTRAINT") == 1


def test_operation_says_what_it_does() -> None:
    assert CONCURRENTLY.describe() == "Concurrently alter unique_together for Item (3 constraint(s))"
    assert CONCURRENTLY.migration_name_fragment == "alter_item_unique_together"
