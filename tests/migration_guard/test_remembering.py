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

# A field that nobody refers to changes, and Django makes only the models around it anew: what refers to them keeps keys
# to the classes that were there before.
CHAIN = """
    def keyed(name, *others):
        keys = [(each.lower(), models.ForeignKey(f"shop.{each}", models.CASCADE)) for each in others]
        return migrations.CreateModel(name, [("id", models.BigAutoField(primary_key=True)), *keys])

    class Migration(migrations.Migration):
        dependencies = [("shop", "0001_initial")]
        operations = [
            keyed("Part", "Item"), keyed("Screw", "Part"), keyed("Bolt", "Part"), keyed("Nut", "Bolt"),
            migrations.AddField("Screw", "name", models.CharField(max_length=40, default="")),
        ]
"""
UNDONE_BY_CODE = """
    def back(apps, schema_editor):
        bolt = apps.get_model("shop", "Bolt").objects.first()
        apps.get_model("shop", "Nut").objects.filter(bolt=bolt).get()

    class Migration(migrations.Migration):
        dependencies = [("shop", "0003_longer")]
        operations = [migrations.RunPython(migrations.RunPython.noop, back)]
"""
TYPE_OF_A_NEW_MODEL = """
    def note(apps, schema_editor):
        types = apps.get_model("contenttypes", "ContentType").objects
        noted = types.get_for_model(apps.get_model("shop", "Part"))
        schema_editor.execute("INSERT INTO shop_note VALUES (%s)", [noted.pk])

    class Migration(migrations.Migration):
        dependencies = [("shop", "0001_initial"), ("contenttypes", "0002_remove_content_type_name")]
        operations = [
            migrations.CreateModel("Part", [("id", models.BigAutoField(primary_key=True))]),
            migrations.RunSQL(
                "CREATE TABLE shop_note (type int REFERENCES django_content_type (id) DEFERRABLE INITIALLY DEFERRED)",
                "DROP TABLE shop_note",
            ),
            migrations.RunPython(note, migrations.RunPython.noop),
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


@pytest.mark.endurance
def test_code_of_a_way_back_meets_models_of_one_registry(shop: Stranger) -> None:
    shop.migration("0002_chain", CHAIN)
    shop.operations("0003_longer", "migrations.AlterField('Screw', 'name', models.CharField(max_length=50))")
    shop.migration("0004_code", UNDONE_BY_CODE)

    report = rehearse(shop, "--history")

    assert findings(report["migrations"][-1]) == set()


@pytest.mark.endurance
def test_content_type_that_is_rolled_back_is_forgotten(shop: Stranger) -> None:
    shop.configure("INSTALLED_APPS.append('django.contrib.contenttypes')")
    succeed(shop, "migrate")
    shop.migration("0002_part", TYPE_OF_A_NEW_MODEL)

    migration = only(rehearse(shop))

    assert findings(migration) == {("rows-added", "warning")}
    assert migration["unseen"] == []
