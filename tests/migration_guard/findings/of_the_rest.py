"""Further shapes of what docs/findings.md says of rows, SQL, Python and comments; and what the guard writes itself."""

from tests.migration_guard.findings.writing import code, python, sql

ROWS = [
    sql("a delete of everything", "DELETE FROM shop_item;", "one-update-of-everything"),
    sql(
        "an update within WITH",
        "WITH gone AS (DELETE FROM shop_item RETURNING id) SELECT count(*) FROM gone;",
        "one-update-of-everything",
    ),
    sql(
        "rows of a new table",
        "CREATE TABLE t (id bigint PRIMARY KEY);\nINSERT INTO t VALUES (1);\nUPDATE t SET id = 2;",
    ),
    sql("rows of another table than the changed one", "ALTER TABLE a ADD x int;\nINSERT INTO b VALUES (1);"),
    sql("each committed by itself", "-- atomic = False\nALTER TABLE a ADD x int;\nINSERT INTO a VALUES (1);"),
    python(
        "a function beside a schema change",
        """
def fill(apps, schema_editor):
    apps.get_model("shop", "Item").objects.create(name="first")


operations = [
    migrations.AddField("Item", "price", models.IntegerField(null=True)),
    migrations.RunPython(fill, migrations.RunPython.noop),
]
""",
        "data-with-schema-change",
    ),
    python(
        "a function that does nothing beside a schema change",
        """
operations = [
    migrations.AddField("Item", "price", models.IntegerField(null=True)),
    migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: None),
]
""",
    ),
]
SQL = [
    sql("a semicolon in a text", "UPDATE shop_item SET name = 'BEGIN; COMMIT;' WHERE id = 1;"),
    sql("BEGIN of a function's body", "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;"),
    sql("a savepoint", "SAVEPOINT here;\nRELEASE SAVEPOINT here;", "transaction-control"),
    sql("nothing", ""),
    sql("a comment alone", "-- later"),
    sql("a grammar that is new in 18", "ALTER TABLE shop_item ADD CONSTRAINT there NOT NULL name NOT VALID;"),
    python(
        "an operation within SeparateDatabaseAndState",
        """
operations = [
    migrations.SeparateDatabaseAndState(
        database_operations=[migrations.RunSQL("CREATE INDEX i ON shop_item (name)", "DROP INDEX i")],
        state_operations=[migrations.AddIndex("Item", models.Index(fields=["name"], name="i"))],
    ),
]
""",
        "index-not-concurrent",
    ),
    python(
        "state operations send no SQL",
        """
operations = [
    migrations.SeparateDatabaseAndState(
        state_operations=[migrations.AddIndex("Item", models.Index(fields=["name"], name="i"))],
    ),
]
""",
    ),
    python(
        "a list with parameters",
        """
operations = [
    migrations.RunSQL([("UPDATE shop_item SET name = %s WHERE id = %s", ["100%", 1])], migrations.RunSQL.noop),
]
""",
    ),
]
PYTHON = [
    code("update of everything", 'Item.objects.update(name="x")', "python-unbatched"),
    code(
        "update of everything outside",
        'Item.objects.update(name="x")',
        "python-unbatched",
        "may-not-run-twice",
        atomic=False,
    ),
    code("a loop over all rows", "for item in Item.objects.all():\n    item.save()", "python-unbatched"),
    code("a loop over an iterator", "for item in Item.objects.iterator():\n    print(item.name)"),
    code(
        "a loop over an iterator that writes",
        "for item in Item.objects.iterator():\n    item.save()",
        "python-unbatched",
    ),
    code("a list of rows in a batch", "items = [Item(name='x')]\nItem.objects.bulk_update(items, ['name'])"),
    code(
        "rows of another database", "if schema_editor.connection.vendor == 'sqlite':\n    Item.objects.update(name='x')"
    ),
    code("a cache", "from django.core.cache import cache\ncache.clear()", "python-external-service"),
    code("one row", 'Item.objects.filter(pk=1).update(name="x")'),
    code("rows that are made", 'Item.objects.bulk_create([Item(name="x")])'),
    code(
        "a cursor",
        'with schema_editor.connection.cursor() as cursor:\n    cursor.execute("SELECT 1")',
        "python-raw-cursor",
    ),
    code(
        "a mail",
        'from django.core.mail import send_mail\nsend_mail("a", "b", None, ["c@example.com"])',
        "python-external-service",
    ),
    code("a program", 'import subprocess\nsubprocess.run(["true"])', "python-external-service"),
    code("urllib.parse talks to nobody", "from urllib.parse import quote\nItem.objects.get_or_create(name=quote('a'))"),
    python(
        "no way back",
        "def fill(apps, schema_editor):\n    pass\n\n\noperations = [migrations.RunPython(fill)]",
        "irreversible",
    ),
    python(
        "nothing to do and nothing to undo",
        "operations = [migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: None)]",
    ),
    python(
        "the reason in the module's docstring",
        '"""Irreversible: the names are gone."""\n\n\n'
        "class Migration(migrations.Migration):\n"
        "    operations = [migrations.RunSQL(\"UPDATE shop_item SET name = '' WHERE id = 1\")]\n",
    ),
    python(
        "a helper of the same module",
        """
def rename(item):
    item.name = "x"


def fill(apps, schema_editor):
    for item in apps.get_model("shop", "Item").objects.all():
        rename(item)


operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
""",
        "python-unbatched",
    ),
    python(
        "a lambda",
        "operations = [migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop)]",
    ),
    python(
        "SQL outside transactions that asks first",
        """
atomic = False
operations = [RunSQLOnce("VACUUM shop_item", migrations.RunSQL.noop, done="SELECT true")]
""",
    ),
]
SILENCES = [
    python(
        "a reason at the end of the line",
        "operations = [\n"
        '    migrations.RemoveField("Item", "name"),  # review: drop-column: nobody runs the previous release\n]',
    ),
    python(
        "two ids, one reason",
        "operations = [\n"
        "    # review: drop-column, rename-column: nobody runs the previous release\n"
        '    migrations.RemoveField("Item", "name"),\n]',
        "silence-unused",
    ),
    python(
        "a comment on the other operation",
        "operations = [\n"
        "    # review: drop-column: nobody runs the previous release\n"
        '    migrations.AddField("Item", "price", models.IntegerField(null=True)),\n'
        '    migrations.RemoveField("Item", "name"),\n]',
        "drop-column",
        "silence-unused",
    ),
    python(
        "a comment above the class holds for all",
        "# review: drop-column: nobody runs the previous release\n"
        "class Migration(migrations.Migration):\n"
        '    operations = [migrations.RemoveField("Item", "name")]\n',
    ),
    python(
        "a text that is no comment",
        "operations = [\n"
        "    migrations.RunSQL(\"TRUNCATE shop_item -- '# review: truncate: why not'\", migrations.RunSQL.noop),\n]",
        "truncate",
    ),
]
GUARD = [
    python(
        "a unique constraint by the guard",
        """
atomic = False
operations = [
    AddUniqueConstraintConcurrently("Item", models.UniqueConstraint(fields=["name"], name="item_name_unique")),
]
""",
    ),
    python(
        "a unique field by the guard",
        """
atomic = False
operations = [AlterFieldConcurrently("Item", "name", models.CharField(max_length=40, unique=True))]
""",
    ),
    python(
        "an indexed field by the guard",
        """
atomic = False
operations = [AlterFieldConcurrently("Item", "name", models.CharField(max_length=40, db_index=True))]
""",
    ),
    python(
        "unique_together by the guard",
        """
atomic = False
operations = [UniqueTogetherConcurrently("Item", {("name", "id")})]
""",
    ),
    python(
        "NOT NULL by the guard",
        """
operations = [migrations.AddField("Item", "price", models.IntegerField(null=True))]
# the next migration
atomic = False
operations = [AlterFieldToNotNull("Item", "price", models.IntegerField())]
""",
    ),
    python(
        "NOT NULL with a default by the guard",
        """
operations = [migrations.AddField("Item", "price", models.IntegerField(null=True))]
# the next migration
atomic = False
operations = [AlterFieldToNotNull("Item", "price", models.IntegerField(default=0))]
""",
    ),
    python(
        "a foreign key by the guard",
        """
operations = [migrations.AddField("Item", "part_of", models.BigIntegerField(null=True, db_column="part_of_id"))]
# the next migration
atomic = False
operations = [
    AlterFieldForeignKeyNotValid("Item", "part_of", models.ForeignKey("shop.Item", models.CASCADE, null=True)),
]
# the next migration
operations = [ValidateForeignKey("Item", "part_of")]
""",
    ),
    python(
        "a field's removal by the guard",
        """
operations = [RetireField("Item", "name")]
# the next migration
operations = [DropRetiredField("Item", "name", models.CharField(max_length=40))]
""",
    ),
    python(
        "a model's removal by the guard",
        """
operations = [RetireModel("Item")]
# the next migration
operations = [DropRetiredModel("Item", [("id", models.BigAutoField(primary_key=True))])]
""",
    ),
    python(
        "a model's other name by the guard",
        """
operations = [RenameModelKeepingView("Item", "Thing")]
# the next migration
operations = [DropOldNameView("Item", "Thing")]
""",
    ),
]
