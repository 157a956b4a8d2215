"""RenameModelKeepingView: the release that knows the old name works on, until DropOldNameView."""

from pathlib import Path
from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.operations import DropOldNameView, RenameModelKeepingView
from migration_guard.operations.renaming import tables_without_view
from tests.migration_guard.operating import begin_with, shape, shape_after, succeed, write
from tests.migration_guard.stranger import Stranger, begin

pytestmark = pytest.mark.endurance

MODELS = """
from django.db import models

class Tag(models.Model):
    name = models.CharField(max_length=40)

class Item(models.Model):
    name = models.CharField(max_length=40, unique=True)
    size = models.IntegerField(default=1, db_column="Size of it")
    tags = models.ManyToManyField(Tag)
    friends = models.ManyToManyField("self")

class Order(models.Model):
    item = models.ForeignKey(Item, models.CASCADE)
"""
ID = ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
INITIAL = [
    migrations.CreateModel("Tag", fields=[ID, ("name", models.CharField(max_length=40))]),
    migrations.CreateModel(
        "Item",
        fields=[
            ID,
            ("name", models.CharField(max_length=40, unique=True)),
            ("size", models.IntegerField(default=1, db_column="Size of it")),
            ("tags", models.ManyToManyField(to="shop.Tag")),
            ("friends", models.ManyToManyField(to="shop.Item")),
        ],
    ),
    migrations.CreateModel("Order", fields=[ID, ("item", models.ForeignKey("shop.Item", models.CASCADE))]),
]
RENAME = RenameModelKeepingView("Item", "Product")
PREVIOUS_RELEASE = """
from django.db import transaction
from shop.models import Item, Order, Tag
old = Item.objects.get(name="old")
assert old.size == 7 and old.tags.get().name == "t" and old.friends.get().name == "friend"
new = Item.objects.create(name="new")
assert new.pk and Item.objects.get(pk=new.pk).size == 1
Item.objects.filter(pk=new.pk).update(size=2)
assert Item.objects.update_or_create(name="new", defaults={"size": 3})[1] is False
Item.objects.bulk_create(
    [Item(name="new", size=4), Item(name="more")],
    update_conflicts=True, unique_fields=["name"], update_fields=["size"],
)
with transaction.atomic():
    assert Item.objects.select_for_update(of=("self",)).get(name="new").size == 4
Item.objects.bulk_create([Item(name="new")], ignore_conflicts=True)
new.tags.add(Tag.objects.get(), Tag.objects.create(name="u"))
new.tags.add(Tag.objects.first())
new.friends.add(old)
assert new.tags.count() == 2 and old.friends.count() == 2
new.tags.remove(Tag.objects.get(name="u"))
Order.objects.create(item=new)
assert Order.objects.filter(item__name="new", item__tags__name="t").count() == 1
new.delete()
assert not Order.objects.exists() and Item.objects.count() == 3
Item.objects.filter(name="more").delete()
Tag.objects.filter(name="u").delete()
print("as before")
"""


@pytest.fixture
def item(shop: Stranger) -> Stranger:
    """The shop with two items that are friends, of which one has a tag, and their renaming."""
    begin_with(shop, MODELS, *INITIAL)
    shop.sql("INSERT INTO shop_item (name, \"Size of it\") VALUES ('old', 7), ('friend', 1)")
    shop.sql("INSERT INTO shop_tag (name) VALUES ('t')")
    shop.sql(
        "INSERT INTO shop_item_tags (item_id, tag_id) SELECT min(i.id), t.id FROM shop_item i, shop_tag t GROUP BY 2"
    )
    shop.sql(
        "INSERT INTO shop_item_friends (from_item_id, to_item_id) "
        "SELECT a.id, b.id FROM shop_item a, shop_item b WHERE a <> b"
    )
    shop.write("shop/models.py", MODELS.replace("Item", "Product"))
    return shop


@pytest.fixture
def previous_release(item: Stranger, tmp_path: Path) -> Stranger:
    project = begin(tmp_path / "previous", item.env)
    project.write("shop/models.py", MODELS)
    return project


def views(project: Stranger) -> list[object]:
    return [name for (name,) in project.sql("SELECT viewname FROM pg_views WHERE schemaname = 'public' ORDER BY 1")]


def test_previous_release_works_on(item: Stranger, previous_release: Stranger) -> None:
    write(item, "0002_product", RENAME)

    succeed(item, "migrate")

    assert views(item) == ["shop_item", "shop_item_friends", "shop_item_tags"]
    assert "as before" in succeed(previous_release, "shell", "-c", PREVIOUS_RELEASE)
    assert "No changes detected" in succeed(item, "makemigrations", "--check", "--dry-run")
    assert "as before" in succeed(item, "shell", "-c", PREVIOUS_RELEASE.replace("Item", "Product"))


def test_schema_is_that_of_the_plain_form_in_the_end(item: Stranger) -> None:
    before = shape(item)
    write(item, "0002_product", migrations.RenameModel("Item", "Product"))
    plain = shape_after(item, "0002")
    succeed(item, "migrate", "shop", "0001")
    write(item, "0002_product", RENAME)
    write(item, "0003_drop", RENAME.contraction(ProjectState()))

    with_view = shape_after(item, "0002")
    after = shape_after(item, "0003")
    view_again = shape_after(item, "0002")
    back = shape_after(item, "0001")

    assert after == plain
    assert view_again == with_view
    assert back == before
    assert item.sql("SELECT name FROM shop_item ORDER BY id") == [("old",), ("friend",)]


def test_grants_owner_and_row_security_hold_for_the_view(item: Stranger) -> None:
    role = f"{item.env['POSTGRES_DB']}_Clerk"
    item.sql(f'CREATE ROLE "{role}"')
    try:
        item.sql(f'GRANT SELECT, UPDATE ON shop_item TO "{role}"')
        item.sql(f'GRANT INSERT (name) ON shop_item TO "{role}" WITH GRANT OPTION')
        item.sql("ALTER TABLE shop_item ENABLE ROW LEVEL SECURITY")
        item.sql("CREATE POLICY friends ON shop_item USING (name = 'friend')")
        write(item, "0002_product", RENAME)

        succeed(item, "migrate")

        with item.connect() as clerk:
            clerk.execute(f'SET ROLE "{role}"'.encode())
            assert clerk.execute("SELECT name FROM shop_item").fetchall() == [("friend",)]
            assert clerk.execute('UPDATE shop_item SET "Size of it" = 2').rowcount == 1
        acl = "SELECT relacl::text FROM pg_class WHERE relname = %s"
        assert item.sql(acl, "shop_item") == item.sql(acl, "shop_product")
        column = "SELECT attacl::text FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'name'"
        assert item.sql(column, "shop_item") == item.sql(column, "shop_product")
    finally:
        item.sql(f'DROP OWNED BY "{role}"')
        item.sql(f'DROP ROLE "{role}"')


@pytest.mark.parametrize("table", ["Kept", '"Kept as quoted"'])
def test_table_that_keeps_its_name_has_no_view(shop: Stranger, table: str) -> None:
    fields: list[tuple[str, Any]] = [ID, ("name", models.CharField(max_length=40))]
    begin_with(shop, "", migrations.CreateModel("Item", fields=fields, options={"db_table": table}))
    write(shop, "0002_product", RENAME)
    write(shop, "0003_drop", DropOldNameView("Item", "Product"))

    succeed(shop, "migrate")
    succeed(shop, "migrate", "shop", "0001")

    assert views(shop) == []


def test_column_that_no_view_can_keep_is_told() -> None:
    orders = migrations.CreateModel("Order", fields=[ID, ("items", models.ManyToManyField(to="shop.Item"))])
    before = ProjectState()
    for operation in [*INITIAL, migrations.RenameModel("Order", "Other"), orders]:
        operation.state_forwards("shop", before)
    after = before.clone()
    RENAME.state_forwards("shop", after)

    found = tables_without_view(before.apps.get_model("shop", "Item"), after.apps.get_model("shop", "Product"))

    assert found == ["shop_order_items"]


def test_sql_of_a_table_that_is_not_there_yet_names_the_columns(shop: Stranger) -> None:
    write(shop, "0001_initial", *INITIAL)
    write(shop, "0002_product", RENAME)

    shown = succeed(shop, "sqlmigrate", "shop", "0002")

    assert 'CREATE VIEW "shop_item" WITH (security_invoker = true) AS SELECT "id", "name", "Size of it" FROM' in shown
    assert 'SELECT "id", "product_id" AS "item_id", "tag_id" FROM "shop_product_tags"' in shown


def test_squashed_pair_is_the_plain_form() -> None:
    reduced = RENAME.reduce(DropOldNameView("Item", "Product"), "shop")

    assert isinstance(reduced, list)
    assert [type(operation) for operation in reduced] == [migrations.RenameModel]


@pytest.mark.parametrize("operation", [RENAME, DropOldNameView("Item", "Product")])
def test_operation_says_what_it_does(operation: Operation) -> None:
    assert "Item" in operation.describe()
    assert operation.migration_name_fragment in {"rename_item_product", "drop_old_name_item"}
