"""How long `review` takes without a database: 300 migrations under 10 s, and one new one under 1.5 s, as a process.

The project has ten apps with thirty migrations each: tables, columns, foreign keys, indexes, changed columns, SQL and
Python; the new one, the last, has a bit of each. Needs no server:

    uv run python -m benchmarks.review

Exits 1 where one takes longer.
"""

import json
import statistics
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.measure import interleaved, machine
from benchmarks.scratch import Scratch, server

APPS, MIGRATIONS = [f"app{number}" for number in range(10)], 30
ROUNDS = 5
# No server listens there.
NOWHERE = 1
NEWEST = APPS[-1], f"{MIGRATIONS:04}"
PROMISED = {"all": 10.0, "one": 1.5}

HEAD = """\
from django.db import migrations, models


def fill(apps, schema_editor):
    things = apps.get_model("{app}", "Thing").objects
    while keys := things.filter(name="").values_list("pk", flat=True)[:1000]:
        things.filter(pk__in=list(keys)).update(name="none")


class Migration(migrations.Migration):
    dependencies = {dependencies}
    operations = [
"""
CREATE_THING = """\
        migrations.CreateModel(
            "Thing",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=40)),
                ("count", models.IntegerField(default=0)),
            ],
        ),
"""
CREATE_PART = """\
        migrations.CreateModel(
            "Part{n}",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("thing", models.ForeignKey("{app}.Thing", models.CASCADE, related_name="+")),
                ("price", models.DecimalField(max_digits=12, decimal_places=2)),
                ("made_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={{"indexes": [models.Index(fields=["made_at"], name="{app}_{n}_made_at")]}},
        ),
"""
# In turn, from the second migration of an app on.
STEPS = [
    CREATE_PART,
    """        migrations.AddField("Thing", "field{n}", models.IntegerField(default=0)),\n""",
    """        migrations.AddField("Thing", "other{n}", models.ForeignKey("{other}.Thing", models.PROTECT, null=True,
            related_name="+")),\n""",
    """        migrations.AddIndex("Thing", models.Index(fields=["name", "count"], name="{app}_{n}_name_count")),\n""",
    """        migrations.AlterField("Thing", "name", models.CharField(max_length=4{n})),\n""",
    """        migrations.AddField("Thing", "note{n}", models.TextField(null=True)),
        migrations.RunPython(fill, migrations.RunPython.noop),\n""",
    """        migrations.RunSQL(
            \"\"\"
            CREATE VIEW {app}_view{n} AS SELECT id, name FROM {app}_thing WHERE count > {n};
            UPDATE {app}_thing SET count = count + 1 WHERE name = '{n}';
            \"\"\",
            "DROP VIEW {app}_view{n}",
        ),\n""",
    """        migrations.AddConstraint("Thing", models.UniqueConstraint(fields=["name", "id"], name="{app}_{n}_key")),
        migrations.AddConstraint(
            "Thing", models.CheckConstraint(condition=models.Q(count__gte=-{n}), name="{app}_{n}_check")
        ),\n""",
]


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        project = write_project(Path(folder))
        candidates = {"all": partial(review, project), "one": partial(review, project, *NEWEST)}
        found = {name: len(json.loads(run())) for name, run in candidates.items()}
        seconds = interleaved(candidates, rounds=ROUNDS)
    kept = True
    for name, count in (("all", len(APPS) * MIGRATIONS), ("one", 1)):
        median, promised = statistics.median(seconds[name]), PROMISED[name]
        kept = kept and median < promised
        print(
            f"review of {count}: {median:.2f} s (median of {ROUNDS}, slowest {max(seconds[name]):.2f} s), "
            f"{found[name]} findings; under {promised:g} s: {'yes' if median < promised else 'NO'}"
        )
    sys.exit(0 if kept else 1)


def review(project: Scratch, *arguments: str) -> str:
    """Its report as JSON."""
    return project.must_manage(
        "none", "review", *arguments, "--offline", "--json", "--fail-on", "never",
        SCRATCH_APPS="migration_guard", PYTHONDONTWRITEBYTECODE="",
    )  # fmt: skip


def write_project(path: Path) -> Scratch:
    project = Scratch(path, replace(server("none"), port=NOWHERE), APPS)
    for number, app in enumerate(APPS):
        other = APPS[number - 1] if number else app
        for n in range(1, MIGRATIONS + 1):
            project.write(f"{app}/migrations/{n:04}_step.py", migration(app, other, n))
    return project


def migration(app: str, other: str, n: int) -> str:
    """The app's n-th; `other` is an app whose migrations come before."""
    dependencies = [(app, f"{n - 1:04}_step")] if n > 1 else []
    if other != app:
        dependencies.append((other, "0001_step"))
    step = step_of(app, n).format(app=app, other=other, n=n)
    return HEAD.format(app=app, dependencies=dependencies) + step + "    ]\n"


def step_of(app: str, n: int) -> str:
    if (app, f"{n:04}") == NEWEST:
        return "".join(STEPS)
    return CREATE_THING if n == 1 else STEPS[n % len(STEPS)]


if __name__ == "__main__":
    main()
