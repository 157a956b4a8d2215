"""The app `shop` that the benchmarks change: its models, its table with rows, and what a release runs on it."""

from pathlib import Path

from benchmarks.scratch import Scratch, create, server
from benchmarks.traffic import Load

HEAD = "from django.db import models\n\n\n"
BOX = """\
class Box(models.Model):
    label = models.CharField(max_length=20)


"""
PRICE = "    price = models.IntegerField(null=True)\n"
COUNT = "    count = models.IntegerField(default=0)\n"
REFERENCE = "    box = models.ForeignKey(Box, models.CASCADE, null=True{})\n"
WITHOUT_CONSTRAINT = ", db_constraint=False"
ITEM = (
    "class Item(models.Model):\n    name = models.CharField(max_length=40)\n"
    f"{PRICE}{COUNT}{REFERENCE.format(WITHOUT_CONSTRAINT)}"
)
BEFORE = HEAD + BOX + ITEM
BOXES = 1_000

FILL_BOXES = f"INSERT INTO shop_box (label) SELECT n::text FROM generate_series(1, {BOXES}) n"
NEW_ROW = f"gen_random_uuid(), (random() * 1000000)::int, 1, 1 + (random() * {BOXES - 1})::int"
COLUMNS = "name, price, count, box_id"
FILL = f"INSERT INTO shop_item ({COLUMNS}) SELECT {NEW_ROW} FROM generate_series(1, %(rows)s)"
INSERT = f"INSERT INTO shop_item ({COLUMNS}) VALUES ({NEW_ROW}) RETURNING id"
UPDATE = "UPDATE shop_item SET price = price + 1, count = count + 1 WHERE id = %(key)s"
READ = f"SELECT id, {COLUMNS} FROM shop_item WHERE id = %(key)s"


def begin(path: Path, database: str) -> Scratch:
    """A project with the models of before and their migration; the database is made anew, and left empty."""
    project = Scratch(path, server(database), ["shop"])
    project.write("shop/models.py", BEFORE)
    create(server(database))
    project.must_manage(database, "makemigrations", "shop", "--name", "initial")
    return project


def fill(project: Scratch, database: str, rows: int) -> None:
    """Make the database anew, with the tables of before and so many items."""
    create(server(database))
    project.must_manage(database, "migrate")
    with server(database).connect() as connection:
        connection.execute(FILL_BOXES.encode())
        connection.execute(FILL.encode(), {"rows": rows})
        connection.execute("VACUUM (ANALYZE)")


def loads(rows: int) -> list[Load]:
    """The release before the change at work: it knows the columns of BEFORE."""
    return [Load("insert", INSERT), Load("update", UPDATE, keys=rows), Load("read", READ, keys=rows)]
