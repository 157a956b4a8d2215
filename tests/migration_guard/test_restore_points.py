"""What a migration destroys is kept before it is gone, and comes back as it was."""

import pytest

from tests.migration_guard.restoring import ALL, CREATE_BOX, DROP_V, fill, held, points, refuse, restore, succeed
from tests.migration_guard.stranger import Stranger
from tests.project import CHECKOUT, Project, database_environment

endurance = pytest.mark.endurance


@pytest.fixture
def filled(shop: Stranger) -> Stranger:
    """Ten items, nine of which have a value in `v`."""
    fill(shop, 10)
    return shop


def test_values_of_a_dropped_column_return(filled: Stranger) -> None:
    before = filled.sql(ALL)
    filled.operations("0003_drop_v", DROP_V)

    said = succeed(filled, "migrate")

    assert "Restore point" in said
    assert held(filled) == [("column", "shop_item", "v", 9)]
    assert filled.columns() == {"id", "name"}
    succeed(filled, "rollback", "--yes")
    assert filled.sql("SELECT count(v) FROM shop_item") == [(0,)]
    restore(filled)
    assert filled.sql(ALL) == before


def test_values_read_a_second_time_are_counted_once(filled: Stranger) -> None:
    """A transaction that is still at work in another database makes every row look as if it were new."""
    elsewhere = Project(CHECKOUT, database_environment("postgres"))
    with elsewhere.connect() as other, other.transaction():
        other.execute("SELECT pg_current_xact_id()")
        filled.sql("UPDATE shop_item SET name = 'again'")
        filled.operations("0003_drop_v", DROP_V)

        said = succeed(filled, "migrate")

    assert "the values of shop_item.v (9 rows)" in said
    restore(filled)


@endurance
def test_values_return_into_the_rows_that_are_still_there(filled: Stranger) -> None:
    filled.operations("0003_drop_v", DROP_V)
    succeed(filled, "migrate")
    filled.sql("DELETE FROM shop_item WHERE id = 1")
    filled.sql("INSERT INTO shop_item (name) VALUES ('new')")
    filled.sql("UPDATE shop_item SET name = 'renamed' WHERE id = 2")
    succeed(filled, "rollback", "--yes")
    filled.sql("UPDATE shop_item SET v = 100 WHERE id IN (4, 11)")

    said = restore(filled)

    assert "8 values return" in said
    assert "1 rows that had a value are gone" in said
    assert "1 rows have another value now, which is overwritten." in said
    assert filled.sql("SELECT id, v FROM shop_item ORDER BY id") == [
        (n, {3: None, 11: 100}.get(n, n)) for n in range(2, 12)
    ]
    assert filled.sql("SELECT name FROM shop_item WHERE id = 2") == [("renamed",)]


def test_dropped_column_returns_without_a_rollback(filled: Stranger) -> None:
    before = filled.sql(ALL)
    filled.operations("0003_drop_v", "migrations.RunSQL('ALTER TABLE shop_item DROP COLUMN v')")
    succeed(filled, "migrate")

    said = restore(filled)

    assert "it is added again" in said
    assert filled.sql(ALL) == before


@endurance
def test_dropped_table_returns_whole(filled: Stranger) -> None:
    filled.operations("0003_box", CREATE_BOX)
    succeed(filled, "migrate")
    filled.sql("INSERT INTO shop_box (item_id, label) SELECT id, 'box ' || id FROM shop_item")
    before = filled.sql("SELECT * FROM shop_box ORDER BY id")
    drift = succeed(filled, "drift")
    filled.operations("0004_drop_box", "migrations.DeleteModel('Box')")

    succeed(filled, "migrate")
    assert held(filled) == [("table", "shop_box", "", 10)]
    restore(filled)

    assert filled.sql("SELECT * FROM shop_box ORDER BY id") == before
    succeed(filled, "migrate", "--fake", "shop", "0003")
    assert succeed(filled, "drift") == drift
    filled.sql("INSERT INTO shop_box (item_id, label) VALUES (1, 'next')")


@endurance
def test_rows_return_into_a_table_that_a_rollback_made_again(filled: Stranger) -> None:
    before = filled.sql(ALL)
    filled.operations("0003_drop", "migrations.DeleteModel('Item')")
    succeed(filled, "migrate")
    succeed(filled, "rollback", "--yes")
    filled.sql("INSERT INTO shop_item (id, name) VALUES (2, 'another'), (50, 'new')")

    said = restore(filled)

    assert "9 rows return, 1 are changed back" in said
    assert filled.sql("SELECT * FROM shop_item WHERE id < 50 ORDER BY id") == before
    assert filled.sql("SELECT name FROM shop_item WHERE id = 50") == [("new",)]


def test_changed_and_deleted_rows_return(filled: Stranger) -> None:
    before = filled.sql(ALL)
    filled.operations(
        "0003_change",
        "migrations.RunSQL(['UPDATE shop_item SET v = -v WHERE id < 4', 'DELETE FROM shop_item WHERE id > 8'])",
    )

    succeed(filled, "migrate")

    assert held(filled) == [("rows", "shop_item", "", 4)]
    filled.sql("UPDATE shop_item SET name = 'since' WHERE id IN (1, 5)")
    said = restore(filled)
    assert "2 rows return, 2 are changed back" in said
    assert "1 of these were written since" in said
    restored = filled.sql(ALL)
    assert [row for row in restored if row[0] != 5] == [row for row in before if row[0] != 5]
    assert filled.sql("SELECT name FROM shop_item WHERE id = 5") == [("since",)]


@endurance
@pytest.mark.parametrize(
    "operations",
    [
        ("migrations.RunSQL('TRUNCATE shop_item')",),
        (
            "migrations.AddField('Item', 'w', models.IntegerField(null=True))",
            "migrations.RunSQL('UPDATE shop_item SET w = v, name = upper(name)')",
        ),
        (
            "migrations.RunSQL('UPDATE shop_item SET name = upper(name)')",
            "migrations.RenameField('Item', 'v', 'value')",
        ),
    ],
    ids=["truncated", "beside a new column", "beside a renamed column"],
)
def test_rows_of_a_table_that_is_locked_return(filled: Stranger, operations: tuple[str, ...]) -> None:
    before = filled.sql(ALL)
    filled.operations("0003_change", *operations)

    succeed(filled, "migrate")

    assert held(filled) == [("rows", "shop_item", "", 10)]
    if "RenameField" in operations[-1]:
        filled.sql("ALTER TABLE shop_item RENAME COLUMN value TO v")
    restore(filled)
    assert filled.sql("SELECT id, name, v FROM shop_item ORDER BY id") == before


@endurance
def test_narrowed_column_returns(filled: Stranger) -> None:
    filled.sql("ALTER TABLE shop_item ALTER COLUMN v TYPE numeric(9, 3)")
    filled.sql("UPDATE shop_item SET v = v + 0.125")
    before = filled.sql(ALL)
    filled.operations(
        "0003_narrow",
        "migrations.RunSQL('ALTER TABLE shop_item ALTER COLUMN v TYPE integer', "
        "'ALTER TABLE shop_item ALTER COLUMN v TYPE numeric(9, 3)')",
    )
    succeed(filled, "migrate")

    assert held(filled) == [("column", "shop_item", "v", 9)]
    said = refuse(filled, "restore", points(filled)[0], "--yes")
    assert "Undo the migration first" in said
    succeed(filled, "rollback", "--yes")
    succeed(filled, "restore", points(filled)[-1], "--yes")
    assert filled.sql(ALL) == before


@endurance
@pytest.mark.parametrize(
    "operation",
    [
        "migrations.AddField('Item', 'w', models.IntegerField(default=7))",
        "migrations.AlterField('Item', 'name', models.CharField(max_length=80))",
        "migrations.AlterField('Item', 'v', models.BigIntegerField(null=True))",
        "migrations.RunSQL('INSERT INTO shop_item (name) VALUES (1)')",
        "migrations.RunSQL('UPDATE shop_item SET name = name')",
        "migrations.RunSQL('ALTER TABLE shop_item ADD COLUMN r float DEFAULT random()')",
        "migrations.RenameModel('Item', 'Thing')",
    ],
)
def test_what_destroys_nothing_leaves_no_point(filled: Stranger, operation: str) -> None:
    filled.operations("0003_harmless", operation)

    succeed(filled, "migrate")

    assert points(filled) == []


@endurance
def test_undone_column_and_table_are_kept(filled: Stranger) -> None:
    before = filled.sql(ALL)

    succeed(filled, "rollback", "shop", "zero", "--yes")

    assert len(points(filled)) == 2
    succeed(filled, "migrate")
    for point in points(filled):
        succeed(filled, "restore", point, "--yes")
    assert filled.sql(ALL) == before


def test_empty_database_needs_none(shop: Stranger) -> None:
    shop.operations("0002_change", "migrations.RunSQL(\"INSERT INTO shop_item (name) VALUES ('a')\")")
    shop.operations("0003_change", "migrations.RunSQL('DELETE FROM shop_item')")

    succeed(shop, "migrate")

    assert points(shop) == []


def test_empty_table_needs_no_client_programs(filled: Stranger) -> None:
    filled.sql("CREATE TABLE box (id integer PRIMARY KEY)")
    filled.operations("0003_drop_box", "migrations.RunSQL('DROP TABLE box')")
    filled.configure("MIGRATION_GUARD = {'CLIENT_PROGRAMS': '/nowhere'}")

    succeed(filled, "migrate")

    assert points(filled) == []


@endurance
def test_point_of_another_database_of_that_name_is_told(filled: Stranger) -> None:
    filled.operations("0003_drop_v", "migrations.RunSQL('ALTER TABLE shop_item DROP COLUMN v', migrations.RunSQL.noop)")
    succeed(filled, "migrate")
    (own,) = points(filled)
    told = "The history of this database has no such run"
    assert told not in succeed(filled, "restore", own, "--plan")
    filled.configure("USE_TZ, TIME_ZONE = False, 'America/New_York'")
    assert told not in succeed(filled, "restore", own, "--plan")

    filled.sql("DROP TABLE shop_item, django_migrations, migration_guard_run")
    succeed(filled, "migrate")

    assert f"{told}: {own} was taken in another one" in succeed(filled, "restore", own, "--plan")
