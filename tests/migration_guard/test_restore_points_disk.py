"""A folder of restore points that cannot be written to: no migration runs, and nothing is left behind."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.migration_guard.restoring import CREATE_BOX, DROP_V, fill, leftovers, points, refuse, restore, succeed, sums
from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

TEXTS = "UPDATE shop_item SET name = left(md5(id::text), 30)"
BOXES = "INSERT INTO shop_box (item_id, label) SELECT id, left(md5(id::text), 9) FROM shop_item"
WAYS = {
    "column": DROP_V,
    "rows": "migrations.RunSQL(\"UPDATE shop_item SET name = 'x'\", migrations.RunSQL.noop)",
    "table": "migrations.DeleteModel('Box')",
}


@contextmanager
def small_disk(folder: Path, *, kilobytes: int) -> Iterator[Path]:
    """A file system of that size in place of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("Only root may mount a file system, and not in every container.")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill_up(disk: Path) -> Path:
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    # Room for a folder, and not for what is to be in it.
    os.truncate(ballast, max(ballast.stat().st_size - (1 << 15), 0))
    return ballast


def test_full_disk(shop: Stranger) -> None:
    fill(shop, 20_000)
    shop.operations("0003_box", CREATE_BOX.replace(", unique=True", ""))
    succeed(shop, "migrate")
    shop.sql(TEXTS)
    shop.sql(BOXES)
    before = sums(shop, "shop_item", "shop_box")
    with small_disk(shop.path / "restore_points", kilobytes=4000) as disk:
        for kind, operation in WAYS.items():
            shop.operations("0004_destroy", operation)
            ballast = fill_up(disk)

            said = refuse(shop, "migrate")

            assert "cannot be written (No space left on device); RESTORE_POINTS names the folder." in said, kind
            assert "nothing of it is in the database. Mend that and run it again." in said
            assert shop.applied()[-1] == "0003_box"
            assert sums(shop, "shop_item", "shop_box") == before
            assert (points(shop), leftovers(shop)) == ([], [])
            ballast.unlink()
            succeed(shop, "migrate")
            assert sums(shop, "shop_item") != before or kind == "table"
            restore(shop)
            assert sums(shop, "shop_item", "shop_box") == before
            succeed(shop, "migrate", "--fake", "shop", "0003")
            subprocess.run(
                ["rm", "-r", *(str(path) for path in (disk / shop.env["POSTGRES_DB"]).iterdir())], check=True
            )
