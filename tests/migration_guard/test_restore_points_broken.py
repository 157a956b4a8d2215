"""Where pg_dump is missing, too old or wrong, no migration runs; a point that is damaged later is not restored."""

import shutil
import sys
from pathlib import Path

import pytest

from config.wheel import client_programs
from migration_guard.programs import DEBIAN
from tests.migration_guard.restoring import (
    ADD_V,
    CREATE_BOX,
    ITEMS,
    folder,
    leftovers,
    points,
    refuse,
    restore,
    succeed,
    sums,
)
from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

# pg_dump, and then something else with what it has written.
FAKE = """#!{python}
import subprocess, sys
real = {real!r}
if "--version" in sys.argv:
    sys.exit(subprocess.call([real, *sys.argv[1:]]))
options = sys.argv[1:]
data = subprocess.run([real, *options, *{more!r}], stdout=subprocess.PIPE, check=True).stdout
if "--format=custom" in options:
    data = bytearray(data)
    {change}
sys.stdout.buffer.write(data)
"""
SPOIL = "at = {at}; data[at:at + 64] = bytes(byte ^ 1 for byte in data[at:at + 64])"
WRONG = {
    "cut at 60 %": "del data[len(data) * 6 // 10:]",
    "without its last byte": "del data[-1:]",
    "bad in the middle": SPOIL.format(at="len(data) // 2"),
    "bad near the end": SPOIL.format(at="len(data) - 200"),
    "bad in the table of contents": SPOIL.format(at="data.index(b'TABLE DATA') - 32"),
    "bad in a definition": SPOIL.format(at="data.index(b'CREATE TABLE') + 20"),
    "bad in the definition of a key": "at = data.index(b'UNIQUE (label)'); data[at + 8] ^= 1",
}
LABELS = "INSERT INTO shop_box (item_id, label) SELECT 1 + n % 10, n FROM generate_series(1, 20000) n"


@pytest.fixture
def boxes(shop: Stranger) -> Stranger:
    """Twenty thousand boxes, whose table is about to be dropped; there is no fitting pg_dump but the one of `use`."""
    ((major,),) = shop.sql("SELECT current_setting('server_version_num')::integer / 10000")
    if any(int(path.name) >= int(str(major)) for path in Path(DEBIAN).glob("[0-9]*")):
        pytest.skip(f"{DEBIAN} has a fitting pg_dump, which is always found")
    shop.operations("0002_v", ADD_V)
    shop.operations("0003_box", CREATE_BOX)
    succeed(shop, "migrate")
    shop.sql(ITEMS, 10)
    shop.sql(LABELS)
    shop.operations("0004_drop_box", "migrations.DeleteModel('Box')")
    shop.env["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin:{shop.path / 'bin'}"
    (shop.path / "bin").mkdir()
    return shop


def use(project: Stranger, script: str) -> None:
    """As pg_dump."""
    target = project.path / "bin/pg_dump"
    target.write_text(script)
    target.chmod(0o755)
    shutil.copy(target, project.path / "bin/pg_restore")
    if "--version" in script:
        reader = project.path / "bin/pg_restore"
        reader.write_text(f'#!/bin/sh\nexec {client_programs()}/pg_restore "$@"\n')


def fake(change: str = "pass", *more: str) -> str:
    real = f"{client_programs()}/pg_dump"
    return FAKE.format(python=sys.executable, real=real, more=more, change=change)


def refused(project: Stranger) -> str:
    """What `migrate` says; everything is as it was."""
    before = sums(project, "shop_box", "shop_item")
    said = refuse(project, "migrate")
    assert sums(project, "shop_box", "shop_item") == before
    assert project.applied()[-1] == "0003_box"
    assert (points(project), leftovers(project)) == ([], [])
    assert "What would be destroyed could not be kept" in said
    assert "It was rolled back, nothing of it is in the database." in said
    return said


def test_wrong_programs_let_no_migration_run(boxes: Stranger) -> None:
    assert "pg_dump has to be as new: found here: " in refused(boxes)

    use(boxes, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    assert "found here: 9" in refused(boxes)

    use(boxes, fake("pass", "--exclude-table-data=shop_box"))
    assert "has 0 rows of public.shop_box, which has 20000; look after pg_dump" in refused(boxes)

    for name, change in WRONG.items():
        use(boxes, fake(change))
        said = refused(boxes)
        assert "pg_restore" in said or "look after pg_dump" in said, name

    before = sums(boxes, "shop_box")
    use(boxes, fake())
    succeed(boxes, "migrate")
    restore(boxes)
    assert sums(boxes, "shop_box") == before


def test_damaged_points_are_called_broken_and_not_restored(shop: Stranger) -> None:
    shop.operations("0002_v", ADD_V)
    shop.operations("0003_box", CREATE_BOX)
    succeed(shop, "migrate")
    shop.sql(ITEMS, 500)
    shop.sql(LABELS)
    shop.operations(
        "0004_destroy",
        "migrations.DeleteModel('Box')",
        "migrations.RunSQL(\"UPDATE shop_item SET name = 'x'\")",
        "migrations.RemoveField('Item', 'v')",
    )
    succeed(shop, "migrate")
    (whole,) = points(shop)
    after, damaged = sums(shop, "shop_item"), {}
    for path in (folder(shop) / whole).iterdir():
        for damage in (cut, spoil):
            name = f"{whole}-{damage.__name__}-{path.name}"
            shutil.copytree(path.parent, folder(shop) / name)
            damage(folder(shop) / name / path.name)
            damaged[name] = path.name
    assert {file.lstrip("0123456789").lstrip("-") for file in damaged.values()} == {
        "manifest.json",
        "table.dump",
        "rows.copy.gz",
        "3.copy.gz",
        "3-since.copy.gz",
    }

    listed = refuse(shop, "restore_points", returncode=1)

    assert {name for name in damaged if f"{name}  BROKEN" in listed} == set(damaged)
    assert f"{whole}  whole" in listed
    for name, file in damaged.items():
        said = refuse(shop, "restore", name, "--yes")
        assert file in said or "manifest" in said
        assert "Nothing was restored" in said or "cannot be restored" in said
    assert sums(shop, "shop_item") == after
    assert shop.columns("shop_box") == set()


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + 64] = bytes(byte ^ 1 for byte in data[at : at + 64])
    path.write_bytes(data)
