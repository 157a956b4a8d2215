"""Rows are made up for empty tables, within what fields, the server's rules and its triggers allow."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, IntegerRangeField
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from pytest_django import DjangoDbBlocker

from migration_guard.rehearsal.patterns import example, read
from migration_guard.rehearsal.rows import fill, make_up
from tests.migration_guard.states import Built, built, key

CONTENTS = "SELECT t::text FROM {table} t ORDER BY 1"
CHECK = "ALTER TABLE shop_thing ADD CONSTRAINT thing_check CHECK ({condition})"
TRIGGER = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no %', TG_TABLE_NAME; END $$;
    CREATE {kind} TRIGGER refuse AFTER INSERT ON shop_thing {deferred} FOR EACH ROW EXECUTE FUNCTION refuse();
"""
DEFERRED = "DEFERRABLE INITIALLY DEFERRED"


@pytest.fixture
def database(django_db_blocker: DjangoDbBlocker) -> Iterator[Built]:
    with built(django_db_blocker) as empty:
        yield empty


def thing(*fields: tuple[str, Any], name: str = "Thing", **options: Any) -> Operation:
    return migrations.CreateModel(name, [key(), *fields], options=options)


def filled(database: Built, *operations: Operation | str) -> dict[str, str]:
    for operation in operations:
        database.sql(operation) if isinstance(operation, str) else database.apply(operation)
    return fill(database.connection, database.state)


def count(database: Built, table: str = "shop_thing") -> int:
    return int(database.sql(f"SELECT count(*) FROM {table}")[0][0])


def test_each_kind_of_field_gets_values(database: Built) -> None:
    fields: list[tuple[str, Any]] = [
        ("char", models.CharField(max_length=3)),
        ("text", models.TextField()),
        ("slug", models.SlugField(unique=True)),
        ("email", models.EmailField()),
        ("url", models.URLField()),
        ("choice", models.CharField(max_length=4, choices=[("A", [("one", "One"), ("two", "Two")])])),
        ("small", models.PositiveSmallIntegerField()),
        ("decimal", models.DecimalField(max_digits=3, decimal_places=2)),
        ("float", models.FloatField()),
        ("flag", models.BooleanField()),
        ("day", models.DateField()),
        ("moment", models.DateTimeField()),
        ("hour", models.TimeField()),
        ("lasting", models.DurationField()),
        ("json", models.JSONField()),
        ("token", models.UUIDField(unique=True)),
        ("blob", models.BinaryField()),
        ("address", models.GenericIPAddressField()),
        ("file", models.FileField()),
        ("tags", ArrayField(models.CharField(max_length=5), size=2)),
        ("numbers", IntegerRangeField()),
        ("moments", DateTimeRangeField()),
        ("rank", models.IntegerField(db_default=3)),
        (
            "twice",
            models.GeneratedField(expression=models.F("rank") * 2, output_field=models.IntegerField(), db_persist=True),
        ),
    ]

    reasons = filled(database, thing(*fields))

    assert reasons == {}
    assert count(database) == 3
    assert {type(row.json) for row in database.model("Thing").objects.all()} == {dict}


def test_nullable_columns_have_both(database: Built) -> None:
    filled(database, thing(("size", models.IntegerField(null=True))))

    assert database.sql("SELECT count(size) BETWEEN 1 AND 2 FROM shop_thing") == [(True,)]


def test_relations_lead_to_rows_that_are_there(database: Built) -> None:
    thing_key: Any = models.ForeignKey("shop.Thing", models.CASCADE)
    reasons = filled(
        database,
        thing(("parent", models.ForeignKey("self", models.CASCADE, null=True))),
        thing(("thing", thing_key), name="Another"),
        thing(("thing", models.OneToOneField("shop.Thing", models.CASCADE)), name="Alone"),
        thing(("things", models.ManyToManyField("shop.Thing")), name="Bag"),
        migrations.CreateModel(
            "Child", [("thing_ptr", child_link()), ("age", models.IntegerField())], bases=("shop.thing",)
        ),
    )

    assert reasons == {}
    assert [count(database, f"shop_{name}") for name in ("another", "alone", "bag", "bag_things", "child")] == [3] * 5


def child_link() -> Any:
    return models.OneToOneField("shop.Thing", models.CASCADE, parent_link=True, primary_key=True, serialize=False)


def test_circle_of_relations_is_begun_with_null(database: Built) -> None:
    reasons = filled(
        database,
        thing(),
        thing(("thing", models.ForeignKey("shop.Thing", models.CASCADE)), name="Other"),
        migrations.AddField("Thing", "other", models.ForeignKey("shop.Other", models.CASCADE, null=True)),
    )

    assert reasons == {}


@pytest.mark.parametrize(
    "condition",
    [
        "size > 100000",
        "size <= -5",
        "size IN (400, 500)",
        "code ~ '^[A-Z]{3}[0-9]+$'",
        "code IN ('buy', 'sell')",
        "code = upper(code) AND code <> ''",
        "code = lower(code)",
        "code = ''",
        "until > since",
        "(size IS NULL) = (other IS NOT NULL)",
        "size IS NULL AND other IS NOT NULL",
        "size > other",
    ],
)
def test_checks_are_met(database: Built, condition: str) -> None:
    reasons = filled(
        database,
        thing(
            ("size", models.IntegerField(null=True)),
            ("other", models.IntegerField(null=True)),
            ("code", models.CharField(max_length=8)),
            ("since", models.DateField()),
            ("until", models.DateField()),
        ),
        CHECK.format(condition=condition),
    )

    assert reasons == {}


@pytest.mark.parametrize(("kind", "deferred"), [("", ""), ("CONSTRAINT", DEFERRED)])
def test_table_that_refuses_all_stays_empty_with_its_reason(database: Built, kind: str, deferred: str) -> None:
    reasons = filled(database, thing(), thing(name="Other"), TRIGGER.format(kind=kind, deferred=deferred))

    assert reasons == {"shop_thing": "no shop_thing"}
    assert count(database, "shop_other") == 3


def test_what_needs_an_empty_table_stays_empty_too(database: Built) -> None:
    reasons = filled(
        database,
        thing(),
        thing(("thing", models.ForeignKey("shop.Thing", models.CASCADE)), name="Other"),
        TRIGGER.format(kind="", deferred=""),
    )

    assert reasons["shop_other"] == "no row in shop_thing, which thing_id refers to"


def test_tables_with_rows_are_left_alone(database: Built) -> None:
    filled(database, thing())

    assert fill(database.connection, database.state, per_table=5) == {}
    assert count(database) == 3


def test_only_the_named_tables_are_filled(database: Built) -> None:
    database.apply(thing(), thing(name="Other"))

    fill(database.connection, database.state, tables={"shop_other"})

    assert (count(database), count(database, "shop_other")) == (0, 3)


def test_table_is_named_as_the_rehearsal_names_it(database: Built) -> None:
    database.apply(thing(db_table="a.dot"))

    fill(database.connection, database.state, tables={'"a.dot"'})

    assert count(database, '"a.dot"') == 3


def test_table_that_is_not_there_is_passed_over(database: Built) -> None:
    assert filled(database, thing(), "DROP TABLE shop_thing") == {}


def test_relation_to_a_table_that_is_not_there_is_told(database: Built) -> None:
    another = thing(("thing", models.ForeignKey("shop.Thing", models.CASCADE)), name="Another")

    reasons = filled(database, thing(), another, thing(name="Third"), "DROP TABLE shop_thing CASCADE")

    assert reasons == {"shop_another": 'relation "shop_thing" does not exist'}
    assert count(database, "shop_third") == 3


def test_same_state_gives_the_same_rows(database: Built) -> None:
    fields: list[tuple[str, Any]] = [("name", models.TextField()), ("token", models.UUIDField())]
    filled(database, thing(*fields))
    before = database.sql(CONTENTS.format(table="shop_thing"))

    database.sql("TRUNCATE shop_thing RESTART IDENTITY")
    fill(database.connection, database.state)

    assert database.sql(CONTENTS.format(table="shop_thing")) == before
    assert len(before) == 3


class Strange(models.TextField):  # type: ignore[type-arg]  # the class takes none at run time
    """A field that refuses whatever it is given."""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        raise ValueError("not this one")


def test_field_that_takes_nothing_is_told(database: Built) -> None:
    reasons = filled(database, thing(("odd", Strange())))

    assert reasons == {"shop_thing": "no value is known for odd, a Strange"}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^[A-Z]{3}$", "ABC"),
        (r"^\d{2}-[xy]?z+$", "01-z"),
        ("^(a|b)$", None),
        ("^[^A-Z]$", "a"),
        ("^[0-9a-f]{4,}$", "0123"),
    ],
)
def test_simple_patterns_are_read(pattern: str, text: str | None) -> None:
    assert example(pattern, 0) == text


def test_hints_are_read_from_what_the_server_shows() -> None:
    shown = (
        "CHECK ((((code)::text = ANY ((ARRAY['buy'::character varying, 'sell'::character varying])::text[])) "
        "AND (size > 3)))"
    )

    assert list(read(shown)) == [("code", "buy"), ("code", "sell"), ("size", 4), ("size", 5), ("size", 6)]


def test_what_a_row_needs_comes_first_in_a_state_that_is_half_rendered(database: Built) -> None:
    left_empty = filled(
        database,
        thing(("name", models.CharField(max_length=9)), name="Whole"),
        thing(("whole", models.ForeignKey("shop.Whole", models.CASCADE)), name="Part"),
        thing(("part", models.ForeignKey("shop.Part", models.CASCADE)), name="Bit"),
        # Django renders the whole and its parts anew, and puts off the bits.
        migrations.AlterField("whole", "name", models.CharField(max_length=19)),
    )

    assert left_empty == {}
    assert database.model("Bit")._meta.get_field("part").related_model is not database.model("Part")


def test_rows_that_a_migration_has_written_are_not_made_up(database: Built) -> None:
    database.apply(thing(name="Known"), thing(name="Other"))
    database.sql("INSERT INTO shop_known VALUES (DEFAULT)")

    made_up = make_up(database.connection, database.state, {"shop_known", "shop_other"})

    assert made_up == {"shop_other"}
    assert count(database, "shop_known") == 1
