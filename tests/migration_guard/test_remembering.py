"""A migration that is rehearsed makes its states once, and everybody sees the models of the moment."""

import pytest
from django.db import models
from django.db.migrations import AddField, CreateModel, Migration, RunSQL
from django.db.migrations.state import ProjectState

from migration_guard.rehearsal.remembering import states_remembered
from tests.migration_guard.operating import succeed
from tests.migration_guard.stranger import Stranger
from tests.migration_guard.test_rehearse import findings, only, rehearse

# The collector of what is deleted asks the models of that moment: there is no table of parts yet.
DELETE_THEN_CREATE = """
    def delete(apps, schema_editor):
        apps.get_model("shop", "Item").objects.filter(name="old").delete()

    class Migration(migrations.Migration):
        dependencies = [("shop", "0001_initial")]
        operations = [
            migrations.RunPython(delete, migrations.RunPython.noop),
            migrations.CreateModel("Part", [
                ("id", models.BigAutoField(primary_key=True)),
                ("item", models.ForeignKey("shop.Item", models.CASCADE)),
            ]),
        ]
"""


class Migrated(Migration):
    operations = [
        CreateModel("Item", [("id", models.BigAutoField(primary_key=True))]),
        AddField("Item", "name", models.TextField(default="")),
    ]


class AroundMigrated(Migration):
    same = RunSQL("SELECT 1")
    operations = [same, *Migrated.operations, same]


def fields(state: ProjectState) -> list[str]:
    return [field.name for field in state.apps.get_model("shop", "Item")._meta.fields]


def test_models_are_made_once() -> None:
    migration, before = Migrated("0001_initial", "shop"), ProjectState()
    assert list(before.apps.get_models()) == []

    with states_remembered(migration):
        first, second = migration.mutate_state(before), migration.mutate_state(before)
    third = migration.mutate_state(before)

    item = first.apps.get_model("shop", "Item")
    assert second.apps.get_model("shop", "Item") is item
    assert third.apps.get_model("shop", "Item") is not item
    assert fields(first) == fields(second) == fields(third) == ["id", "name"]
    assert before.models == {}


def test_what_is_made_of_a_state_later_is_not_remembered() -> None:
    migration, before = Migrated("0001_initial", "shop"), ProjectState()
    assert list(before.apps.get_models()) == []

    with states_remembered(migration):
        migration.mutate_state(before).remove_model("shop", "item")
        again = migration.mutate_state(before)

    assert fields(again) == ["id", "name"]


def test_operation_that_is_there_twice_is_not_remembered() -> None:
    migration, before = AroundMigrated("0001_initial", "shop"), ProjectState()
    assert list(before.apps.get_models()) == []

    with states_remembered(migration):
        for _ in range(2):
            assert fields(migration.mutate_state(before)) == ["id", "name"]


@pytest.mark.endurance
def test_code_meets_the_models_of_its_moment(shop: Stranger) -> None:
    succeed(shop, "migrate")
    shop.sql("INSERT INTO shop_item (name) VALUES ('old'), ('new')")
    shop.migration("0002_part", DELETE_THEN_CREATE)

    migration = only(rehearse(shop))

    assert "error" not in {severity for _, severity in findings(migration)}
    assert {"table": "shop_item", "column": None, "rows": 1} in migration["losses"]
