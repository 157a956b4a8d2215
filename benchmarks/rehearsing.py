"""A rehearsal beside what it is made of: a copy, three times `migrate`, and four checksums of the table.

The peer is done with the programs that anybody would take: `pg_dump | pg_restore`, `manage.py migrate` on copies of the
database, and a query that adds up a hash of each row. Needs a server: uv run python manage.py db start, then

    uv run python -m benchmarks.rehearsing [--rows N]

16,000,000 rows are about 2 GB with their indexes. Exits 1 where a rehearsal takes 1.5 times as long as its peer, or
longer.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import machine, seconds_of
from benchmarks.scratch import Scratch, create, drop, server
from benchmarks.shop import begin, fill
from config.wheel import client_programs

DATABASE, COPY = "rehearsal_benchmark", "rehearsal_benchmark_copy"
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("item", "note", models.TextField(null=True)),
        migrations.AddIndex("item", models.Index(fields=["price"], name="item_price")),
    ]
"""
PROMISED = 1.5
CHECKSUM = "SELECT count(*), sum(hashtextextended(ROW(item.*)::text, 0)::numeric) FROM shop_item item"
SIZE = "SELECT pg_database_size(current_database())"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16_000_000)
    rows = parser.parse_args().rows
    print(machine())
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder), rows) as project:
        with server(DATABASE).connect() as connection:
            (size,) = connection.execute(SIZE).fetchone() or (0,)
        rehearsal = seconds_of(lambda: rehearse(project))
        copying = seconds_of(copy)
        migrating = seconds_of(lambda: project.must_manage(COPY, "migrate", SCRATCH_APPS="migration_guard"))
        checking = seconds_of(checksum)
    peer = copying + 3 * migrating + 4 * checking
    print(
        f"{rows:,} rows, {size / 1e9:.2f} GB: rehearsal {rehearsal:.1f} s; copy {copying:.1f} s, migrate "
        f"{migrating:.1f} s, checksum {checking:.1f} s: together {peer:.1f} s; ratio {rehearsal / peer:.2f}"
    )
    if rehearsal >= PROMISED * peer:
        sys.exit(f"Promised: under {PROMISED}.")


@contextmanager
def prepared(folder: Path, rows: int) -> Iterator[Scratch]:
    """The project with its table filled and one migration pending; the databases are dropped at the end."""
    project = begin(folder, DATABASE)
    try:
        fill(project, DATABASE, rows)
        project.write("shop/migrations/0002_item_note.py", MIGRATION)
        yield project
    finally:
        drop(server(DATABASE))
        drop(server(COPY))


def rehearse(project: Scratch) -> None:
    """Of the verdict only that there is one: a large table that gets an index is locked for long."""
    variables = {"SCRATCH_APPS": "migration_guard", "PATH": f"{client_programs()}{os.pathsep}{os.environ['PATH']}"}
    done = project.manage(DATABASE, "rehearse", "--json", **variables)
    report = json.loads(done.stdout[done.stdout.index("{\n") :])
    if report["error"] or [migration["name"] for migration in report["migrations"]] != ["0002_item_note"]:
        sys.exit(done.stdout)


def copy() -> None:
    create(server(COPY))
    source, target = server(DATABASE), server(COPY)
    environment = os.environ | {"PGPASSWORD": source.password, "PGHOST": source.host, "PGPORT": str(source.port)}
    environment["PGUSER"] = source.user
    programs = Path(client_programs())
    dump = subprocess.Popen(
        [programs / "pg_dump", "--format=custom", "--compress=0", source.database],
        env=environment,
        stdout=subprocess.PIPE,
    )
    restore = [str(programs / "pg_restore"), "--exit-on-error", f"--dbname={target.database}"]
    subprocess.run(restore, env=environment, stdin=dump.stdout, check=True)
    if dump.wait():
        sys.exit("pg_dump failed.")
    with target.connect() as connection:
        connection.execute("ANALYZE")


def checksum() -> None:
    with server(COPY).connect() as connection:
        connection.execute(CHECKSUM)


if __name__ == "__main__":
    main()
