"""How long writers wait while a table gets an index, a column, a foreign key and a unique constraint in one `migrate`.

Four ways: stock Django, the guard with its safer forms, django-pg-zero-downtime-migrations as the database's engine,
and django-pg-migration-tools, whose operations are written by hand. 200 inserts a second of the release before the
change come in, whatever becomes of them; each counts from the time when it was due. Needs a server: uv run python
manage.py db start, then

    uv run --with django-pg-zero-downtime-migrations==0.20 python -m benchmarks.writers [--rows N] [--rounds N]
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import machine
from benchmarks.scratch import Scratch, drop, make_copy, server
from benchmarks.shop import BEFORE, INSERT, begin, fill
from benchmarks.traffic import Load, Watched, watch

TEMPLATE, COPY = "writers_benchmark_template", "writers_benchmark"
ROWS, ROUNDS = 5_000_000, 3
WRITERS, INSERTS_A_SECOND = 4, 200
TAIL_SECONDS = 3.0
GUARD, ENGINE, TOOLS = "migration_guard", "django_zero_downtime_migrations", "django_pg_migration_tools"

AFTER = BEFORE + (
    "    stock = models.IntegerField(default=3)\n"
    "    lid = models.ForeignKey(Box, models.CASCADE, null=True, related_name='+')\n\n"
    "    class Meta:\n"
    "        indexes = [models.Index(fields=['price'], name='item_price')]\n"
    "        constraints = [models.UniqueConstraint(fields=['name'], name='item_name')]\n"
)
# As its documentation advises, but for RAISE_FOR_UNSAFE, which refuses the new column that is NOT NULL.
ENGINE_SETTINGS = """
ZERO_DOWNTIME_MIGRATIONS_LOCK_TIMEOUT = "2s"
ZERO_DOWNTIME_MIGRATIONS_STATEMENT_TIMEOUT = "2s"
ZERO_DOWNTIME_MIGRATIONS_FLEXIBLE_STATEMENT_TIMEOUT = True
"""
# It has no operation for a new column that is NOT NULL: that one is Django's.
BY_HAND = """\
from django.db import migrations, models
from django_pg_migration_tools import operations

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0001_initial")]
    operations = [
        operations.SaferAddFieldForeignKey(
            "item", "lid", models.ForeignKey("shop.box", models.CASCADE, null=True, related_name="+")
        ),
        migrations.AddField("item", "stock", models.IntegerField(default=3)),
        operations.SaferAddIndexConcurrently("item", models.Index(fields=["price"], name="item_price")),
        operations.SaferAddUniqueConstraint("item", models.UniqueConstraint(fields=["name"], name="item_name")),
    ]
"""
WITH_TIMEOUTS = ("migrate_with_timeouts", "--lock-timeout-in-ms", "1000", "--lock-timeout-max-retries", "10")


@dataclass
class Candidate:
    """One way to write the change and to apply it; what its rounds saw, and the output of failed migrations."""

    name: str
    apps: str = ""
    engine: str = "django.db.backends.postgresql"
    settings: str = ""
    by_hand: str = ""
    command: Sequence[str] = ("migrate",)
    watched: list[Watched] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def project(self, path: Path) -> Scratch:
        project = begin(path, COPY)
        project.write("shop/models.py", AFTER)
        if self.by_hand:
            project.write("shop/migrations/0002_change.py", self.by_hand)
        else:
            project.must_manage(COPY, "makemigrations", "shop", "--name", "change", SCRATCH_APPS=self.apps)
        with (project.path / "settings.py").open("a") as settings:
            settings.write(self.settings)
        return project

    def run(self, project: Scratch) -> None:
        """One round, on a fresh copy."""

        def migrate() -> None:
            done = project.manage(COPY, *self.command, SCRATCH_APPS=self.apps, SCRATCH_ENGINE=self.engine)
            self.errors += [done.stdout] if done.returncode else []

        make_copy(server(COPY), TEMPLATE)
        self.watched.append(watch(server(COPY), writers(), migrate, tail=TAIL_SECONDS))

    @property
    def longest(self) -> list[float]:
        return [watched.longest for watched in self.watched]

    def told(self) -> str:
        locks = max(watched.longest_lock_wait for watched in self.watched)
        failed = statistics.median(len(watched.failed) for watched in self.watched)
        inserts = statistics.median(sum(map(len, watched.calls.values())) for watched in self.watched)
        took = statistics.median(watched.ended - watched.began for watched in self.watched)
        return (
            f"{self.name}: longest insert {statistics.median(self.longest) * 1000:.0f} ms, "
            f"worst {max(self.longest) * 1000:.0f} ms (lock wait {locks * 1000:.0f} ms); "
            f"{failed:.0f} of {inserts:.0f} inserts failed; took {took:.1f} s"
        )


def main() -> None:
    options = parse()
    print(machine())
    candidates = [
        Candidate("stock Django"),
        Candidate("the guard", apps=GUARD),
        Candidate("zero-downtime engine", engine=f"{ENGINE}.backends.postgres", settings=ENGINE_SETTINGS),
        Candidate("migration tools by hand", apps=TOOLS, by_hand=BY_HAND, command=WITH_TIMEOUTS),
    ]
    with tempfile.TemporaryDirectory() as folder:
        try:
            compete(candidates, Path(folder), options)
        finally:
            for database in (COPY, TEMPLATE):
                drop(server(database))
    print(f"{options.rows:,} rows, {INSERTS_A_SECOND} inserts/s, {options.rounds} rounds, medians and worst")
    for candidate in candidates:
        report(candidate, guard=candidates[1])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writers")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    if find_spec(ENGINE) is None:
        sys.exit(f"{ENGINE} is not installed: uv run --with django-pg-zero-downtime-migrations==0.20 python -m ...")
    return parser.parse_args()


def compete(candidates: Sequence[Candidate], folder: Path, options: argparse.Namespace) -> None:
    """Every round runs each once, every other one in reverse order."""
    fill(begin(folder / "filling", COPY), TEMPLATE, options.rows)
    projects = [(candidate, candidate.project(folder / f"candidate{n}")) for n, candidate in enumerate(candidates)]
    for _ in range(options.rounds):
        for candidate, project in projects:
            candidate.run(project)
        projects.reverse()


def writers() -> list[Load]:
    every = WRITERS / INSERTS_A_SECOND
    return [Load(f"writer {n}", INSERT, every=every, after=n / INSERTS_A_SECOND, is_open=True) for n in range(WRITERS)]


def report(candidate: Candidate, guard: Candidate) -> None:
    ratios = [theirs / ours for theirs, ours in zip(candidate.longest, guard.longest, strict=True)]
    print(f"{candidate.told()}; {statistics.median(ratios):.1f} times the guard's (median of the rounds)")
    for error in candidate.errors:
        print(f"  migrate failed: {error.strip().splitlines()[-1]}")
    for error in sorted({call.error for watched in candidate.watched for call in watched.failed}):
        print(f"  failed insert: {error}")


if __name__ == "__main__":
    main()
