"""What becomes of the autodetector's operations, without a database."""

from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import models
from django.db.migrations import Migration
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.operations import (
    AddFieldKeepingDefault,
    AlterFieldConcurrently,
    AlterFieldForeignKeyNotValid,
    AlterFieldToNotNull,
    DropDefault,
    DropRetiredField,
    RenameModelKeepingView,
    RetireField,
    RetireModel,
    ValidateForeignKey,
)
from migration_guard.operations.columns import implicit_name
from migration_guard.safer.changes import rewrite_changes
from migration_guard.safer.contracting import outstanding
from migration_guard.safer.names import piece_name, proposal, says_nothing
from migration_guard.safer.pieces import Tables
from migration_guard.safer.rewriting import rewrite
from migration_guard.safer.writing import GuardedWriter

INDEX = AddIndex("item", models.Index(fields=["name"], name="item_name"))
CHECK = AddConstraint("item", models.CheckConstraint(condition=models.Q(count__gte=0), name="item_count"))


def item(**fields: Any) -> CreateModel:
    named: list[tuple[str, Any]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=40)),
        ("count", models.IntegerField(null=True)),
    ]
    return CreateModel("Item", [*named, *fields.items()])


def box() -> CreateModel:
    return CreateModel("Box", [("id", models.BigAutoField(primary_key=True))])


def state_of(*operations: Operation) -> ProjectState:
    state = ProjectState()
    for operation in operations:
        operation.state_forwards("shop", state)
    return state


def migration(
    name: str, *operations: Operation, app: str = "shop", after: tuple[tuple[str, str], ...] = ()
) -> Migration:
    made: Any = Migration(name, app)
    made.operations, made.dependencies = list(operations), list(after)
    return made  # type: ignore[no-any-return]


def files(*operations: Operation, before: ProjectState | None = None, tables: Tables | None = None) -> list[Migration]:
    return rewrite(migration("0002_change", *operations), before or state_of(box(), item()), tables or Tables())


def kinds(made: list[Migration]) -> list[list[type[Operation]]]:
    return [[type(operation) for operation in file.operations] for file in made]


def test_order_stays_and_validation_comes_last() -> None:
    added = [AddField("item", name, models.IntegerField(null=True)) for name in ("a", "b")]

    made = files(added[0], CHECK, INDEX, added[1])

    assert kinds(made) == [[AddField, AddConstraintNotValid], [AddIndexConcurrently], [AddField], [ValidateConstraint]]
    assert [file.name for file in made] == [
        "0002_change",
        "0003_change_index",
        "0004_change_item_b",
        "0005_change_validate",
    ]
    assert [file.atomic for file in made] == [True, False, True, True]
    assert made[2].dependencies == [("shop", "0003_change_index")]


def test_new_table_stays_plain() -> None:
    operations = [item(), INDEX, CHECK]

    made = files(*operations, before=state_of(box()))

    assert [file.operations for file in made] == [operations]


def test_partitioned_table_keeps_djangos_index() -> None:
    key = AddField("item", "box", models.ForeignKey("shop.box", models.CASCADE, null=True))

    made = files(INDEX, key, CHECK, tables=Tables(partitioned={"shop_item"}))

    assert kinds(made) == [[AddIndex, AddField, AddConstraintNotValid], [ValidateConstraint]]


def test_renamed_field_is_alone_and_says_that_it_breaks_the_previous_release() -> None:
    made = files(AddField("item", "a", models.IntegerField(null=True)), RenameField("item", "name", "title"))
    written = GuardedWriter(made[1]).as_string()

    assert kinds(made) == [[AddField], [RenameField]]
    assert "    serves_previous_release = False\n" in written
    assert '    # give the renamed field db_column="name" and make this migration again.\n' in written


def test_renamed_field_that_keeps_its_column_is_plain() -> None:
    before = state_of(box(), item(title=models.TextField(db_column="title", default="")))

    made = files(RenameField("item", "title", "heading"), before=before)

    assert getattr(made[0], "serves_previous_release", None) is None


def test_renamed_model_leaves_a_view_in_a_migration_of_its_own() -> None:
    made = files(AddField("item", "a", models.IntegerField(null=True)), RenameModel("Item", "Thing"))

    assert kinds(made) == [[AddField], [RenameModelKeepingView]]


def test_field_that_comes_back_under_its_name_is_removed_at_once() -> None:
    made = files(RemoveField("item", "count"), AddField("item", "count", models.TextField(null=True)))

    assert kinds(made) == [[RemoveField, AddField]]


def test_removed_field_and_model_are_retired() -> None:
    made = files(RemoveField("item", "count"), DeleteModel("Box"))

    assert kinds(made) == [[RetireField, RetireModel]]


def test_unmanaged_model_stays_plain() -> None:
    view = CreateModel("View", [("id", models.BigAutoField(primary_key=True))], options={"managed": False})

    made = files(DeleteModel("View"), before=state_of(view))

    assert kinds(made) == [[DeleteModel]]


def test_generated_column_stays_plain() -> None:
    doubled = models.GeneratedField(
        expression=models.F("count") * 2, output_field=models.IntegerField(), db_persist=True
    )

    assert kinds(files(AddField("item", "doubled", doubled))) == [[AddField]]


def test_column_that_becomes_a_unique_foreign_key_gets_both_in_steps() -> None:
    before = state_of(box(), item(box=models.BigIntegerField(null=True, db_column="box_id")))
    one_to_one = models.OneToOneField("shop.box", models.CASCADE, null=True)

    made = files(AlterField("item", "box", one_to_one), before=before)

    assert kinds(made) == [[AlterFieldForeignKeyNotValid], [AlterFieldConcurrently], [ValidateForeignKey]]


def test_several_changes_of_a_field_come_one_at_a_time() -> None:
    changed = models.IntegerField(default=7, db_index=True, db_comment="How many")

    made = files(AlterField("item", "count", changed, preserve_default=False))

    assert kinds(made) == [[AlterField], [AlterFieldToNotNull], [AlterFieldConcurrently]]
    assert made[1].operations[0].field.default == 7  # type: ignore[attr-defined]
    assert not made[2].operations[0].field.has_default()  # type: ignore[attr-defined]


def test_dependencies_follow_the_pieces_and_numbers_go_on() -> None:
    first = migration("0002_change", INDEX, CHECK, after=(("shop", "0001_initial"),))
    label = AddField("box", "label", models.TextField(null=True))
    second = migration("0003_more", label, after=(("shop", "0002_change"), ("stock", "0002_other")))
    other = migration("0002_other", app="stock", after=(("shop", "0002_change"),))

    made = rewrite_changes({"shop": [first, second], "stock": [other]}, state_of(box(), item()), set())

    assert [file.name for file in made["shop"]] == [
        "0002_change",
        "0003_change_item_item_count",
        "0004_change_validate",
        "0005_more",
    ]
    assert made["stock"][0].dependencies == [("shop", "0004_change_validate")]
    assert made["shop"][3].dependencies == [("shop", "0004_change_validate"), ("stock", "0002_other")]


@pytest.mark.parametrize("name", ["0002_auto", "0002_auto_20261123_1500", "auto", "0003_item_a_and_more"])
def test_name_says_nothing(name: str) -> None:
    assert says_nothing(name)


@pytest.mark.parametrize("name", ["0001_initial", "0002_automatic_orders", "0002_item_price"])
def test_name_says_something(name: str) -> None:
    assert not says_nothing(name)


def test_proposal_names_models_and_fields_in_their_order() -> None:
    stop = AddField("Order", "stop_price", models.IntegerField(null=True))
    others = [AddField("Order", f"one_more_column_{number}", models.IntegerField(null=True)) for number in range(4)]

    assert proposal([stop]) == "order_stop_price"
    assert len(proposal([stop, *others])) <= 40
    assert proposal([]) == "what_it_does"


def test_names_of_pieces_are_short_and_of_their_own() -> None:
    long = "a" * 58
    first = piece_name(3, long, "index", [])

    assert len(first) == 60
    assert piece_name(4, long, "index", [first]).endswith("_index_2")
    assert piece_name(3, "price", "index", ["0002_price"]) == "0003_price_index"


def test_name_of_an_implicit_constraint_is_cut_as_postgresql_cuts_it() -> None:
    assert implicit_name("shop_item", "code", "key") == "shop_item_code_key"
    assert implicit_name("t" * 40, "c" * 40, "key") == f"{'t' * 29}_{'c' * 29}_key"


def graph_of(*migrations: Migration) -> MigrationGraph:
    graph = MigrationGraph()
    for made in migrations:
        graph.add_node((made.app_label, made.name), made)
        for parent in made.dependencies:
            graph.add_dependency(made, (made.app_label, made.name), parent)
    return graph


@pytest.fixture
def trader_guarded(settings: Any) -> None:
    """The graph's app has to be an installed one; its migrations are those of the test alone."""
    settings.MIGRATION_GUARD = {"APPS": ["trader"]}


@pytest.mark.usefixtures("trader_guarded")
def test_second_steps_follow_renames_until_they_are_taken() -> None:
    initial = migration("0001_initial", item(), app="trader")
    expand = migration(
        "0002_expand",
        AddFieldKeepingDefault("item", "stock", models.IntegerField(default=3), preserve_default=False),
        RetireField("item", "count"),
        RenameModel("Item", "Thing"),
        RenameField("Thing", "stock", "supply"),
        app="trader",
        after=(("trader", "0001_initial"),),
    )

    steps = outstanding(graph_of(initial, expand), set())["trader"]
    contract = migration("0003_contract", *steps, app="trader", after=(("trader", "0002_expand"),))

    assert [type(step) for step in steps] == [DropDefault, DropRetiredField]
    assert [(step.model_name, step.name) for step in steps] == [("Thing", "supply"), ("Thing", "count")]  # type: ignore[attr-defined]
    assert outstanding(graph_of(initial, expand, contract), set()) == {}
