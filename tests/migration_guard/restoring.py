"""A shop whose migrations destroy data, and what is kept of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql

from migration_guard.restoring.points import Manifest
from tests.migration_guard.stranger import Stranger
from tests.project import DROP_DATABASE, Project, database_environment

ADD_V = "migrations.AddField('Item', 'v', models.IntegerField(null=True))"
CREATE_BOX = (
    "migrations.CreateModel('Box', [('id', models.BigAutoField(primary_key=True)), "
    "('item', models.ForeignKey('shop.Item', models.CASCADE)), ('label', models.CharField(max_length=9, unique=True))])"
)
DROP_V = "migrations.RemoveField('Item', 'v')"
SHOUT = "migrations.RunSQL('UPDATE shop_item SET name = upper(name)')"
ITEMS = "INSERT INTO shop_item (name, v) SELECT 'item ' || n, nullif(n, 3) FROM generate_series(1, %s) n"
ALL = "SELECT * FROM shop_item ORDER BY id"
# A column that returns stands at the end; what is generated has no values of its own.
COLUMNS = """
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
SUM = "SELECT count(*), sum(hashtext(ROW({columns})::text)::bigint) FROM {table}"


def fill(project: Stranger, number: int) -> None:
    """So many items, all but one of which have a value in `v`."""
    project.operations("0002_v", ADD_V)
    succeed(project, "migrate")
    project.sql(ITEMS, number)


def succeed(project: Stranger, *arguments: str) -> str:
    done = project.manage(*arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


def refuse(project: Stranger, *arguments: str, returncode: int = 2) -> str:
    refused = project.manage(*arguments)
    assert refused.returncode == returncode, refused.stdout
    assert "Traceback" not in refused.stdout
    return refused.stdout


def folder(project: Stranger) -> Path:
    return project.path / "restore_points" / project.env["POSTGRES_DB"]


def points(project: Stranger) -> list[str]:
    """Newest first."""
    manifests = {
        path.parent.name: json.loads(path.read_text()) for path in folder(project).glob("[0-9]*/manifest.json")
    }
    return sorted(manifests, key=lambda name: str(manifests[name]["taken_at"]), reverse=True)


def held(project: Stranger) -> list[tuple[str, str, str, int]]:
    """What the newest point holds."""
    parts = Manifest.from_json((folder(project) / points(project)[0] / "manifest.json").read_text()).parts
    return [(part.kind, part.table, part.column, part.rows) for part in parts]


def restore(project: Stranger, *arguments: str) -> str:
    """The newest point."""
    return succeed(project, "restore", points(project)[0], "--yes", *arguments)


def sums(project: Stranger, *tables: str) -> dict[str, tuple[object, ...]]:
    """The number of rows of each, and a sum over all that is in them."""
    found = {}
    for table in tables:
        ((columns,),) = project.sql(COLUMNS, table)
        (found[table],) = project.sql(SUM.format(columns=columns, table=table))
    return found


def leftovers(project: Stranger) -> list[str]:
    return [path.name for path in folder(project).glob("unfinished-*")]


@contextmanager
def beside(project: Stranger) -> Iterator[Stranger]:
    """The same project in another database, to be made by the test and dropped at the end."""
    name = f"{project.env['POSTGRES_DB']}_into"
    try:
        yield Stranger(project.path, project.env | {"POSTGRES_DB": name})
    finally:
        with Project(project.path, database_environment("postgres")).connect() as server:
            server.execute(DROP_DATABASE.format(database=sql.Identifier(name)))
