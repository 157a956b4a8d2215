"""Restore points under other settings: of the project, of the database, and of the role."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from migration_guard.restoring.points import Manifest
from tests.migration_guard.restoring import (
    CREATE_BOX,
    DROP_V,
    beside,
    fill,
    folder,
    leftovers,
    points,
    refuse,
    restore,
    succeed,
    sums,
)
from tests.migration_guard.stranger import Stranger, begin
from tests.project import CHECKOUT, Project, database_environment, environment_of
from tests.server import POSTGRESQL_16, another_server

pytestmark = pytest.mark.endurance

CHANGE = "migrations.RunSQL('UPDATE shop_item SET name = upper(name)')"


@pytest.fixture
def filled(shop: Stranger) -> Stranger:
    fill(shop, 10)
    return shop


def maintenance() -> Project:
    return Project(CHECKOUT, database_environment("postgres"))


def test_folder_that_cannot_be_written_to(filled: Stranger) -> None:
    before = sums(filled, "shop_item")
    filled.operations("0003_drop", DROP_V)
    (filled.path / "restore_points").write_text("a file")
    said = refuse(filled, "migrate")
    assert "restore_points" in said
    assert "cannot be written" in said
    assert sums(filled, "shop_item") == before
    assert "There is no restore point of this database." in succeed(filled, "restore_points")

    filled.configure("MIGRATION_GUARD = {'RESTORE_POINTS': '/proc/points'}")
    assert "cannot be written" in refuse(filled, "migrate")
    filled.configure("MIGRATION_GUARD = {'RESTORE_POINTS': None}")
    assert "is None" in refuse(filled, "migrate", "--restore-point")
    assert "is None" in refuse(filled, "restore_points")
    assert sums(filled, "shop_item") == before
    succeed(filled, "migrate")
    assert filled.columns() == {"id", "name"}


def test_points_of_one_command_are_kept_and_earlier_ones_go(filled: Stranger) -> None:
    filled.configure("MIGRATION_GUARD = {'RESTORE_POINTS_KEPT': 2}")
    filled.operations("0003_change", CHANGE)
    succeed(filled, "migrate")
    (first,) = points(filled)
    for number in (4, 5, 6):
        filled.operations(f"000{number}_change", f"migrations.RunSQL('UPDATE shop_item SET v = v + {number}')")

    said = succeed(filled, "migrate")

    assert f"Restore point deleted, as the settings say: {first}" in said
    assert [name.split("-")[-1] for name in points(filled)] == [
        "shop.0006_change",
        "shop.0005_change",
        "shop.0004_change",
    ]
    filled.operations("0007_change", CHANGE.replace("upper", "lower"))
    filled.configure("MIGRATION_GUARD = {'RESTORE_POINTS_DAYS': 1}")
    for name in points(filled):
        path = folder(filled) / name / "manifest.json"
        manifest = Manifest.from_json(path.read_text())
        path.write_text(replace(manifest, taken_at=manifest.taken_at - timedelta(days=2)).as_json())
    succeed(filled, "migrate")
    assert [name.split("-")[-1] for name in points(filled)] == ["shop.0007_change"]


def test_session_that_does_not_count(filled: Stranger) -> None:
    filled.operations("0003_change", CHANGE)
    before = sums(filled, "shop_item")
    filled.configure("DATABASES['default']['OPTIONS']['options'] = '-c track_counts=off'")

    said = refuse(filled, "migrate")

    assert "track_counts is off" in said
    assert sums(filled, "shop_item") == before
    assert (points(filled), leftovers(filled)) == ([], [])


def test_settings_of_the_role(filled: Stranger) -> None:
    number = "float8 DEFAULT 0.1::float8 + 0.2"
    filled.sql(f"ALTER TABLE shop_item ADD f {number}, ADD g {number}, ADD i interval DEFAULT '-1 day 00:00:01'")
    before = sums(filled, "shop_item")
    options = "-c extra_float_digits=-5 -c intervalstyle=sql_standard -c idle_in_transaction_session_timeout=200"
    filled.configure(f"DATABASES['default']['OPTIONS']['options'] = {options!r}")
    filled.operations(
        "0003_drop",
        "migrations.RunSQL('ALTER TABLE shop_item DROP f, DROP i')",
        "migrations.RunSQL('DELETE FROM shop_item WHERE id < 4')",
        "migrations.RunSQL('UPDATE shop_item SET g = 0.3 WHERE id > 7')",
    )
    succeed(filled, "migrate")
    restore(filled)
    assert sums(filled, "shop_item") == before


@contextmanager
def owned(project: Stranger, encoding: str) -> Iterator[None]:
    """The project in a database of this encoding, as a role that owns it and may do nothing else."""
    name, usual = f"{project.env['POSTGRES_DB']}_{encoding.lower()}", dict(project.env)
    with maintenance().connect() as server:
        server.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'changethis'".encode())
        for database, code in ((name, encoding), (f"{name}_into", encoding)):
            server.execute(
                f"CREATE DATABASE {database} OWNER {name} TEMPLATE template0 ENCODING '{code}' LOCALE 'C'".encode()
            )
        project.env |= {"POSTGRES_DB": name, "POSTGRES_USER": name, "POSTGRES_PASSWORD": "changethis"}
        try:
            yield
        finally:
            project.env |= usual
            for database in (name, f"{name}_into"):
                server.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())
            server.execute(f"DROP ROLE {name}".encode())


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_owner_of_a_database_of_another_encoding(shop: Stranger, encoding: str) -> None:
    with owned(shop, encoding):
        fill(shop, 5)
        shop.operations("0003_box", CREATE_BOX)
        succeed(shop, "migrate")
        octets = "convert_from('\\xe4ff'::bytea, current_setting('server_encoding'))"
        shop.sql(f"ALTER TABLE shop_item ADD x text DEFAULT {octets}, ADD y text DEFAULT {octets}")
        shop.sql(f"INSERT INTO shop_box (item_id, label) SELECT id, {octets} || id FROM shop_item")
        tables = ("shop_item", "shop_box")
        before = {table: shop.sql(f"SELECT sum(hashtext(t::text)::bigint) FROM {table} t") for table in tables}
        shop.operations(
            "0004_destroy",
            "migrations.RunSQL('ALTER TABLE shop_item DROP y')",
            "migrations.RunSQL(\"UPDATE shop_item SET x = 'ascii'\")",
            "migrations.DeleteModel('Box')",
        )

        for table in tables:
            hide = f"ALTER TABLE {table} {{}} ROW LEVEL SECURITY, {{}} ROW LEVEL SECURITY"
            shop.sql(hide.format("ENABLE", "FORCE"))
            assert "row-level security" in refuse(shop, "migrate")
            shop.sql(hide.format("DISABLE", "NO FORCE"))
        succeed(shop, "migrate")

        assert "CREATEDB" in refuse(shop, "restore", points(shop)[0], "--into", "not_there")
        into = f"{shop.env['POSTGRES_DB']}_into"
        restore(shop, "--into", into)
        assert "already exists" in refuse(shop, "restore", points(shop)[0], "--into", into)
        restore(shop)
        for table in tables:
            assert shop.sql(f"SELECT sum(hashtext(t::text)::bigint) FROM {table} t") == before[table]
        shop.env["POSTGRES_DB"] = into
        assert shop.sql("SELECT sum(hashtext(t::text)::bigint) FROM shop_box t") == before["shop_box"]
        assert shop.sql("SELECT count(*) FROM shop_item_y") == [(5,)]
        shop.env["POSTGRES_DB"] = into.removesuffix("_into")


def test_whole_database_and_two_databases_in_one_folder(filled: Stranger) -> None:
    filled.operations("0003_drop", DROP_V)
    before = sums(filled, "shop_item")
    succeed(filled, "migrate", "--restore-point")
    column, whole = points(filled)
    assert "has the whole database. Restore it --into another one" in refuse(filled, "restore", whole, "--yes")
    with beside(filled) as other:
        succeed(filled, "restore", whole, "--into", other.env["POSTGRES_DB"])
        assert sums(other, "shop_item") == before
        assert other.applied() == ["0001_initial", "0002_v"]
        assert "There is no restore point" in refuse(other, "restore", column, "--yes")
        succeed(other, "migrate")
        assert len(points(other)) == 1
    assert points(filled) == [column, whole]


def test_commit_before_anything_is_kept_is_refused(filled: Stranger) -> None:
    before = sums(filled, "shop_item")
    shout = "UPDATE shop_item SET name = upper(name)"
    for statements in ([shout, "COMMIT", "SELECT 1"], f"{shout}; COMMIT; SELECT 1", f"{shout}; END"):
        filled.operations("0003_change", f"migrations.RunSQL({statements!r})")
        said = refuse(filled, "migrate")
        assert "shop.0003_change ends its transaction by itself" in said
        assert sums(filled, "shop_item") == before
        assert (points(filled), leftovers(filled)) == ([], [])
    filled.operations("0003_change", f"migrations.RunSQL({['BEGIN', shout, 'COMMIT']!r})", atomic=False)
    succeed(filled, "migrate")
    restore(filled)
    assert sums(filled, "shop_item") == before


def test_database_that_only_reads_is_left_as_it_is(filled: Stranger) -> None:
    filled.operations("0003_change", CHANGE)
    succeed(filled, "migrate")
    changed = sums(filled, "shop_item")
    filled.sql(f"ALTER DATABASE {filled.env['POSTGRES_DB']} SET default_transaction_read_only = on")

    said = refuse(filled, "restore", *points(filled), "--yes")

    assert f"Nothing was changed in the database {filled.env['POSTGRES_DB']}: default_transaction_read_only" in said
    assert sums(filled, "shop_item") == changed


def test_attribute_that_is_taken_out_of_values_is_refused(filled: Stranger) -> None:
    filled.sql(
        "CREATE TYPE place AS (street text, town text); CREATE DOMAIN home AS place; CREATE TYPE stay AS (at home)"
    )
    filled.sql("CREATE TABLE visit (id int PRIMARY KEY, stays stay[])")
    filled.operations("0003_street", "migrations.RunSQL('ALTER TYPE place DROP ATTRIBUTE street')")
    filled.sql("INSERT INTO visit VALUES (1, ARRAY[ROW(ROW('Rue', 'Genf')::home)::stay])")

    said = refuse(filled, "migrate")

    taken = "shop.0003_street takes away the attribute street of the type place, which values of visit.stays have"
    assert taken in said
    assert "Copy it to a column of its own before" in said
    assert (points(filled), leftovers(filled)) == ([], [])
    assert filled.sql("SELECT ((stays[1]).at).street FROM visit") == [("Rue",)]
    filled.sql("DELETE FROM visit")
    succeed(filled, "migrate")


def test_steps_of_what_is_not_atomic_and_what_cannot_be_undone(filled: Stranger) -> None:
    before = sums(filled, "shop_item")
    path = filled.operations(
        "0003_steps",
        "migrations.RunSQL(['UPDATE shop_item SET v = -v WHERE id < 3', 'DELETE FROM shop_item WHERE id > 7'])",
        "migrations.RunPython(change, atomic=False)",
        DROP_V,
        atomic=False,
    )
    change = "def change(apps, editor):\n    apps.get_model('shop', 'Item').objects.update(name='x')\n"
    path.write_text(path.read_text().replace("class Migration", f"{change}\n\nclass Migration"))

    succeed(filled, "migrate")

    assert len(points(filled)) == 4
    said = refuse(filled, "rollback", "--yes")
    assert f"destroyed was kept: manage.py restore {points(filled)[0]}" in said
    for point in points(filled):
        succeed(filled, "restore", point, "--yes")
    assert sums(filled, "shop_item") == before


def test_server_that_is_older_than_the_programs(tmp_path: Path) -> None:
    with another_server(["fsync=off"], installed=POSTGRESQL_16) as server:
        shop = begin(tmp_path / "shop", environment_of(server.address))
        fill(shop, 10)
        before = sums(shop, "shop_item")
        shop.operations("0003_drop", "migrations.DeleteModel('Item')")

        succeed(shop, "migrate", "--restore-point")

        table, whole = points(shop)
        succeed(shop, "restore", table, "--yes")
        assert sums(shop, "shop_item") == before
        succeed(shop, "restore", whole, "--into", "whole")
        shop.env["POSTGRES_DB"] = "whole"
        assert sums(shop, "shop_item") == before
        assert shop.applied() == ["0001_initial", "0002_v"]
