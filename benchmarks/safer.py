"""Each safer form that `makemigrations` writes beside Django's plain one, on a table in use.

A form is tried on tables that double in rows until its plain form makes a statement wait half a second for a lock;
there both run in turns, each on a copy of its own. The longest lock wait of the worst round counts: that of the safer
form has to stay under 100 ms and under a fifth of the plain form's. Where the plain form is over at once, but breaks
the release before it, that release's failed statements count: some with the plain form, none with the safer one. Needs
a server: uv run python manage.py db start, then

    uv run python -m benchmarks.safer [--form NAME] [--rows N] [--largest N] [--rounds N]

Beside the lock waits, which are sampled, stands the longest statement, which has all of the machine's noise in it:
compare it with that of an idle server. Exits 1 where a form does not keep what is promised.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.forms import FORMS, Form
from benchmarks.measure import machine
from benchmarks.scratch import Scratch, drop, make_copy, server
from benchmarks.shop import begin, fill, loads
from benchmarks.traffic import Watched, watch

TEMPLATE, COPY = "safer_benchmark_{rows}", "safer_benchmark"
FIRST_ROWS, MOST_ROWS = 250_000, 10_000_000
BLOCKED_SECONDS = 0.5
LONGEST_SECONDS, LARGEST_RATIO = 0.1, 0.2
IDLE_SECONDS, TAIL_SECONDS = 5.0, 2.0
# The apps that are installed before the project's own.
PLAIN, SAFER = "", "migration_guard"


@dataclass
class Rounds:
    """What one way did in all rounds; `errors` are the outputs of the migrations that failed."""

    watched: list[Watched] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def longest(self) -> float:
        return max(watched.longest for watched in self.watched)

    @property
    def longest_lock_wait(self) -> float:
        return max(watched.longest_lock_wait for watched in self.watched)

    @property
    def failed(self) -> int:
        return sum(len(watched.failed) for watched in self.watched)

    @property
    def failed_after(self) -> int:
        return sum(len(watched.failed_after) for watched in self.watched)

    def __str__(self) -> str:
        return f"{self.longest_lock_wait * 1000:.0f} ms (statement {self.longest * 1000:.0f} ms)"


class Tables:
    """Databases with the filled table, one for each number of rows, and the copy that a round changes."""

    def __init__(self, project: Scratch) -> None:
        self.project = project
        self.copy = server(COPY)
        self.sizes: list[int] = []
        self.floors: dict[int, Rounds] = {}

    def template(self, rows: int) -> str:
        name = TEMPLATE.format(rows=rows)
        if rows not in self.sizes:
            self.sizes.append(rows)
            fill(self.project, name, rows)
        return name

    def try_migrating(self, project: Scratch, way: str, rows: int, rounds: Rounds) -> Watched:
        """One round, on a fresh copy."""

        def migrate() -> None:
            done = project.manage(COPY, "migrate", SCRATCH_APPS=way)
            rounds.errors += [done.stdout] if done.returncode else []

        make_copy(self.copy, self.template(rows))
        watched = watch(self.copy, loads(rows), migrate, tail=TAIL_SECONDS)
        rounds.watched.append(watched)
        return watched

    def floor(self, rows: int, rounds: int) -> Rounds:
        """What the statements take while nobody migrates."""
        if rows not in self.floors:
            self.floors[rows] = Rounds()
            for _ in range(rounds):
                make_copy(self.copy, self.template(rows))
                idle = watch(self.copy, loads(rows), lambda: time.sleep(IDLE_SECONDS), tail=0)
                self.floors[rows].watched.append(idle)
        return self.floors[rows]

    def drop(self) -> None:
        for database in [COPY, *(TEMPLATE.format(rows=rows) for rows in self.sizes)]:
            drop(server(database))


def main() -> None:
    options = parse()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, tables(Path(folder)) as filled:
        kept = [compare(name, filled, Path(folder), options) for name in options.form or FORMS]
        sys.exit(0 if all(kept) else 1)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.safer")
    parser.add_argument("--form", action="append", choices=list(FORMS), help="Again for more; default: all.")
    parser.add_argument("--rows", type=int, default=FIRST_ROWS, help="Where the doubling begins.")
    parser.add_argument("--largest", type=int, default=MOST_ROWS, help="Where it ends.")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


@contextmanager
def tables(folder: Path) -> Iterator[Tables]:
    filled = Tables(begin(folder / "filling", COPY))
    try:
        yield filled
    finally:
        filled.drop()


def change(path: Path, form: Form, way: str) -> Scratch:
    """The same with the models of after, and the migrations that the way makes of it."""
    project = begin(path, COPY)
    project.write("shop/models.py", form.after)
    project.must_manage(COPY, "makemigrations", "shop", "--name", "change", answers=form.answers, SCRATCH_APPS=way)
    return project


def compare(name: str, filled: Tables, folder: Path, options: argparse.Namespace) -> bool:
    """Run a form, print its line, and say whether it keeps what is promised."""
    form = FORMS[name]
    projects = {way: change(folder / f"{name}_{way or 'plain'}", form, way) for way in (PLAIN, SAFER)}
    rows = options.rows if form.breaks else enough_rows(projects[PLAIN], filled, options)
    seen = {PLAIN: Rounds(), SAFER: Rounds()}
    order = list(projects)
    for _ in range(options.rounds):
        for way in order:
            filled.try_migrating(projects[way], way, rows, seen[way])
        order.reverse()
    judge = judge_breaking if form.breaks else judge_blocking
    verdict, told = judge(seen[PLAIN], seen[SAFER])
    idle = filled.floor(rows, options.rounds)
    print(f"{name}: {rows:,} rows: {told}; idle {idle}: {'yes' if verdict else 'NO'}", flush=True)
    for line in complaints(seen):
        print(f"  {line}", flush=True)
    return verdict


def enough_rows(project: Scratch, filled: Tables, options: argparse.Namespace) -> int:
    """The first size that the plain form blocks the table's users at for long enough."""
    rows: int = options.rows
    while rows < options.largest:
        if filled.try_migrating(project, PLAIN, rows, Rounds()).longest_lock_wait >= BLOCKED_SECONDS:
            break
        rows = min(2 * rows, options.largest)
    return rows


def judge_blocking(plain: Rounds, safer: Rounds) -> tuple[bool, str]:
    longest = safer.longest_lock_wait
    ratio = longest / plain.longest_lock_wait if plain.longest_lock_wait else float("inf")
    kept = longest < LONGEST_SECONDS and ratio < LARGEST_RATIO and not safer.failed and not safer.errors
    return kept, f"plain {plain}, safer {safer}, ratio {ratio:.3f}, under 100 ms and a fifth"


def judge_breaking(plain: Rounds, safer: Rounds) -> tuple[bool, str]:
    kept = plain.failed_after > 0 and not safer.failed and not safer.errors
    return kept, (
        f"failed after it: plain {plain.failed_after}, safer {safer.failed_after} "
        f"(and while it ran {safer.failed - safer.failed_after}); longest: plain {plain}, safer {safer}"
    )


def complaints(seen: dict[str, Rounds]) -> Iterator[str]:
    """The migrations that failed, and what the safer form's users were told."""
    for way, rounds in seen.items():
        for error in rounds.errors:
            yield f"{way or 'plain'}: migrate failed: {error.strip().splitlines()[-1]}"
    yield from sorted({f"safer: {call.error}" for watched in seen[SAFER].watched for call in watched.failed})


if __name__ == "__main__":
    main()
