"""The models of the release that is at work are asked what the new schema lets them do."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField, DateRangeField
from django.db import migrations, models
from django.db.backends.postgresql.psycopg_any import DateRange
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from pytest_django import DjangoDbBlocker

from migration_guard.rehearsal.attempts import LIMIT_SECONDS
from migration_guard.rehearsal.previous import PreviousRelease
from migration_guard.rehearsal.results import Outcome, Probe
from tests.migration_guard.states import Built, built, key

OPERATIONS = ("select", "insert", "update", "delete")
CREATE_ITEM = migrations.CreateModel(
    "Item",
    [
        key(),
        ("name", models.CharField(max_length=40)),
        ("size", models.IntegerField(null=True)),
        ("state", models.CharField(max_length=8, choices=[("new", "New"), ("sold", "Sold")], default="new")),
    ],
)
CREATE_PRICE = migrations.CreateModel(
    "Price",
    [
        key(),
        ("item", models.ForeignKey("shop.Item", models.PROTECT)),
        ("amount", models.DecimalField(max_digits=9, decimal_places=2)),
    ],
)
REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'rows of % stay', TG_TABLE_NAME; END $$;
    CREATE TRIGGER refuse BEFORE {events} ON shop_item FOR EACH ROW EXECUTE FUNCTION refuse();
"""
CHECKSUMS = "SELECT coalesce(sum(hashtextextended(t::text, 0)::numeric), 0), count(*) FROM {table} t"
NOT_NULL_NAME = (
    "ALTER TABLE shop_item ADD COLUMN code integer NOT NULL DEFAULT 1; ALTER TABLE shop_item ALTER code DROP DEFAULT"
)


@pytest.fixture
def shop(django_db_blocker: DjangoDbBlocker) -> Iterator[Built]:
    """Items without a row."""
    with built(django_db_blocker) as database:
        database.apply(CREATE_ITEM)
        yield database


@pytest.fixture
def stocked(shop: Built) -> Built:
    """Three items: one with a long name, one with no size."""
    item = shop.model("Item")
    item.objects.create(name="a bicycle of steel", size=3)
    item.objects.create(name="bell", size=None, state="sold")
    item.objects.create(name="chain", size=1)
    return shop


def captured(database: Built) -> PreviousRelease:
    release = PreviousRelease(database.connection, database.state.clone())
    release.capture()
    return release


def after(database: Built, *operations: Operation | str) -> dict[tuple[str, str], Probe]:
    """What the release can do once these are applied, by model and operation."""
    release = captured(database)
    for operation in operations:
        database.sql(operation) if isinstance(operation, str) else database.apply(operation)
    return by_operation(release.probe())


def by_operation(probes: list[Probe]) -> dict[tuple[str, str], Probe]:
    return {(probe.model.removeprefix("shop."), probe.operation): probe for probe in probes}


def outcomes(probes: dict[tuple[str, str], Probe], model: str = "Item") -> dict[str, Outcome]:
    return {operation: probes[model, operation].outcome for operation in OPERATIONS}


def failed(probes: dict[tuple[str, str], Probe], model: str = "Item") -> dict[str, str]:
    found = {operation: probes[model, operation] for operation in OPERATIONS}
    return {operation: probe.error for operation, probe in found.items() if probe.outcome == Outcome.FAILED}


def test_all_works_where_nothing_changes(stocked: Built) -> None:
    probes = after(stocked)

    assert set(outcomes(probes).values()) == {Outcome.PASSED}


def test_without_rows_only_the_plans_are_seen(shop: Built) -> None:
    probes = after(shop)

    assert set(outcomes(probes).values()) == {Outcome.NOT_PROBED}
    assert "no row in the table" in probes["Item", "update"].error


@pytest.mark.parametrize("fixture", ["shop", "stocked"])
def test_required_column_that_it_does_not_know_stops_inserts(request: pytest.FixtureRequest, fixture: str) -> None:
    database = request.getfixturevalue(fixture)

    probes = after(database, migrations.AddField("Item", "code", models.IntegerField(default=1)))

    assert failed(probes).keys() == {"insert"}
    assert '"code"' in failed(probes)["insert"]


def test_required_column_with_a_default_of_the_database_stops_nothing(stocked: Built) -> None:
    probes = after(stocked, migrations.AddField("Item", "code", models.IntegerField(db_default=1)))

    assert set(outcomes(probes).values()) == {Outcome.PASSED}


def test_required_column_that_a_trigger_fills_stops_nothing(stocked: Built) -> None:
    fill = """
        CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.code := 1; RETURN NEW; END $$;
        CREATE TRIGGER fill BEFORE INSERT ON shop_item FOR EACH ROW EXECUTE FUNCTION fill();
    """

    probes = after(stocked, migrations.AddField("Item", "code", models.IntegerField(default=1)), fill)

    assert failed(probes) == {}


@pytest.mark.parametrize("fixture", ["shop", "stocked"])
@pytest.mark.parametrize(
    "operation", [migrations.RemoveField("Item", "name"), migrations.RenameField("Item", "name", "title")]
)
def test_column_that_is_gone_or_renamed_stops_all_that_names_it(
    request: pytest.FixtureRequest, fixture: str, operation: Operation
) -> None:
    database = request.getfixturevalue(fixture)

    probes = after(database, operation)

    assert failed(probes).keys() >= {"select", "insert", "update"}
    assert "name" in failed(probes)["select"]
    assert "does not exist" in failed(probes)["select"]


@pytest.mark.parametrize(
    "operation", [migrations.DeleteModel("Item"), migrations.RenameModel("Item", "Thing")], ids=["dropped", "renamed"]
)
def test_table_that_is_gone_stops_everything(stocked: Built, operation: Operation) -> None:
    probes = after(stocked, operation)

    assert failed(probes) == dict.fromkeys(OPERATIONS, 'relation "shop_item" does not exist')


@pytest.mark.parametrize("fixture", ["shop", "numbered"])
def test_text_that_becomes_a_number_stops_selects_and_inserts(request: pytest.FixtureRequest, fixture: str) -> None:
    database = request.getfixturevalue(fixture)

    probes = after(database, "ALTER TABLE shop_item ALTER name TYPE integer USING name::integer")

    assert failed(probes).keys() == {"select", "insert", "update"}
    assert "invalid input syntax for type integer" in failed(probes)["insert"]


@pytest.fixture
def numbered(shop: Built) -> Built:
    shop.model("Item").objects.create(name="12")
    return shop


def test_wider_type_stops_nothing(stocked: Built) -> None:
    probes = after(
        stocked,
        migrations.AlterField("Item", "name", models.TextField()),
        migrations.AlterField("Item", "size", models.BigIntegerField(null=True)),
    )

    assert failed(probes) == {}


def test_number_that_gives_another_value_stops_selects(shop: Built) -> None:
    shop.apply(CREATE_PRICE)
    shop.model("Item").objects.create(name="bell")
    shop.model("Price").objects.create(item_id=1, amount=Decimal("1.55"))

    probes = after(shop, "ALTER TABLE shop_price ALTER amount TYPE numeric(10, 1)")

    assert "Decimal('1.55')" in failed(probes, "Price")["select"]


@pytest.mark.parametrize("fixture", ["shop", "stocked"])
def test_narrowed_column_stops_inserts(request: pytest.FixtureRequest, fixture: str) -> None:
    database = request.getfixturevalue(fixture)

    probes = after(database, "ALTER TABLE shop_item ALTER name TYPE varchar(5) USING left(name, 5)")

    assert failed(probes).keys() >= {"insert", "update"}
    assert failed(probes)["insert"] == "value too long for type character varying(5)"


def test_check_that_old_rows_break_stops_writes(stocked: Built) -> None:
    probes = after(stocked, "ALTER TABLE shop_item ADD CONSTRAINT item_size CHECK (size < 2) NOT VALID")

    assert failed(probes).keys() == {"insert", "update"}
    assert "item_size" in failed(probes)["update"]


def test_check_that_refuses_a_choice_stops_writes(shop: Built) -> None:
    shop.model("Item").objects.create(name="bell")

    probes = after(shop, "ALTER TABLE shop_item ADD CONSTRAINT item_state CHECK (state = 'new')")

    assert failed(probes).keys() == {"insert", "update"}


def test_name_that_becomes_unique_stops_copies(stocked: Built) -> None:
    probes = after(stocked, migrations.AlterField("Item", "name", models.CharField(max_length=40, unique=True)))

    assert failed(probes).keys() == {"insert"}
    assert "unique constraint" in failed(probes)["insert"]


def test_new_trigger_that_refuses_deletes_is_found(stocked: Built) -> None:
    probes = after(stocked, REFUSE.format(events="DELETE"))

    assert failed(probes) == {"delete": "rows of shop_item stay"}


def test_append_only_table_is_not_probed_and_says_why(stocked: Built) -> None:
    stocked.sql(REFUSE.format(events="UPDATE OR DELETE"))

    probes = after(stocked)

    assert outcomes(probes) == {
        "select": Outcome.PASSED,
        "insert": Outcome.PASSED,
        "update": Outcome.NOT_PROBED,
        "delete": Outcome.NOT_PROBED,
    }
    assert "rows of shop_item stay" in probes["Item", "delete"].error


def test_protected_row_is_not_deleted_but_a_copy_of_it(stocked: Built) -> None:
    stocked.apply(CREATE_PRICE)
    for item in stocked.model("Item").objects.all():
        stocked.model("Price").objects.create(item_id=item.pk, amount=1)

    probes = after(stocked)

    assert set(outcomes(probes).values()) == {Outcome.PASSED}


def test_protected_row_that_cannot_be_copied_is_not_probed(stocked: Built) -> None:
    stocked.apply(CREATE_PRICE)
    for item in stocked.model("Item").objects.all():
        stocked.model("Price").objects.create(item_id=item.pk, amount=1)
    stocked.sql(REFUSE.format(events="INSERT"))

    probes = after(stocked)

    assert probes["Item", "delete"].outcome == Outcome.NOT_PROBED
    assert "ProtectedError" in probes["Item", "delete"].error


def test_foreign_key_that_it_does_not_know_stops_deletes(stocked: Built) -> None:
    release = captured(stocked)
    stocked.apply(CREATE_PRICE)
    for item in stocked.model("Item").objects.all():
        stocked.model("Price").objects.create(item_id=item.pk, amount=1)

    probes = by_operation(release.probe())

    assert failed(probes).keys() == {"delete"}
    assert "violates foreign key constraint" in failed(probes)["delete"]


def test_new_foreign_key_that_old_rows_break_stops_writes(stocked: Built) -> None:
    probes = after(
        stocked,
        "CREATE TABLE size (id integer PRIMARY KEY); INSERT INTO size VALUES (1);"
        "ALTER TABLE shop_item ADD CONSTRAINT item_size FOREIGN KEY (size) REFERENCES size NOT VALID",
    )

    assert "insert" in failed(probes)
    assert "foreign key" in failed(probes)["insert"]


@pytest.mark.parametrize("fixture", ["shop", "stocked"])
def test_null_that_is_refused_now_stops_writes(request: pytest.FixtureRequest, fixture: str) -> None:
    database = request.getfixturevalue(fixture)

    probes = after(
        database, "UPDATE shop_item SET size = 0 WHERE size IS NULL", "ALTER TABLE shop_item ALTER size SET NOT NULL"
    )

    assert failed(probes).keys() == {"insert", "update"}
    assert '"size"' in failed(probes)["update"]


def test_values_of_a_data_migration_are_no_failure(stocked: Built) -> None:
    probes = after(stocked, "UPDATE shop_item SET name = upper(name), size = 7")

    assert failed(probes) == {}


def test_rows_that_are_gone_are_no_failure(stocked: Built) -> None:
    probes = after(stocked, "DELETE FROM shop_item")

    assert failed(probes) == {}
    assert "not there any more" in probes["Item", "update"].error


def test_what_failed_before_is_no_failure_of_the_migration(stocked: Built) -> None:
    stocked.sql("ALTER TABLE shop_item DROP COLUMN name")

    probes = after(stocked)

    assert failed(probes) == {}
    assert probes["Item", "select"].outcome == Outcome.NOT_PROBED
    assert "does not exist" in probes["Item", "select"].error


def test_what_takes_too_long_is_not_probed(stocked: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_guard.rehearsal.previous.SET_TIMEOUT", "SET LOCAL statement_timeout = '300ms'")
    slow = """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(5); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE UPDATE ON shop_item FOR EACH ROW EXECUTE FUNCTION slow();
    """

    probes = after(stocked, slow)

    assert probes["Item", "update"] == Probe("shop.Item", "update", Outcome.NOT_PROBED, f"took over {LIMIT_SECONDS} s")


def test_what_takes_too_long_before_is_tried_once(stocked: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_guard.rehearsal.previous.SET_TIMEOUT", "SET LOCAL statement_timeout = '300ms'")
    stocked.sql("""
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(5); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE UPDATE ON shop_item FOR EACH ROW EXECUTE FUNCTION slow();
    """)
    began = time.monotonic()

    probes = after(stocked)

    assert probes["Item", "update"].outcome == Outcome.NOT_PROBED
    assert "took over" in probes["Item", "update"].error
    assert time.monotonic() - began < 2


def test_copy_resembles_its_row_so_that_a_rule_for_keys_holds(shop: Built) -> None:
    code: Any = models.CharField(max_length=3, unique=True)
    shop.apply(migrations.AddField("Item", "code", code))
    shop.sql("ALTER TABLE shop_item ADD CONSTRAINT item_code CHECK (code ~ '^[A-Z]{3}$')")
    shop.model("Item").objects.create(name="bell", code="ABC")
    shop.sql(REFUSE.format(events="DELETE"))

    probes = after(shop)

    assert probes["Item", "insert"].outcome == Outcome.PASSED


def test_partitioned_table_is_probed(shop: Built) -> None:
    shop.sql("""
        DROP TABLE shop_item;
        CREATE TABLE shop_item (
            id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            name varchar(40) NOT NULL, size int, state varchar(8)
        ) PARTITION BY RANGE (id);
        CREATE TABLE shop_item_all PARTITION OF shop_item DEFAULT;
    """)
    shop.model("Item").objects.create(name="bell")

    probes = after(shop)

    assert set(outcomes(probes).values()) == {Outcome.PASSED}


def test_only_models_of_the_named_tables_are_probed(stocked: Built) -> None:
    stocked.apply(CREATE_PRICE)
    release = captured(stocked)

    probes = release.probe({"shop_price"})

    assert {probe.model for probe in probes} == {"shop.Price"}


def test_field_that_leads_nowhere_is_told(shop: Built) -> None:
    owner: Any = models.ForeignKey("nowhere.User", models.CASCADE)
    shop.state.add_field("shop", "item", "owner", owner, preserve_default=True)

    probes = after(shop)

    assert set(outcomes(probes).values()) == {Outcome.NOT_PROBED}
    assert "nowhere" in probes["Item", "insert"].error


def test_models_that_cannot_be_made_are_told(shop: Built) -> None:
    state = ProjectState({("shop", "item"): ModelState("shop", "Item", [key()], bases=("nowhere.base",))})

    release = PreviousRelease(shop.connection, state)
    release.capture()

    assert [probe.outcome for probe in release.probe()] == [Outcome.NOT_PROBED]
    assert "cannot be made" in release.probe()[0].error


MANY_KINDS: list[Operation] = [
    migrations.CreateModel(
        "Odd",
        [
            ("code", models.CharField(max_length=3, primary_key=True)),
            ("token", models.UUIDField(unique=True, null=True)),
            ("tags", ArrayField(models.CharField(max_length=5))),
            ("period", DateRangeField()),
            ("extra", models.JSONField(default=dict)),
            ("blob", models.BinaryField()),
            ("rank", models.IntegerField(db_default=3, unique=True)),
            (
                "twice",
                models.GeneratedField(
                    expression=models.F("rank") * 2, output_field=models.IntegerField(), db_persist=True
                ),
            ),
            ("items", models.ManyToManyField("shop.Item")),
        ],
    ),
    migrations.CreateModel(
        "Child",
        [
            (
                "item_ptr",
                models.OneToOneField(
                    "shop.Item", models.CASCADE, parent_link=True, primary_key=True, serialize=False, auto_created=True
                ),
            ),
            ("age", models.IntegerField()),
        ],
        bases=("shop.item",),
    ),
    migrations.CreateModel(
        "Pair",
        [
            ("pk", models.CompositePrimaryKey("a", "b")),
            ("a", models.IntegerField()),
            ("b", models.IntegerField()),
            ("note", models.TextField()),
        ],
    ),
    migrations.CreateModel("Only", [key()]),
]


@pytest.fixture
def odd(stocked: Built) -> Built:
    stocked.apply(*MANY_KINDS)
    thing = stocked.model("Odd").objects.create(
        code="ABC", token="7b6e1b0a-5d3c-4c6f-8f7b-0a5d3c4c6f8f", tags=["a"], period=DateRange(None, None), blob=b"x"
    )
    thing.items.add(stocked.model("Item").objects.first())
    stocked.model("Child").objects.create(name="x", age=1)
    stocked.model("Pair").objects.create(a=1, b=2, note="x")
    stocked.model("Only").objects.create()
    return stocked


def test_odd_models_are_probed_whole(odd: Built) -> None:
    probes = after(odd)

    assert {probe for probe in probes.values() if probe.outcome != Outcome.PASSED} == set()
    assert {model for model, _ in probes} == {"Item", "Odd", "Odd_items", "Child", "Pair", "Only"}


def test_nothing_is_left_in_the_database(odd: Built) -> None:
    tables = [
        str(table) for (table,) in odd.sql("SELECT relname FROM pg_class WHERE relname LIKE 'shop_%' AND relkind = 'r'")
    ]
    before = [odd.sql(CHECKSUMS.format(table=table)) for table in tables]

    after(odd)

    assert [odd.sql(CHECKSUMS.format(table=table)) for table in tables] == before
    assert len(tables) == 6


def test_too_many_rows_that_go_with_one_are_left_alone(stocked: Built) -> None:
    many: Any = migrations.CreateModel("Visit", [key(), ("item", models.ForeignKey("shop.Item", models.CASCADE))])
    stocked.apply(many)
    stocked.sql("INSERT INTO shop_visit (item_id) SELECT id FROM shop_item, generate_series(1, 1100)")
    stocked.sql(REFUSE.format(events="INSERT"))

    probes = after(stocked)

    assert "more than 1,000 rows of shop_visit" in probes["Item", "delete"].error
