"""`rollback` says what will be undone and lost, asks, and undoes that."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

ADD_V = "migrations.AddField('Item', 'v', models.IntegerField(null=True))"
ADD_W = "migrations.AddField('Item', 'w', models.IntegerField(null=True))"
ADD_TAGS = "migrations.AddField('Item', 'tags', models.ManyToManyField('shop.Tag'))"
CREATE_TAG = "migrations.CreateModel('Tag', [('id', models.BigAutoField(primary_key=True))])"
CREATE_BOX = (
    "migrations.CreateModel('Box', [('id', models.BigAutoField(primary_key=True)), "
    "('size', models.IntegerField(null=True)), ('items', models.ManyToManyField('shop.Item'))])"
)
FAILS = "migrations.RunSQL('SELECT 1/0', migrations.RunSQL.noop)"
THREE_ITEMS = "INSERT INTO shop_item (name) VALUES ('a'), ('b'), ('c')"
NOTHING_WRITTEN = "SELECT relname FROM pg_class WHERE relname IN ('django_migrations', 'migration_guard_run')"


@pytest.fixture
def grown(shop: Stranger) -> Stranger:
    """The shop with three items and two further columns, in a migration each."""
    shop.operations("0002_v", ADD_V)
    shop.operations("0003_w", ADD_W)
    migrate(shop)
    shop.sql(THREE_ITEMS)
    return shop


def migrate(project: Stranger, *arguments: str) -> None:
    migrated = project.manage("migrate", *arguments)
    assert migrated.returncode == 0, migrated.stdout


def undo(project: Stranger, *arguments: str) -> str:
    undone = project.manage("rollback", "--yes", *arguments)
    assert undone.returncode == 0, undone.stdout
    return undone.stdout


def refuse(project: Stranger, *arguments: str, returncode: int = 2) -> str:
    before = project.sql("SELECT * FROM django_migrations")
    refused = project.manage("rollback", *arguments)
    assert refused.returncode == returncode, refused.stdout
    assert "Traceback" not in refused.stdout
    assert project.sql("SELECT * FROM django_migrations") == before
    return refused.stdout


def losses(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.strip().startswith("Drops")]


@contextmanager
def rollback_at_a_terminal(project: Stranger, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    """Run `rollback` until it asks; the program, and the keyboard to answer with."""
    terminal, keys = pty.openpty()
    with (
        os.fdopen(terminal, "w") as keyboard,
        os.fdopen(keys) as stdin,
        subprocess.Popen(
            [sys.executable, "manage.py", "rollback", *arguments],
            cwd=project.path,
            env=project.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as program,
    ):
        assert program.stdout is not None
        said = ""
        while not said.endswith("[y/N] "):
            character = program.stdout.read(1)
            assert character, said
            said += character
        yield program, keyboard


def answer(program: "subprocess.Popen[str]", keyboard: IO[str], text: str) -> str:
    keyboard.write(f"{text}\n")
    keyboard.flush()
    return program.communicate(timeout=30)[0]


def test_last_applied_one_is_undone(grown: Stranger) -> None:
    output = undo(grown)

    assert "shop.0003_w" in output
    assert "shop.0002_v" not in output
    assert grown.applied() == ["0001_initial", "0002_v"]
    assert grown.columns() == {"id", "name", "v"}


def test_so_many_steps_are_undone(grown: Stranger) -> None:
    undo(grown, "--steps", "2")

    assert grown.applied() == ["0001_initial"]
    assert grown.columns() == {"id", "name"}


def test_what_came_after_the_named_one_is_undone(grown: Stranger) -> None:
    undo(grown, "shop", "0001")

    assert grown.applied() == ["0001_initial"]
    assert grown.columns() == {"id", "name"}


def test_zero_undoes_the_whole_app(grown: Stranger) -> None:
    undo(grown, "shop", "zero")

    assert grown.applied() == []
    assert grown.columns() == set()


def test_steps_are_those_of_the_named_app(grown: Stranger) -> None:
    grown.configure("INSTALLED_APPS += ['django.contrib.contenttypes']")
    migrate(grown)

    undo(grown, "shop")

    assert grown.applied() == ["0001_initial", "0002_v"]
    assert grown.sql("SELECT count(*) FROM django_migrations WHERE app = 'contenttypes'") == [(2,)]


def test_last_applied_one_of_all_apps_is_undone(grown: Stranger) -> None:
    grown.configure("INSTALLED_APPS += ['django.contrib.contenttypes']")
    migrate(grown)

    undo(grown)

    assert grown.applied() == ["0001_initial", "0002_v", "0003_w"]
    assert grown.sql("SELECT name FROM django_migrations WHERE app = 'contenttypes'") == [("0001_initial",)]


def test_undone_migration_is_applied_again(grown: Stranger) -> None:
    undo(grown, "--steps", "2")

    migrate(grown)

    assert grown.applied() == ["0001_initial", "0002_v", "0003_w"]
    assert grown.columns() == {"id", "name", "v", "w"}


def test_plan_says_all_and_writes_nothing(grown: Stranger) -> None:
    runs = grown.sql("SELECT * FROM migration_guard_run")

    planned = grown.manage("rollback", "shop", "0001", "--plan")

    assert planned.returncode == 0
    assert planned.stdout.index("shop.0003_w") < planned.stdout.index("shop.0002_v")
    assert len(losses(planned.stdout)) == 2
    assert grown.applied() == ["0001_initial", "0002_v", "0003_w"]
    assert grown.sql("SELECT * FROM migration_guard_run") == runs


def test_without_a_terminal_it_asks_for_yes(grown: Stranger) -> None:
    said = refuse(grown)

    assert "There is no terminal to ask at. Nothing was undone; --yes does it." in said


@pytest.mark.parametrize("text", ["n", "", "no"])
def test_no_at_the_terminal_undoes_nothing(grown: Stranger, text: str) -> None:
    with rollback_at_a_terminal(grown) as (program, keyboard):
        said = answer(program, keyboard, text)

    assert program.returncode != 0
    assert "Nothing was undone." in said
    assert grown.applied() == ["0001_initial", "0002_v", "0003_w"]


def test_yes_at_the_terminal_undoes(grown: Stranger) -> None:
    with rollback_at_a_terminal(grown) as (program, keyboard):
        said = answer(program, keyboard, "y")

    assert program.returncode == 0, said
    assert grown.applied() == ["0001_initial", "0002_v"]


def test_yes_is_not_taken_for_what_another_process_has_changed_meanwhile(grown: Stranger) -> None:
    with rollback_at_a_terminal(grown) as (program, keyboard):
        undo(grown)
        said = answer(program, keyboard, "y")

    assert program.returncode == 2
    assert "Another process changed the database meanwhile. Nothing was undone." in said
    assert grown.applied() == ["0001_initial", "0002_v"]


def test_values_of_a_column_are_counted(grown: Stranger) -> None:
    grown.sql("UPDATE shop_item SET w = 1 WHERE name <> 'c'")

    output = undo(grown)

    assert losses(output) == ["Drops the column shop_item.w, which has a value in 2 rows."]


def test_rows_of_a_table_and_of_its_many_to_many_table_are_counted(grown: Stranger) -> None:
    grown.operations("0004_box", CREATE_BOX)
    migrate(grown)
    grown.sql("INSERT INTO shop_box (size) VALUES (1)")
    grown.sql("INSERT INTO shop_box_items (box_id, item_id) SELECT 1, id FROM shop_item")

    output = undo(grown)

    assert sorted(losses(output)) == [
        "Drops the table shop_box with 1 row.",
        "Drops the table shop_box_items with 3 rows.",
    ]


def test_rows_of_an_added_many_to_many_table_are_counted(grown: Stranger) -> None:
    grown.operations("0004_tags", CREATE_TAG)
    grown.operations("0005_item_tags", ADD_TAGS)
    migrate(grown)
    grown.sql("INSERT INTO shop_tag SELECT 1")
    grown.sql("INSERT INTO shop_item_tags (item_id, tag_id) SELECT id, 1 FROM shop_item")

    output = undo(grown)

    assert losses(output) == ["Drops the table shop_item_tags with 3 rows."]


@pytest.mark.parametrize(
    ("renaming", "column"),
    [
        ("migrations.RenameField('Item', 'w', 'cost')", "shop_item.cost"),
        ("migrations.RenameModel('Item', 'Thing')", "shop_thing.w"),
        ("migrations.AlterModelTable('Item', 'things')", "things.w"),
        ("migrations.AlterField('Item', 'w', models.IntegerField(null=True, db_column='cost'))", "shop_item.cost"),
        ("migrations.RenameField('Item', 'w', 'cost'), migrations.RenameModel('Item', 'Thing')", "shop_thing.cost"),
        ("migrations.RenameModel('Item', 'Thing'), migrations.RenameField('Thing', 'w', 'cost')", "shop_thing.cost"),
    ],
    ids=["field", "model", "table", "column", "field and model", "model and field"],
)
def test_values_of_a_column_that_was_renamed_are_counted(grown: Stranger, renaming: str, column: str) -> None:
    grown.sql("UPDATE shop_item SET w = 1 WHERE name <> 'c'")
    grown.operations("0004_rename", renaming)
    migrate(grown)

    output = undo(grown, "shop", "0002")

    assert losses(output) == [f"Drops the column {column}, which has a value in 2 rows."]
    assert grown.columns() == {"id", "name", "v"}


@pytest.mark.parametrize(
    ("renaming", "present"),
    [
        ("migrations.RenameModel('Box', 'Crate')", ["shop_crate", "shop_crate_items"]),
        ("migrations.AlterModelTable('Box', 'crates')", ["crates", "crates_items"]),
        ("migrations.RenameField('Box', 'items', 'content')", ["shop_box", "shop_box_content"]),
    ],
    ids=["model", "table", "field"],
)
def test_rows_of_tables_that_were_renamed_are_counted(grown: Stranger, renaming: str, present: list[str]) -> None:
    grown.operations("0004_box", CREATE_BOX)
    grown.operations("0005_rename", renaming)
    migrate(grown)
    table, items = present
    grown.sql(f"INSERT INTO {table} (size) VALUES (1)")
    (first_column,) = grown.columns(items) - {"id", "item_id"}
    grown.sql(f"INSERT INTO {items} ({first_column}, item_id) SELECT 1, id FROM shop_item")

    output = undo(grown, "shop", "0003")

    assert sorted(losses(output)) == [
        f"Drops the table {table} with 1 row.",
        f"Drops the table {items} with 3 rows.",
    ]


def test_column_that_only_the_database_has_is_counted(grown: Stranger) -> None:
    grown.operations("0004_y", f"migrations.SeparateDatabaseAndState(database_operations=[{ADD_W.replace('w', 'y')}])")
    migrate(grown)
    grown.sql("UPDATE shop_item SET y = 1 WHERE name <> 'c'")

    output = undo(grown)

    assert losses(output) == ["Drops the column shop_item.y, which has a value in 2 rows."]


def test_model_that_moves_to_another_app_moves_back_without_loss(grown: Stranger) -> None:
    grown.configure("INSTALLED_APPS += ['stock']")
    grown.write("stock/__init__.py", "")
    grown.write("stock/migrations/__init__.py", "")
    to_stock = "migrations.AlterModelTable('Item', 'stock_item')"
    grown.operations(
        "0004_move",
        f"migrations.SeparateDatabaseAndState(database_operations=[{to_stock}], "
        "state_operations=[migrations.DeleteModel('Item')])",
    )
    migrate(grown)

    output = undo(grown)

    assert losses(output) == []
    assert grown.sql("SELECT count(*) FROM shop_item") == [(3,)]


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ("migrations.RunSQL('UPDATE shop_item SET name = upper(name)')", ": The old spelling is nowhere kept."),
        ("migrations.RunPython(shout)", ": Who shouts cannot take it back."),
    ],
    ids=["RunSQL", "RunPython"],
)
def test_irreversible_one_is_named_with_its_reason(grown: Stranger, operation: str, told: str) -> None:
    grown.migration(
        "0004_shout",
        f'''
        def shout(apps, schema_editor):
            """Who shouts
            cannot take it back."""


        class Migration(migrations.Migration):
            """The old spelling is nowhere kept."""

            dependencies = [("shop", "0003_w")]
            operations = [{operation}]
        ''',
    )
    grown.operations("0005_x", "migrations.AddField('Item', 'x', models.IntegerField(null=True))")
    migrate(grown)

    said = refuse(grown, "--yes", "--steps", "2")

    assert "shop.0004_shout cannot be undone" in said
    assert told in said
    assert "Nothing was undone." in said


def test_irreversible_one_without_a_docstring_is_named(grown: Stranger) -> None:
    grown.operations("0004_shout", "migrations.RunPython(lambda apps, editor: None)")
    migrate(grown)

    said = refuse(grown, "--yes")

    assert "shop.0004_shout cannot be undone" in said
    assert "no docstring says why" in said


def test_name_that_is_not_applied_is_refused(grown: Stranger) -> None:
    grown.operations("0004_x", "migrations.AddField('Item', 'x', models.IntegerField(null=True))")

    said = refuse(grown, "shop", "0004", "--yes")

    assert "is not applied: rollback only undoes, and this would apply shop.0004_x" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("shop", "0009"),
        ("shop", "000"),
        ("shopp",),
        ("shopp", "0001"),
        ("shopp", "zero"),
        ("--steps", "0"),
        ("shop", "0001", "--steps", "1"),
    ],
    ids=" ".join,
)
def test_arguments_that_name_nothing_are_refused(grown: Stranger, arguments: tuple[str, ...]) -> None:
    said = refuse(grown, *arguments, "--yes")

    assert "Nothing to undo" not in said


def test_empty_database_has_nothing_to_undo(shop: Stranger) -> None:
    undone = shop.manage("rollback", "--yes")

    assert (undone.returncode, undone.stdout) == (0, "Nothing to undo.\n")
    assert shop.sql(NOTHING_WRITTEN) == []


def test_when_all_is_undone_there_is_nothing_to_undo(grown: Stranger) -> None:
    undo(grown, "shop", "zero")

    assert undo(grown) == "Nothing to undo.\n"
    assert undo(grown, "shop", "zero") == "Nothing to undo.\n"


def test_one_that_was_applied_without_the_guard_is_undone(grown: Stranger) -> None:
    grown.sql("DROP TABLE migration_guard_run")

    undo(grown)

    assert grown.applied() == ["0001_initial", "0002_v"]
    assert grown.columns() == {"id", "name", "v"}


@pytest.mark.parametrize(
    ("operations", "columns"),
    [
        ((ADD_V, FAILS), {"id", "name", "v"}),
        ((ADD_V, "migrations.RunSQL('SELECT 1/0')"), {"id", "name", "v"}),
        ((ADD_V, FAILS, ADD_W), {"id", "name", "v"}),
        ((ADD_V, ADD_W, FAILS), {"id", "name", "v", "w"}),
    ],
    ids=["failed one", "irreversible one that failed", "column not yet there", "two columns"],
)
def test_half_applied_one_is_undone(shop: Stranger, operations: tuple[str, ...], columns: set[str]) -> None:
    shop.operations("0002_half", *operations, atomic=False)
    assert shop.manage("migrate").returncode != 0
    assert shop.columns() == columns

    output = undo(shop)

    assert "shop.0002_half" in output
    assert shop.columns() == {"id", "name"}
    assert shop.applied() == ["0001_initial"]
    assert "0002_half" not in shop.manage("rollback", "--plan").stdout


def test_half_applied_one_does_not_show_what_is_not_there(shop: Stranger) -> None:
    shop.operations("0002_half", ADD_V, FAILS, ADD_W, atomic=False)
    shop.manage("migrate")

    planned = shop.manage("rollback", "--plan")

    assert losses(planned.stdout) == ["Drops the column shop_item.v, which is empty."]


def write_stock(project: Stranger) -> None:
    """Another app, one of whose migrations depends on the shop's 0003."""
    project.configure("INSTALLED_APPS += ['stock']")
    project.write("stock/__init__.py", "")
    project.write("stock/migrations/__init__.py", "")
    project.migration(
        "0001_initial",
        """
        class Migration(migrations.Migration):
            dependencies = [("shop", "0003_w")]
            operations = [
                migrations.CreateModel("Shelf", [
                    ("id", models.BigAutoField(primary_key=True)),
                    ("item", models.ForeignKey("shop.Item", models.CASCADE)),
                ]),
            ]
        """,
        app="stock",
    )


@pytest.mark.parametrize("arguments", [("shop",), ("shop", "0002")], ids=" ".join)
def test_dependent_of_another_app_is_undone_with_it(grown: Stranger, arguments: tuple[str, ...]) -> None:
    write_stock(grown)
    migrate(grown)
    grown.sql("INSERT INTO stock_shelf (item_id) SELECT id FROM shop_item")

    output = undo(grown, *arguments)

    assert output.index("stock.0001_initial") < output.index("shop.0003_w")
    assert "Drops the table stock_shelf with 3 rows." in output
    assert grown.applied() == ["0001_initial", "0002_v"]
    assert grown.sql("SELECT name FROM django_migrations WHERE app = 'stock'") == []


SQUASH = f"""
class Migration(migrations.Migration):
    replaces = [("shop", "0002_v"), ("shop", "0003_w")]
    dependencies = [("shop", "0001_initial")]
    operations = [{ADD_V}, {ADD_W}]
"""


def test_squash_is_undone(shop: Stranger) -> None:
    shop.migration("0002_squashed", SQUASH)
    migrate(shop)
    shop.sql(THREE_ITEMS)

    output = undo(shop)

    assert "shop.0002_squashed" in output
    assert len(losses(output)) == 2
    assert shop.applied() == ["0001_initial"]
    assert shop.columns() == {"id", "name"}


def test_squash_of_applied_migrations_is_undone(grown: Stranger) -> None:
    grown.migration("0002_squashed", SQUASH)

    output = undo(grown)

    assert "shop.0002_squashed" in output
    assert grown.applied() == ["0001_initial"]
    assert grown.columns() == {"id", "name"}


def test_squash_whose_migrations_are_gone_is_undone(grown: Stranger) -> None:
    grown.migration("0002_squashed", SQUASH)
    migrate(grown)
    for name in ("0002_v", "0003_w"):
        (grown.path / f"shop/migrations/{name}.py").unlink()

    undo(grown)

    assert grown.applied() == ["0001_initial"]
    assert grown.columns() == {"id", "name"}
    assert "0002_squashed" in grown.manage("migrate").stdout


def test_applied_one_that_this_code_lacks_is_refused(grown: Stranger) -> None:
    (grown.path / "shop/migrations/0003_w.py").unlink()

    said = refuse(grown, "--yes")

    assert "shop.0003_w is applied and not in this code" in said


def test_history_shows_the_undoing(grown: Stranger) -> None:
    undo(grown)

    last = grown.manage("history").stdout.splitlines()[-1]
    assert "undone" in last
    assert "shop.0003_w" in last


def test_one_of_two_branches_is_undone_alone(shop: Stranger) -> None:
    """No target of `migrate` leads there."""
    shop.operations("0002_a", "migrations.AddField('Item', 'a', models.IntegerField(null=True))", after="0001_initial")
    shop.operations("0002_b", "migrations.AddField('Item', 'b', models.IntegerField(null=True))", after="0001_initial")
    merge = shop.operations("0003_merge", after="0002_a")
    merge.write_text(merge.read_text().replace("('shop', '0002_a')", "('shop', '0002_b'), ('shop', '0002_a')"))
    shop.manage("migrate")
    first_of_them = shop.applied()[1]

    undone = shop.manage("rollback", "--steps", "2", "--yes")

    assert undone.returncode == 0, undone.stdout
    assert shop.applied() == ["0001_initial", first_of_them]


def test_column_that_was_removed_since_is_no_loss(shop: Stranger) -> None:
    shop.operations("0002_v", "migrations.AddField('Item', 'v', models.IntegerField(null=True))")
    shop.operations("0003_no_v", "migrations.RemoveField('Item', 'v')")
    shop.manage("migrate")

    undone = shop.manage("rollback", "shop", "0001", "--yes")

    assert undone.returncode == 0, undone.stdout
    assert shop.applied() == ["0001_initial"]


def test_row_of_an_app_that_was_taken_out_is_left_alone(shop: Stranger) -> None:
    shop.manage("migrate")
    shop.sql("INSERT INTO django_migrations (app, name, applied) VALUES ('gone', '0001_initial', now())")

    planned = shop.manage("rollback", "--plan")

    assert planned.returncode == 0, planned.stdout
    assert "shop.0001_initial" in planned.stdout


def test_squash_is_as_old_as_what_it_replaces(shop: Stranger) -> None:
    initial = (shop.path / "shop/migrations/0001_initial.py").read_text()
    shop.write(
        "shop/migrations/0001_squashed.py",
        initial.replace("initial = True", "initial = True\n    replaces = [('shop', '0001_initial')]"),
    )
    shop.operations("0002_v", "migrations.AddField('Item', 'v', models.IntegerField(null=True))", after="0001_squashed")
    shop.manage("migrate")

    planned = shop.manage("rollback", "--plan")

    assert "shop.0002_v" in planned.stdout
    assert "shop.0001_squashed" not in planned.stdout


@pytest.mark.parametrize("command", ["rollback", "history"])
def test_database_of_another_vendor_is_refused(shop: Stranger, command: str) -> None:
    shop.configure("DATABASES['lite'] = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'lite.sqlite3'}")

    refused = shop.manage(command, "--database", "lite")

    assert refused.returncode == 2
    assert "The database lite is SQLite: the guard knows PostgreSQL only." in refused.stdout
