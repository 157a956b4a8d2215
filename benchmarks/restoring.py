"""A restore point of a dropped column beside `pg_dump -Fc -t` of its table: time and size; and the way back.

Needs a server: uv run python manage.py db start, then

    uv run python -m benchmarks.restoring [--rows N]

The point's time is that of `migrate` with it, less that of `migrate --without-restore-point` on a copy of the database.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.measure import machine, seconds_of
from benchmarks.scratch import Scratch, drop, make_copy, server
from benchmarks.shop import begin, fill
from config.wheel import client_programs

DATABASE, COPY = "restoring_benchmark", "restoring_benchmark_copy"
DROP_PRICE = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RemoveField("item", "price")]
"""
GUARD = "migration_guard"
SUM = "SELECT count(price), sum(price) FROM shop_item"
TIMES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    rows = parser.parse_args().rows
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        project = begin(Path(folder), DATABASE)
        try:
            fill(project, DATABASE, rows)
            project.write("shop/migrations/0002_drop_price.py", DROP_PRICE)
            report(project, rows)
        finally:
            drop(server(COPY))
            drop(server(DATABASE))


def report(project: Scratch, rows: int) -> None:
    without, kept, dumped = [], [], []
    for _ in range(TIMES):
        without.append(migrate(project, "--without-restore-point", "--reason", "to measure"))
        dumped.append(seconds_of(lambda: dump(project.path / "peer.dump")))
        kept.append(migrate(project))
    point = median(kept) - median(without)
    (folder, *_) = sorted((project.path / "restore_points" / COPY).iterdir())
    size = sum(file.stat().st_size for file in folder.iterdir())
    peer, peer_size = median(dumped), (project.path / "peer.dump").stat().st_size
    print(
        f"{rows:,} rows, medians of {TIMES}: restore point {point:.1f} s, {size / 1e6:.1f} MB; "
        f"pg_dump -Fc -t {peer:.1f} s, {peer_size / 1e6:.1f} MB; ratios {point / peer:.2f} and {size / peer_size:.2f}"
    )
    project.must_manage(COPY, "rollback", "--yes", SCRATCH_APPS=GUARD)
    seconds = seconds_of(lambda: project.must_manage(COPY, "restore", folder.name, "--yes", SCRATCH_APPS=GUARD))
    if total(COPY) != total(DATABASE):
        raise SystemExit("What was restored is not what was there.")
    print(f"restored in {seconds:.1f} s, and the same")


def migrate(project: Scratch, *options: str) -> float:
    make_copy(server(COPY), DATABASE)
    project.must_manage(COPY, "migrate", "shop", "0001", SCRATCH_APPS=GUARD)
    return seconds_of(lambda: project.must_manage(COPY, "migrate", *options, SCRATCH_APPS=GUARD))


def dump(path: Path) -> None:
    address = server(DATABASE)
    program = Path(client_programs(), "pg_dump")
    arguments = ["-h", address.host, "-p", str(address.port), "-U", address.user, "-d", address.database]
    subprocess.run(
        [program, *arguments, "-Fc", "-t", "shop_item", "-f", path],
        env=os.environ | {"PGPASSWORD": address.password},
        check=True,
    )


def total(database: str) -> tuple[int, int]:
    with server(database).connect() as connection:
        count, sum_ = connection.execute(SUM).fetchone() or (0, 0)
        return count, sum_


if __name__ == "__main__":
    main()
