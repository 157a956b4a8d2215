"""Whatever a table is like: what a migration destroys of it is kept, and comes back as it was."""

import pytest

from tests.migration_guard.restoring import beside, held, points, refuse, restore, succeed, sums
from tests.migration_guard.stranger import Stranger
from tests.project import CHECKOUT, Project, database_environment

pytestmark = pytest.mark.endurance

TYPED = r"""
    CREATE TABLE {table} (
        id uuid PRIMARY KEY, n numeric, j json, jb jsonb, a integer[], m "Mood.s", ms "Mood.s"[], b bytea,
        t timestamptz, x text, i interval, f float8, c char(5), r int4range, ip inet, bits bit varying, own text,
        twice numeric GENERATED ALWAYS AS (n * 2) STORED
    );
    INSERT INTO {table}
    SELECT gen_random_uuid(), CASE n % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN 1.500 ELSE 1e100 END,
        '{{"a":  1, "a": 2}}', '{{"b": [null, "\""]}}', '{{1,NULL,3}}', E'it\\s', E'{{sad,o''k}}',
        decode('00ff5c0a09' || md5(n::text), 'hex'),
        (CASE n % 3 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE '0044-03-15 12:00:00.1234 BC' END)::timestamptz,
        E'tab\t, \\ backslash, \n\\.\n newline, \r, \\N, ä' || n, '-1 year 2 days -00:00:00.000001',
        (CASE n % 4 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' WHEN 2 THEN '0.30000000000000004' ELSE '1e-300' END)::float8,
        'ab', '[1,5)', '10.0.0.1/8', B'10101', 'own'
    FROM generate_series(1, 200) n;
"""
ODD = """
    CREATE TABLE {table} (
        "Key.%%" integer, "key {{two}}" text, "Wert ""%%" text, PRIMARY KEY ("key {{two}}", "Key.%%")
    );
    INSERT INTO {table} SELECT n, 'k' || n %% 7, nullif('w' || n, 'w5') FROM generate_series(1, 90) n;
"""
SCHEMA = '"An""other.%s"'
ODD_TABLES = [f'{SCHEMA}."{name}"' for name in ('Odd ""{0}.columns', "Odd {{rows}}", "Odd.%gone")]


def destroy(project: Stranger, name: str, *statements: str) -> str:
    """Apply a migration of these statements, each in an operation of its own."""
    project.operations(name, *(f"migrations.RunSQL({statement!r})" for statement in statements))
    return succeed(project, "migrate")


def test_values_of_every_type_and_names_of_every_kind(shop: Stranger) -> None:
    succeed(shop, "migrate")
    shop.sql("""CREATE TYPE "Mood.s" AS ENUM ('sad', 'o''k', E'it\\\\s')""")
    shop.sql(f"CREATE SCHEMA {SCHEMA}")
    typed = ["typed_columns", "typed_rows", "typed_gone"]
    for table in typed:
        shop.sql(TYPED.format(table=table))
    for table in ODD_TABLES:
        shop.sql(ODD.replace("%%", "%").format(table=table))
    shop.sql("CREATE TABLE keyless_gone AS SELECT n % 5 AS a, 'b' || n % 3 AS b FROM generate_series(1, 100) n")
    tables = [*typed, *ODD_TABLES, "keyless_gone"]
    before = sums(shop, *tables)

    columns = ["j", "jb", "a", "m", "ms", "b", "t", "x", "i", "f", "c", "r", "ip", "bits", "own"]
    destroy(
        shop,
        "0002_destroy",
        f"ALTER TABLE typed_columns {', '.join(f'DROP COLUMN {column}' for column in columns)}",
        "UPDATE typed_rows SET (j, x, f, t, b, n) = ('null', '', 0, now(), '', 3) WHERE n <> 'NaN'",
        "DELETE FROM typed_rows WHERE n = 'NaN'",
        "DROP TABLE typed_gone",
        f'ALTER TABLE {ODD_TABLES[0]} DROP COLUMN "Wert ""%"',
        f'UPDATE {ODD_TABLES[1]} SET "Wert ""%" = upper("Wert ""%")',
        f'DELETE FROM {ODD_TABLES[1]} WHERE "Key.%" < 20',
        f"DROP TABLE {ODD_TABLES[2]}",
        "DROP TABLE keyless_gone",
    )
    assert ("column", "typed_columns", "t", 200) in held(shop)
    assert ("table", "keyless_gone", "", 100) in held(shop)

    with beside(shop) as other:
        restore(shop, "--into", other.env["POSTGRES_DB"])
        assert other.sql("SELECT DISTINCT m FROM typed_columns_m") == [("it\\s",)]
        gone = ("typed_gone", ODD_TABLES[2], "keyless_gone")
        assert sums(other, *gone) == {table: before[table] for table in gone}
    restore(shop)

    assert sums(shop, *tables) == before


def test_rows_without_a_key_can_be_looked_at(shop: Stranger) -> None:
    succeed(shop, "migrate")
    shop.sql("CREATE TABLE keyless AS SELECT n % 5 AS a, 'b' || n % 3 AS b FROM generate_series(1, 100) n")
    shop.sql("INSERT INTO shop_item (name) SELECT n FROM generate_series(1, 10) n")
    before = sums(shop, "keyless", "shop_item")
    destroy(shop, "0002_delete", "DELETE FROM keyless WHERE a = 1")
    destroy(shop, "0003_drop", "ALTER TABLE shop_item DROP COLUMN id")
    key, rows = points(shop)

    assert "keyless has no primary key" in refuse(shop, "restore", rows, "--yes")
    assert "its column id is not there. Undo what came since first" in refuse(shop, "restore", key, "--yes")
    with beside(shop) as other:
        for point in (key, rows):
            succeed(shop, "restore", point, "--into", other.env["POSTGRES_DB"])
        assert sums(other, "keyless", "shop_item") == before


def test_point_of_tables_that_have_changed_since(shop: Stranger) -> None:
    succeed(shop, "migrate")
    shop.sql("CREATE TABLE keyed AS SELECT n AS id, 'v' || n AS v, 'w' || n AS w FROM generate_series(1, 9) n")
    shop.sql("CREATE TABLE keyless AS SELECT * FROM keyed")
    shop.sql("ALTER TABLE keyed ADD PRIMARY KEY (id)")
    before = sums(shop, "keyed", "keyless")
    destroy(shop, "0002_drop", "ALTER TABLE keyed DROP COLUMN w")
    destroy(shop, "0003_change", "UPDATE keyed SET v = '1'")
    destroy(shop, "0004_delete", "DELETE FROM keyless")
    keyless, rows, column = points(shop)

    for since, back, point in (
        ("ALTER TABLE keyed RENAME id TO number", "ALTER TABLE keyed RENAME number TO id", column),
        ("ALTER TABLE keyed ALTER id TYPE text", "ALTER TABLE keyed ALTER id TYPE integer USING id::integer", rows),
        ("ALTER TABLE keyed ALTER v TYPE integer USING v::integer", "ALTER TABLE keyed ALTER v TYPE text", rows),
        ("ALTER TABLE keyed RENAME TO moved", "ALTER TABLE moved RENAME TO keyed", column),
    ):
        shop.sql(since)
        said = refuse(shop, "restore", point, "--yes")
        assert "ndo what came since first, or restore it --into another database" in said, since
        assert "Nothing was restored" in said
        shop.sql(back)
    shop.sql("ALTER TABLE keyless ADD PRIMARY KEY (id)")
    assert "keyless has no primary key" in refuse(shop, "restore", keyless, "--yes")

    for point in (rows, column):
        succeed(shop, "restore", point, "--yes")
    assert sums(shop, "keyed")["keyed"] == before["keyed"]


LONG = "t" * 58


def test_values_to_be_looked_at_are_those_that_were_there_last(shop: Stranger) -> None:
    succeed(shop, "migrate")
    shop.sql(f"CREATE TABLE {LONG} (id integer PRIMARY KEY, alpha text, alphabet text)")
    shop.sql(f"INSERT INTO {LONG} SELECT n, 'a' || n, 'b' || n FROM generate_series(1, 4) n")
    # What is read a second time, because it may be new, stands over what was copied before.
    elsewhere = Project(CHECKOUT, database_environment("postgres"))
    with elsewhere.connect() as other, other.transaction():
        other.execute("SELECT pg_current_xact_id()")
        shop.sql(f"UPDATE {LONG} SET alpha = nullif(alpha, 'a3')")
        destroy(shop, "0002_drop", f"ALTER TABLE {LONG} DROP COLUMN alpha, DROP COLUMN alphabet")

    with beside(shop) as into:
        restore(shop, "--into", into.env["POSTGRES_DB"])

        names = "SELECT column_name, table_name FROM information_schema.columns WHERE table_schema = 'public'"
        found = {str(column): str(table) for column, table in into.sql(names)}
        assert {table.lstrip("t") for table in found.values()} == {"_alph", "_al_2"}
        assert into.sql(f"SELECT id, alpha FROM {found['alpha']} ORDER BY id") == [(1, "a1"), (2, "a2"), (4, "a4")]
        assert into.sql(f"SELECT count(alphabet) FROM {found['alphabet']}") == [(4,)]


CROSSED = """
    CREATE TABLE base (id integer PRIMARY KEY, v text, w text);
    CREATE TABLE derived (PRIMARY KEY (id), x text) INHERITS (base);
    INSERT INTO base SELECT n, 'v' || n, 'w' || n FROM generate_series(1, 9) n;
    INSERT INTO derived SELECT n, 'd' || n, 'e' || n, 'x' || n FROM generate_series(5, 15) n;
    CREATE TABLE gone_derived (id integer PRIMARY KEY, v text);
    CREATE TABLE gone_base (id integer PRIMARY KEY, v text);
    ALTER TABLE gone_derived INHERIT gone_base;
    INSERT INTO gone_base SELECT n, 'v' || n FROM generate_series(1, 9) n;
    INSERT INTO gone_derived SELECT n, 'd' || n FROM generate_series(5, 15) n;
    CREATE TABLE places (
        id integer PRIMARY KEY, a integer UNIQUE, b integer, c int4range, EXCLUDE USING gist (c WITH &&),
        fixed integer UNIQUE
    );
    CREATE UNIQUE INDEX "of {b} %" ON places (b) WHERE b > 0;
    INSERT INTO places SELECT n, n, n, int4range(n, n + 1), n FROM generate_series(1, 9) n;
    CREATE TABLE refers (id integer PRIMARY KEY REFERENCES places (fixed), n integer);
    INSERT INTO refers SELECT n, n FROM generate_series(1, 9) n;
    CREATE TABLE exact (id numeric PRIMARY KEY, v text);
    INSERT INTO exact SELECT n + 0.10, 'v' || n FROM generate_series(1, 9) n;
    CREATE TYPE state AS ENUM ('new', 'old');
    CREATE TABLE states (id integer PRIMARY KEY, s state, v text);
    INSERT INTO states SELECT n, 'old', 'v' || n FROM generate_series(1, 9) n;
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE moods (id integer PRIMARY KEY, m mood, prices text, v text);
    INSERT INTO moods SELECT n, 'ok', n || ',5', 'v' || n FROM generate_series(1, 9) n;
    CREATE TABLE codes (id integer PRIMARY KEY, code varchar(10), other varchar(10));
    INSERT INTO codes SELECT n, 'code' || n, 'other' || n FROM generate_series(1, 9) n;
    CREATE TABLE made_up (a integer, id integer GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY, v text);
    INSERT INTO made_up (a, v) SELECT n, 'v' || n FROM generate_series(1, 9) n;
"""


def test_rows_that_inherit_change_places_or_have_another_type(shop: Stranger) -> None:
    succeed(shop, "migrate")
    shop.sql(CROSSED)
    tables = ["base", "derived", "gone_base", "gone_derived", "places", "exact", "moods", "codes", "states", "made_up"]
    before, shape = sums(shop, *tables), shop.sql(SHAPES)

    destroy(
        shop,
        "0002_destroy",
        "UPDATE base SET v = upper(v) WHERE id < 12",
        "DELETE FROM base WHERE id > 7",
        "ALTER TABLE base DROP COLUMN w",
        "DROP TABLE gone_base CASCADE",
        "UPDATE places SET a = -a, b = -b, c = int4range(-id, 1 - id)",
        "UPDATE places SET a = 10 + a, b = 10 + b, c = int4range(10 - id, 11 - id)",
        "UPDATE exact SET id = trim_scale(id), v = 'x' WHERE id < 5",
        "UPDATE moods SET prices = replace(prices, ',', '.'), v = 'x' WHERE id < 5",
        "ALTER TABLE moods ALTER prices TYPE numeric USING replace(prices, ',', '.')::numeric",
        "ALTER TABLE moods ALTER m TYPE text USING m::text",
        "DROP TYPE mood",
    )
    destroy(shop, "0003_cut", 'ALTER TABLE codes ALTER code TYPE varchar(20) USING "code"::varchar(3)')
    destroy(shop, "0004_take", 'ALTER TABLE codes ALTER code TYPE varchar(30) USING "other"::varchar(30)')
    destroy(
        shop,
        "0005_state",
        "ALTER TYPE state RENAME TO was",
        "CREATE TYPE state AS ENUM ('new', 'done')",
        "ALTER TABLE states ALTER s TYPE state USING replace(s::text, 'old', 'done')::state",
        "DROP TYPE was",
    )
    destroy(shop, "0006_made_up", "UPDATE made_up SET v = 'x'")
    made_up, *others = points(shop)
    assert len(others) == 4

    shop.sql("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    shop.sql("ALTER TYPE state ADD VALUE 'old'")
    shop.sql("ALTER TABLE moods ALTER prices TYPE text, ALTER m TYPE mood USING m::mood")
    with beside(shop) as other:
        succeed(shop, "restore", made_up, "--into", other.env["POSTGRES_DB"])
        assert sums(other, "made_up")["made_up"] == before.pop("made_up")
    for point in others:
        succeed(shop, "restore", point, "--yes")
    assert sums(shop, *before) == before
    assert shop.sql(SHAPES) == shape


REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('shop.may', true) = 'yes' THEN RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END; END IF;
        RAISE 'only ever added to';
    END $$
"""
PARTS = """
    CREATE TABLE parts (id integer, year integer, v text, w integer, PRIMARY KEY (year, id)) PARTITION BY LIST (year);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2) PARTITION BY RANGE (id);
    CREATE TABLE parts_2_low PARTITION OF parts_2 FOR VALUES FROM (1) TO (50);
    CREATE TABLE parts_2_high PARTITION OF parts_2 FOR VALUES FROM (50) TO (500);
    CREATE TABLE parts_3 PARTITION OF parts FOR VALUES IN (3);
    CREATE TABLE parts_4 PARTITION OF parts FOR VALUES IN (4);
    CREATE INDEX ON parts (v);
    INSERT INTO parts SELECT n, 1 + n % 4, 'v' || n, n FROM generate_series(1, 200) n;
    CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON parts FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse_too BEFORE INSERT ON parts_1 FOR EACH ROW EXECUTE FUNCTION refuse();
"""
REFERRING = """
    CREATE TABLE child (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent integer, before bigint, v text,
        number integer GENERATED ALWAYS AS IDENTITY);
    CREATE TABLE parent (id integer PRIMARY KEY, v text NOT NULL, w text);
    ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent, ADD FOREIGN KEY (before) REFERENCES child;
    INSERT INTO parent SELECT n, 'v' || n, 'w' || n FROM generate_series(1, 50) n;
    INSERT INTO child (parent, before, v) SELECT n, nullif(n - 1, 0), 'v' || n FROM generate_series(1, 50) n;
    CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION refuse();
    ALTER TABLE parent ENABLE ALWAYS TRIGGER refuse;
    CREATE TABLE hen (id integer PRIMARY KEY, egg integer);
    CREATE TABLE egg (id integer PRIMARY KEY, hen integer REFERENCES hen DEFERRABLE INITIALLY DEFERRED);
    ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY DEFERRED;
    BEGIN;
    INSERT INTO hen SELECT n, n FROM generate_series(1, 9) n;
    INSERT INTO egg SELECT n, n FROM generate_series(1, 9) n;
    COMMIT;
    CREATE SCHEMA attic;
    CREATE TABLE attic.chest (id serial PRIMARY KEY, v text);
    INSERT INTO attic.chest (v) SELECT 'v' || n FROM generate_series(1, 9) n;
    CREATE TABLE cents (id integer PRIMARY KEY, v integer, w integer);
    CREATE TABLE dollars AS SELECT * FROM cents;
    ALTER TABLE dollars ADD PRIMARY KEY (id);
    INSERT INTO dollars SELECT n, n, n FROM generate_series(1, 9) n;
    INSERT INTO cents SELECT n, n, n FROM generate_series(1, 9) n;
"""
SHAPES = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE oid > 16384
    UNION
    SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
    UNION
    SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indexrelid > 16384 AND indexrelid::regclass::text !~ '^pg_'
    UNION
    SELECT 'partition', inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits
    ORDER BY 1, 2, 3
"""


def test_tables_that_depend_on_others(shop: Stranger) -> None:
    succeed(shop, "migrate")
    shop.sql(REFUSE + ";" + PARTS)
    shop.sql(REFERRING)
    tables = ["parts", "child", "parent", "hen", "egg", "attic.chest", "cents", "dollars"]
    before, shape = sums(shop, *tables), shop.sql(SHAPES)

    destroy(
        shop,
        "0002_destroy",
        "SET LOCAL shop.may = 'yes'",
        "DROP TABLE parts_2, parts_3",
        "TRUNCATE parts_4",
        "UPDATE parts SET v = upper(v) WHERE id < 20",
        "UPDATE parts SET year = 4, id = id + 1000 WHERE year = 1 AND id > 190",
        "ALTER TABLE parts DROP COLUMN w",
        "UPDATE child SET v = NULL WHERE id % 5 = 0",
        "DELETE FROM child WHERE id > 40",
        "DELETE FROM parent WHERE id > 40",
        "UPDATE parent SET v = 'x' WHERE id < 10",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "ALTER TABLE parent DROP COLUMN w",
        "DROP TABLE hen, egg",
        "DROP SCHEMA attic CASCADE",
        "ALTER TABLE cents ALTER w TYPE bigint USING (w * 100)::bigint",
        "ALTER TABLE dollars ALTER v TYPE integer USING v * 100",
    )
    assert ("rows", "parts", "", 157) in held(shop)
    restore(shop)

    # They have another key now, and stay.
    moved = "SET shop.may = 'yes'; DELETE FROM parts WHERE id > 1000"
    assert shop.sql(moved.replace("DELETE", "SELECT count(*)").split(";")[1]) == [(3,)]
    shop.sql(moved)
    assert sums(shop, *tables) == before
    assert shop.sql(SHAPES) == shape
