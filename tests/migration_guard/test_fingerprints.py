"""A fingerprint tells what a migration does, and nothing of how that is written down."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import django.contrib
import pytest

from migration_guard import fingerprints
from migration_guard.fingerprints import Fingerprint, MigrationSource, describe_difference
from tests.packages import download
from tests.project import CHECKOUT

MIGRATION = '''"""Every item gets its price."""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import django.db.models.deletion
from django.db import migrations, models

VAT = Decimal("0.19")


def rounded(price, digits=2):
    return round(price, digits) if digits else price.to_integral(ROUND_HALF_EVEN)


def set_prices(apps, schema_editor):
    """Every item costs what it did, and VAT."""
    import logging
    import math

    Item = apps.get_model("shop", "Item")
    for item in Item.objects.filter(since__lt=date(2026, 1, 1)):
        item.price = rounded(item.net * (1 + VAT))
        item.save()
        logging.info(f"{item.pk:>10} {math.floor(item.price)!r}")


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    atomic = True

    operations = [
        migrations.AddField("Item", "price", models.DecimalField(max_digits=9, decimal_places=2, null=True)),
        migrations.AddField("Item", "maker", models.ForeignKey("Maker", django.db.models.deletion.CASCADE)),
        migrations.RunPython(set_prices, migrations.RunPython.noop),
        migrations.RunSQL("UPDATE shop_item SET price = net", migrations.RunSQL.noop),
    ]
'''
RUN_PYTHON = "        migrations.RunPython(set_prices, migrations.RunPython.noop),\n"
RUN_SQL = '        migrations.RunSQL("UPDATE shop_item SET price = net", migrations.RunSQL.noop),\n'
FROM_SETTINGS = """from django.conf import settings


class Migration(migrations.Migration):
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]"""

SAME = {
    "comment": ("VAT = ", "# The rate of 2026.\nVAT = "),
    "comment among the operations": ("migrations.RunPython(", "# Takes a minute.\n        migrations.RunPython("),
    "docstring of the module": ('"""Every item gets its price."""', '"""Prices."""'),
    "no docstring of the module": ('"""Every item gets its price."""', ""),
    "docstring of a function": ('"""Every item costs what it did, and VAT."""', '"""Reprice."""'),
    "docstring of the class": ("    dependencies =", '    """Prices."""\n\n    dependencies ='),
    "annotated function": ("rounded(price, digits=2):", "rounded(price: Decimal, digits: int = 2) -> Decimal:"),
    "annotation with an import of its own": (
        "def set_prices(apps, schema_editor):",
        "from typing import Any\n\n\ndef set_prices(apps: Any, schema_editor: Any) -> None:",
    ),
    "annotated constant": ("VAT = ", "VAT: Decimal = "),
    "annotated operations": ("    operations = [", "    operations: list = ["),
    "annotation without a value": ("VAT = ", "rate: Decimal\nVAT = "),
    "pass": ("        item.save()\n", "        item.save()\n        pass\n"),
    "pass in the class": ("    atomic = True", "    pass\n    atomic = True"),
    "line breaks": ("max_digits=9, decimal_places=2, null=True", "\n max_digits=9,\n decimal_places=2,\n null=True,\n"),
    "quotes": ('"UPDATE shop_item SET price = net"', "'''UPDATE shop_item SET price = net'''"),
    "split string": ('"UPDATE shop_item SET', '"UPDATE "\n            "shop_item SET'),
    "parentheses": ("item.net * (1 + VAT)", "(item.net) * ((1 + VAT))"),
    "blank lines": ("\n\n\ndef set_prices", "\n\n\n\n\n\ndef set_prices"),
    "Windows line ends": ("\n", "\r\n"),
    "order of imports": (
        "from datetime import date\nfrom decimal import ROUND_HALF_EVEN, Decimal\n",
        "from decimal import ROUND_HALF_EVEN, Decimal\nfrom datetime import date\n",
    ),
    "order of imported names": ("import ROUND_HALF_EVEN, Decimal", "import Decimal, ROUND_HALF_EVEN"),
    "split import": (
        "from decimal import ROUND_HALF_EVEN, Decimal\n",
        "from decimal import ROUND_HALF_EVEN\nfrom decimal import Decimal\n",
    ),
    "duplicated import": ("from datetime import date\n", "from datetime import date\nfrom datetime import date\n"),
    "unused import": ("from datetime import date\n", "from datetime import date, timedelta\nimport os\n"),
    "import from the future": ("from datetime", "from __future__ import annotations\n\nfrom datetime"),
    "order of imports in a function": ("import logging\n    import math", "import math, logging"),
    "dependencies": ('[("shop", "0001_initial")]', '[("shop", "0001_initial"), ("maker", "0007_more")]'),
    "dependency with an import of its own": (
        'class Migration(migrations.Migration):\n    dependencies = [("shop", "0001_initial")]',
        FROM_SETTINGS,
    ),
    "replaces": ("    atomic =", '    replaces = [("shop", "0002_a"), ("shop", "0003_b")]\n    atomic ='),
    "run_before": ("    atomic =", '    run_before = [("other", "0001_initial")]\n    atomic ='),
    "initial": ("    atomic =", "    initial = True\n    atomic ="),
}
DIFFERENT = {
    "argument of an operation": ("max_digits=9", "max_digits=10"),
    "argument taken away": (", null=True", ""),
    "number of another type": ("decimal_places=2", "decimal_places=2.0"),
    "truth instead of a number": ("(1 + VAT)", "(True + VAT)"),
    "kind of operation": ("migrations.RunSQL(", "migrations.CreateModel("),
    "order of operations": (RUN_PYTHON + RUN_SQL, RUN_SQL + RUN_PYTHON),
    "operation more": ("    operations = [", '    operations = [\n        migrations.RunSQL("SELECT 1"),'),
    "operation less": (RUN_PYTHON, ""),
    "space within a string": ("price = net", "price  =  net"),
    "body of a RunPython": ("        item.save()\n", "        item.save(force_update=True)\n"),
    "helper function": ("if digits else", "if not digits else"),
    "default of a helper's argument": ("digits=2", "digits=3"),
    "decorator of a function": ("def set_prices", "@migrations.wraps\ndef set_prices"),
    "constant": ('Decimal("0.19")', 'Decimal("0.20")'),
    "format of an f-string": (":>10}", ":>11}"),
    "conversion of an f-string": ("!r}", "!s}"),
    "atomic": ("atomic = True", "atomic = False"),
    "base class": ("(migrations.Migration)", "(migrations.OtherMigration)"),
    "origin of an import": ("from datetime import date", "from shop.dates import date"),
    "what an import is called": ("from datetime import date", "from datetime import datetime as date"),
    "origin of an import in a function": ("import math\n", "from shop import math\n"),
}

DIGESTS = """
import importlib.util, json, pathlib, sys
spec = importlib.util.spec_from_file_location("fingerprints", sys.argv[1])
module = sys.modules["fingerprints"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

def digests(path):
    source = module.MigrationSource(pathlib.Path(path))
    try:
        return source.bytes_digest, source.fingerprint.digest
    except Exception as error:
        return type(error).__name__, str(error)

print(json.dumps({path: digests(path) for path in json.load(sys.stdin)}))
"""
TRICKY = {
    "f_strings": r"""
        def f(x, y=3, *a, k, m=None, **kw):
            return [
                f"", f"{x}", f"{x:}", f"{x!r}", f"{x:>10}", f"{x:{y}}", f"{x:{y}.{y}}", f"{x:>{y}s}!", f"{x=}",
                f"{x = :d}", f"{{}}{x}{{", f"a" "b" f"{x}" "c", f'''{
                x
                }''', f"{x!s:>{y}}", rf"\d{x}\n", f"{x:%Y-%m-%d}",
                f"{'q'}", f"{x:{'>'}{10}}", "" f"{x}" "", f"\N{EM DASH}{x}",
            ]
        """,
    "unicode": r"""
        TEXT = "😀 Ördër \U0001fae8 \x00 \x7f \xa0 \u200b \ud800 \U0001f6d8"
        ÜBER = {"ﬁ": b"\x00\xff", "x": "\N{GREEK SMALL LETTER ALPHA}"}
        ﬁ = ÜBER
        """,
    "numbers": """
        NUMBERS = [0, -0.0, 0.1, 1e400, 1_000, 0x10, 1j, True, None, ..., 10**30, 12345678901234567890123, -1, +1]
        """,
    "statements": """
        from . import a as b, c
        from .. import *
        import os.path, sys as system
        async def g(*, x: int = 1, y) -> "int":
            async with a as b, c: pass
            async for i in x: yield i
            else: await y
            return
        class C(A, metaclass=M):
            '''Doc.'''
            x: int
            y: int = 1
        try: import json
        except ImportError: json = None
        except (A, B) as e: raise X from e
        else: pass
        finally: del a, b
        with (open("a") as f, open("b") as g): del (f, g)
        match x:
            case {"a": [1, *rest], **kw} | C(x=1) | None | -1: pass
            case [_, (1 | 2) as n] if n: pass
            case _: pass
        lambda: (yield)
        x = [*a, *(i for i in range(3) if i)] if (n := 1) else {**a, "b": {*c}}
        y = a[1:2, ::3, ...], a[:], a[()], a[1,], not a, a < b <= c is not d not in e
        global z; z = a @ b; z @= c; z: int
        assert x, "y"
        while True: break
        else:
            for i, (j, *k) in z: continue
        """,
    "decorators": """
        @a.b(c)
        @d
        def f(a, /, b=1, *, c): "doc"; pass; ...
        def g(): return (yield from f())
        """,
    "invalid_escape": r"""
        PATTERN = "\d+\.sql"
        """,
}


def fingerprint(folder: Path, code: str = MIGRATION, **files: str) -> Fingerprint:
    """Of a migration with that code in an app of its own, beside SQL files in `migrations/sql`."""
    return source(folder, code, **{f"migrations/sql/{name}.sql": text for name, text in files.items()}).fingerprint


def digests_of(folder: Path, code: str = MIGRATION, **files: str) -> tuple[str, str]:
    """Of the bytes and of what they do."""
    found = source(folder, code, **files)
    return found.bytes_digest, found.fingerprint.digest


def source(folder: Path, code: str, **files: str) -> MigrationSource:
    shutil.rmtree(folder / "shop", ignore_errors=True)
    for name, text in {"migrations/0002_price.py": code, **files}.items():
        path = folder.joinpath("shop", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return MigrationSource(folder / "shop/migrations/0002_price.py")


def with_operation(operation: str, helper: str = "") -> str:
    return (
        f"from pathlib import Path\nfrom django.db import migrations\n{helper}\n\n"
        f"class Migration(migrations.Migration):\n    operations = [{operation}]\n"
    )


def edited(old: str, new: str) -> str:
    assert old in MIGRATION
    return MIGRATION.replace(old, new)


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME)
def test_what_has_no_effect_leaves_the_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    before = fingerprint(tmp_path)

    after = fingerprint(tmp_path, edited(old, new))

    assert list(describe_difference(before, after)) == []
    assert after.digest == before.digest


@pytest.mark.parametrize(("old", "new"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_has_an_effect_changes_the_fingerprint_and_is_shown(tmp_path: Path, old: str, new: str) -> None:
    before = fingerprint(tmp_path)

    after = fingerprint(tmp_path, edited(old, new))

    assert after.digest != before.digest
    changed = [line for line in describe_difference(before, after) if not line.startswith(("---", "+++", "@@", " "))]
    assert changed


def test_import_in_the_class_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    before = fingerprint(tmp_path, "class Migration:\n    from shop.shared import operations\n")

    after = fingerprint(tmp_path, "class Migration:\n    from shop.shared import other as operations\n")

    assert after.digest != before.digest


def test_formatters_leave_the_fingerprint(tmp_path: Path) -> None:
    before = digests_of(tmp_path)

    reformat(tmp_path)

    after = MigrationSource(tmp_path / "shop/migrations/0002_price.py")
    assert after.bytes_digest != before[0]
    assert after.fingerprint.digest == before[1]


def reformat(folder: Path) -> None:
    """Break the lines elsewhere, and give each imported name a line."""
    ruff = [sys.executable, "-m", "ruff"]
    imports = ["--select", "I", "--fix", "--config", "lint.isort.force-single-line=true"]
    for command in (["check", "--isolated", "--quiet", *imports], ["format", "--isolated", "--line-length", "60"]):
        subprocess.run([*ruff, *command, str(folder)], check=True, capture_output=True)


def test_difference_names_the_operation_and_shows_its_lines(tmp_path: Path) -> None:
    before = fingerprint(tmp_path)

    difference = list(describe_difference(before, fingerprint(tmp_path, edited("max_digits=9", "max_digits=10"))))

    assert difference[:2] == ["--- operation 1: AddField", "+++ operation 1: AddField"]
    assert difference[3:] == [
        '-migrations.AddField("Item", "price", models.DecimalField(max_digits=9, decimal_places=2, null=True))',
        '+migrations.AddField("Item", "price", models.DecimalField(max_digits=10, decimal_places=2, null=True))',
    ]


def test_difference_shows_only_the_changed_lines_of_a_function_without_its_indent(tmp_path: Path) -> None:
    before = fingerprint(tmp_path)

    after = fingerprint(tmp_path, edited("item.save()", 'item.save(update_fields=["price"])'))

    difference = list(describe_difference(before, after))
    assert difference[:2] == ["--- function set_prices", "+++ function set_prices"]
    assert [line for line in difference[2:] if line.startswith(("-", "+"))] == [
        "-        item.save()",
        '+        item.save(update_fields=["price"])',
    ]


def test_difference_names_an_operation_that_is_new(tmp_path: Path) -> None:
    before = fingerprint(tmp_path)
    operation = 'migrations.RunSQL("SELECT 1")'

    after = fingerprint(tmp_path, edited("    operations = [", f"    operations = [\n        {operation},"))

    difference = list(describe_difference(before, after))
    assert difference[:2] == ["--- (nothing)", "+++ operation 1: RunSQL"]
    assert difference[3:] == [f"+{operation}"]


def test_difference_names_the_sql_file(tmp_path: Path) -> None:
    code = with_operation('migrations.RunSQL(Path("sql/create.sql").read_text())')
    before = fingerprint(tmp_path, code, create="SELECT 1;\nSELECT 2;\n")

    after = fingerprint(tmp_path, code, create="SELECT 1;\nSELECT 3;\n")

    difference = list(describe_difference(before, after))
    assert difference[:2] == ["--- migrations/sql/create.sql", "+++ migrations/sql/create.sql"]
    assert difference[3:] == [" SELECT 1;", "-SELECT 2;", "+SELECT 3;"]


@pytest.mark.parametrize(
    ("operation", "helper"),
    [
        ('migrations.RunSQL((Path(__file__).parent / "sql" / "create.sql").read_text())', ""),
        ('migrations.RunSQL((Path(__file__).parent / "sql/create.sql").read_text())', ""),
        ('migrations.RunSQL((Path(__file__).parent / "../migrations/sql/create.sql").read_text())', ""),
        ("migrations.RunSQL(SQL)", 'SQL = open("shop/migrations/sql/create.sql").read()'),
        ('migrations.RunSQL(read("create"))', 'def read(name):\n    return open(f"sql/{name}.sql").read()'),
        ('migrations.RunSQL(read("cre"))', 'def read(name):\n    return open(f"sql/{name}ate.sql").read()'),
        ('migrations.RunSQL(read("create"))', 'def read(name):\n    return open("sql/" + name + ".sql").read()'),
    ],
    ids=["by parts", "by path", "from the parent", "from the root", "f-string", "part of the name", "sum"],
)
def test_sql_file_that_the_module_names_is_part_of_the_fingerprint(tmp_path: Path, operation: str, helper: str) -> None:
    code = with_operation(operation, helper)
    before = digests_of(tmp_path, code, **{"migrations/sql/create.sql": "SELECT 1"})

    after = digests_of(tmp_path, code, **{"migrations/sql/create.sql": "SELECT 2"})

    assert after[0] != before[0]
    assert after[1] != before[1]


def test_line_ends_of_an_sql_file_leave_the_fingerprint(tmp_path: Path) -> None:
    code = with_operation('migrations.RunSQL(Path("sql/create.sql").read_text())')
    before = fingerprint(tmp_path, code, create="SELECT 1;\nSELECT 2;\n")

    after = fingerprint(tmp_path, code, create="SELECT 1;\r\nSELECT 2;\r\n")

    assert after.digest == before.digest


@pytest.mark.parametrize("named", ['"sql" / "create.sql"', '"sql/create.sql"'])
def test_sql_file_of_that_name_in_another_folder_is_none_of_the_migration(tmp_path: Path, named: str) -> None:
    code = with_operation(f"migrations.RunSQL((Path(__file__).parent / {named}).read_text())")
    files = {"migrations/sql/create.sql": "SELECT 1", "reports/create.sql": "SELECT 1"}
    before = source(tmp_path, code, **files).fingerprint

    after_another = source(tmp_path, code, **files | {"reports/create.sql": "SELECT 2"}).fingerprint
    after_own = source(tmp_path, code, **files | {"migrations/sql/create.sql": "SELECT 2"}).fingerprint

    assert after_another.digest == before.digest
    assert after_own.digest != before.digest


def test_sql_file_that_is_no_utf_8_has_a_fingerprint(tmp_path: Path) -> None:
    migration = source(tmp_path, with_operation('migrations.RunSQL(Path("create.sql").read_text("latin-1"))'))
    sql_file = migration.path.with_name("create.sql")
    sql_file.write_bytes("SELECT 'é'".encode("latin-1"))
    before = migration.fingerprint

    sql_file.write_bytes("SELECT 'è'".encode("latin-1"))
    after = MigrationSource(migration.path).fingerprint

    assert after.digest != before.digest
    assert Fingerprint.from_json(after.as_json()).parts == after.parts


@pytest.mark.parametrize("terms", [400, 1_000, 2_500])
def test_long_sum_of_strings_has_a_fingerprint(tmp_path: Path, terms: int) -> None:
    sums = [" + ".join(["'SELECT 1;'"] * terms + [f"'{last}'"]) for last in ("one.sql", "two.sql")]

    first, second = (digests_of(tmp_path, with_operation("migrations.RunSQL(SQL)", f"SQL = {sum_}")) for sum_ in sums)

    assert first[0] != second[0]
    assert first[1] != second[1]


def test_digest_tells_the_version_of_its_method(tmp_path: Path) -> None:
    digest = fingerprint(tmp_path).digest

    assert digest.startswith(f"{fingerprints.VERSION}:")
    assert len(digest) == 66


def test_merge_is_empty_and_an_operation_is_not(tmp_path: Path) -> None:
    merge = fingerprint(tmp_path, with_operation(""))
    work = fingerprint(tmp_path, with_operation('migrations.RunSQL("SELECT 1")'))

    assert merge.is_empty
    assert not work.is_empty


def test_fingerprint_is_kept_in_ascii_and_read_back(tmp_path: Path) -> None:
    kept = fingerprint(tmp_path, with_operation("migrations.RunSQL(\"SELECT '😀 Ördër'\")"))

    text = kept.as_json()

    assert text.isascii()
    assert Fingerprint.from_json(text).parts == kept.parts
    assert "😀 Ördër" in kept.parts[-1].text


def test_module_that_is_no_python_is_refused(tmp_path: Path) -> None:
    migration = source(tmp_path, "class Migration(:\n")

    with pytest.raises(SyntaxError):
        _ = migration.fingerprint


def test_every_python_gives_the_same_fingerprints(tmp_path: Path) -> None:
    pythons = [sys.executable, *filter(None, map(another_python, ("3.12", "3.13")))]
    if len(pythons) == 1:
        pytest.skip("There is no other Python than this one to compare with.")
    deep = " + ".join(["'SELECT 1;'"] * 1_000)
    for name, code in TRICKY.items():
        (tmp_path / f"{name}.py").write_text(dedent(code), encoding="utf-8")
    (tmp_path / "sum.py").write_text(f"SQL = {deep} + '.sql'")
    (tmp_path / "migration.py").write_text(MIGRATION)
    contrib = Path(django.contrib.__path__[0]).rglob("migrations/*.py")
    paths = [*tmp_path.glob("*.py"), *(CHECKOUT / "trader/migrations").glob("*.py"), *contrib]

    digests = [digests_under(python, paths) for python in pythons]

    assert {path: pair for path, pair in digests[0].items() if not pair[1].startswith("1:")} == {}
    for python, others in zip(pythons, digests, strict=True):
        assert {path: pair for path, pair in others.items() if pair != digests[0][path]} == {}, python


def another_python(version: str) -> str | None:
    """A Python of that version: on the PATH, of pyenv, or of uv. What pyenv puts on the PATH may lead nowhere."""
    for command in ([], ["pyenv", "whence", "--path"], ["uv", "python", "find", "--managed-python"]):
        found = output_of(*command, version if "uv" in command else f"python{version}") if command else ""
        for python in [*found.splitlines(), shutil.which(f"python{version}")]:
            if python and output_of(python, "--version").startswith(f"Python {version}."):
                return python
    return None


def output_of(program: str, *arguments: str) -> str:
    """What it prints; nothing where it is not there or fails."""
    try:
        ended = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def digests_under(python: str, paths: list[Path]) -> dict[str, list[str]]:
    ended = subprocess.run(
        [python, "-W", "ignore", "-c", DIGESTS, str(fingerprints.__file__)],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, f"{python}: {ended.stderr}"
    digests: dict[str, list[str]] = json.loads(ended.stdout)
    return digests


@pytest.mark.endurance
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_migrations_of_real_projects_are_told_apart_and_keep_their_fingerprints_after_formatters(
    tmp_path: Path,
) -> None:
    paths = [path for package in ("wagtail", "pretix", "weblate") for path in migrations_of(package, tmp_path)]
    before = {path: MigrationSource(path).fingerprint for path in paths}
    assert len(paths) > 600

    reformat(tmp_path)

    after = {path: MigrationSource(path).fingerprint for path in paths}
    assert [path for path in paths if after[path].digest != before[path].digest] == []
    assert list(alike_by_mistake(before)) == []


def migrations_of(package: str, folder: Path) -> Iterator[Path]:
    """Download the package's newest wheel and unpack its migrations alone."""
    (wheel,) = download(package, folder / package, "--only-binary=:all:", "--python-version=3.13")
    with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as archive:
        for name in archive.namelist():
            if "/migrations/" in name and name.endswith(".py") and b"class Migration(" in archive.read(name):
                yield Path(archive.extract(name, folder / "unpacked"))


def alike_by_mistake(found: dict[Path, Fingerprint]) -> Iterator[list[Path]]:
    """Migrations of one app that have one fingerprint and do something, though not word for word the same."""
    by_digest: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path, kept in found.items():
        if not kept.is_empty:
            by_digest[path.parent, kept.digest].append(path)
    for paths in by_digest.values():
        if len({tuple(part.text for part in found[path].parts) for path in paths}) > 1:
            yield paths
