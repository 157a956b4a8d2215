"""A migration that has to wait for a lock: who queues behind it, for how long, and what is said."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.migration_guard.stranger import ADD_COLUMN, Stranger, begin
from tests.programs import managing
from tests.project import environment_of
from tests.server import another_server

pytestmark = pytest.mark.endurance

WAITS = """
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND datname = current_database() AND application_name NOT LIKE 'probe%'
"""
# Through the manager of the application, which lives longer than the models of a state.
NOTES_ITS_TYPE = """
    def note(apps, schema_editor):
        from django.contrib.contenttypes.models import ContentType

        noted = ContentType.objects.get_for_model(apps.get_model("shop", "Item"))
        schema_editor.execute("INSERT INTO shop_note VALUES (%s)", [noted.pk])

    class Migration(migrations.Migration):
        dependencies = [("shop", "0001_initial"), ("contenttypes", "0002_remove_content_type_name")]
        operations = [
            migrations.RunSQL("CREATE TABLE shop_note (type int REFERENCES django_content_type)"),
            migrations.RunPython(note),
            migrations.AddField("Item", "v", models.IntegerField(null=True)),
        ]
"""
# What a poll of the watcher and a busy machine may add to a wait.
SLACK_SECONDS = 0.5


class Probe(threading.Thread):
    """A reader that asks a table again and again; `longest` is its longest wait for an answer, in seconds."""

    def __init__(self, project: Stranger, table: str) -> None:
        super().__init__(daemon=True)
        self.query = sql.SQL("SELECT count(*) FROM {table}").format(table=sql.Identifier(table))
        self.connection = project.connect()
        self.longest = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        self.connection.execute("SET application_name = 'probe'")
        while not self._over.wait(0.01):
            began = time.monotonic()
            self.connection.execute(self.query)
            self.longest = max(self.longest, time.monotonic() - began)

    def end(self) -> float:
        self._over.set()
        self.join(timeout=30)
        self.connection.close()
        return self.longest


@contextmanager
def holding(project: Stranger, table: str = "shop_item", name: str = "a-report") -> Iterator[psycopg.Connection]:
    """A session that is idle in a transaction in which it has read the table."""
    connection = project.connect()
    try:
        connection.autocommit = False
        connection.execute(sql.SQL("SET application_name = {name}").format(name=sql.Literal(name)))
        connection.execute(sql.SQL("SELECT count(*) FROM {table}").format(table=sql.Identifier(table)))
        yield connection
    finally:
        connection.close()


def until_it_waits(project: Stranger, within: float = 20) -> None:
    deadline = time.monotonic() + within
    while project.sql(WAITS) == [(0,)]:
        assert time.monotonic() < deadline, "the migration does not wait for a lock"
        time.sleep(0.02)


@pytest.fixture
def migrated(shop: Stranger) -> Stranger:
    """The shop with its first migration applied."""
    shop.configure("MIGRATION_GUARD = {'LOCK_TIMEOUT': 0.5}")
    shop.manage("migrate")
    return shop


def test_reader_never_waits_longer_than_the_timeout(migrated: Stranger) -> None:
    migrated.operations("0002_v", ADD_COLUMN)
    probe = Probe(migrated, "shop_item")
    probe.start()

    with holding(migrated) as holder, managing(migrated, "migrate") as migrate:
        migrate.wait_for("Try 2 given up")
        pid = holder.info.backend_pid
        holder.rollback()
        assert migrate.wait() == 0

    assert probe.end() < 0.5 + SLACK_SECONDS
    assert "Waiting for AccessExclusiveLock on shop_item" in migrate.output
    assert f"server process {pid}, user postgres, application a-report, idle in transaction" in migrate.output
    assert f"SELECT pg_terminate_backend({pid})" in migrate.output
    assert "v" in migrated.columns()
    assert migrated.sql(
        "SELECT retries >= 2, longest_lock_wait > 0.3 FROM migration_guard_run ORDER BY id DESC LIMIT 1"
    ) == [(True, True)]


def test_long_select_is_named_with_its_query(migrated: Stranger) -> None:
    migrated.operations("0002_v", ADD_COLUMN)
    reader = threading.Thread(target=migrated.sql, args=["SELECT count(*), pg_sleep(2.5) FROM shop_item"])

    reader.start()
    migration = migrated.manage("migrate")
    reader.join()

    assert migration.returncode == 0
    assert "SELECT count(*), pg_sleep(2.5) FROM shop_item" in migration.stdout


@pytest.mark.parametrize("form", ["four operations", "one string"])
def test_waits_are_summed_over_the_statements_of_a_migration(shop: Stranger, form: str) -> None:
    shop.configure("MIGRATION_GUARD = {'LOCK_TIMEOUT': 1.0}")
    tables = ["t1", "t2", "t3", "t4"]
    creations = "; ".join(f"CREATE TABLE {table} (id int)" for table in tables)
    alterations = [f"ALTER TABLE {table} ADD COLUMN v int" for table in tables]
    if form == "one string":
        alterations = ["; ".join(alterations)]
    shop.operations("0002_tables", f"migrations.RunSQL('{creations}')")
    shop.manage("migrate")
    shop.operations("0003_alter", *(f"migrations.RunSQL('{statement}')" for statement in alterations))
    probe = Probe(shop, "t1")

    with managing_holders(shop, tables) as holders, managing(shop, "migrate") as migrate:
        until_it_waits(shop)
        probe.start()
        for holder, pause in zip(holders, (0.2, 0.7, 0.7, 0.7), strict=True):
            time.sleep(pause)
            holder.close()
        assert migrate.wait() == 0

    assert probe.end() < 1.0 + SLACK_SECONDS
    assert "Try 1 given up" in migrate.output


@contextmanager
def managing_holders(project: Stranger, tables: list[str]) -> Iterator[list[psycopg.Connection]]:
    """A session idle in transaction on each of the tables."""
    holders = [project.connect() for _ in tables]
    for holder, table in zip(holders, tables, strict=True):
        holder.autocommit = False
        holder.execute(sql.SQL("SELECT count(*) FROM {table}").format(table=sql.Identifier(table)))
    try:
        yield holders
    finally:
        for holder in holders:
            holder.close()


def test_end_of_the_budget_says_all_and_leaves_nothing(shop: Stranger) -> None:
    shop.configure("MIGRATION_GUARD = {'LOCK_TIMEOUT': 0.2, 'LOCK_BUDGET': 1}")
    shop.manage("migrate")
    shop.operations("0002_v", "migrations.RunSQL('CREATE TABLE other (id int)')", ADD_COLUMN)

    with holding(shop) as holder:
        migration = shop.manage("migrate")
        pid = holder.info.backend_pid

    assert migration.returncode == 2
    assert "shop.0002_v: no lock in" in migration.stdout
    assert f"server process {pid}" in migration.stdout
    assert "nothing of it is in the database" in migration.stdout
    assert shop.applied() == ["0001_initial"]
    assert shop.sql("SELECT to_regclass('other')") == [(None,)]
    assert shop.sql("SELECT outcome FROM migration_guard_run ORDER BY id DESC LIMIT 1") == [("failed",)]
    assert shop.manage("migrate").returncode == 0


def test_hidden_query_comes_with_the_grant_that_shows_it(shop: Stranger) -> None:
    role = f"plain_{secrets.token_hex(4)}"
    shop.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'plain'")
    try:
        shop.sql(f"GRANT CREATE ON SCHEMA public TO {role}")
        shop.configure(
            f"""
            DATABASES["default"] |= {{"USER": "{role}", "PASSWORD": "plain"}}
            MIGRATION_GUARD = {{'LOCK_TIMEOUT': 0.2, 'LOCK_BUDGET': 0.5}}
            """
        )
        shop.manage("migrate")
        shop.operations("0002_v", ADD_COLUMN)

        with holding(shop):
            migration = shop.manage("migrate")

        assert f"its query is hidden from {role}; GRANT pg_read_all_stats TO {role}" in migration.stdout
    finally:
        shop.sql(f"DROP OWNED BY {role} CASCADE")
        shop.sql(f"DROP ROLE {role}")


def test_concurrent_index_waits_for_an_old_snapshot_without_timeout(migrated: Stranger) -> None:
    migrated.operations(
        "0002_index", "AddIndexConcurrently('Item', models.Index(fields=['name'], name='item_name'))", atomic=False
    )
    migrated.sql("CREATE TABLE unrelated (id int)")

    with holding(migrated, "unrelated") as holder, managing(migrated, "migrate") as migrate:
        holder.rollback()
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.execute("SELECT count(*) FROM unrelated")
        until_it_waits(migrated)
        time.sleep(1)
        holder.rollback()
        assert migrate.wait() == 0

    assert "given up" not in migrate.output
    assert migrated.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'item_name'::regclass") == [(True,)]


def test_statement_of_a_python_step_outside_a_transaction_is_tried_again(migrated: Stranger) -> None:
    path = migrated.operations("0002_alter", "migrations.RunPython(alter)", atomic=False)
    body = "def alter(apps, editor):\n    with editor.connection.cursor() as cursor:\n"
    body += "        cursor.execute('ALTER TABLE shop_item ADD COLUMN v int')\n\n\n"
    path.write_text(path.read_text().replace("class Migration", body + "class Migration"))

    with holding(migrated) as holder, managing(migrated, "migrate") as migrate:
        migrate.wait_for("Try 1 given up")
        holder.rollback()

        assert migrate.wait() == 0


def test_vacuum_against_wraparound_is_recognised(tmp_path: Path) -> None:
    with another_server(["autovacuum_naptime=1s", "fsync=off"]) as server:
        project = begin(tmp_path / "shop", environment_of(server.address))
        project.configure("MIGRATION_GUARD = {'LOCK_TIMEOUT': 0.3, 'LOCK_BUDGET': 1}")
        project.manage("migrate")
        project.operations("0002_v", ADD_COLUMN)
        begin_vacuum_against_wraparound(project)

        migration = project.manage("migrate")

        assert migration.returncode == 2
        assert "public.shop_item (to prevent wraparound)" in migration.stdout
        assert "let it finish, it would only begin again" in migration.stdout
        assert "pg_terminate_backend" not in migration.stdout


def begin_vacuum_against_wraparound(project: Stranger) -> None:
    """Use up transaction ids until the table is due; slow, so that it is still at work when the migration comes."""
    project.sql("INSERT INTO shop_item (name) SELECT repeat('x', 40) FROM generate_series(1, 50000)")
    project.sql(
        "ALTER TABLE shop_item SET (autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100, "
        "autovacuum_vacuum_cost_limit = 1, autovacuum_enabled = false)"
    )
    project.sql("CREATE TABLE burnt (id int)")
    burn = "BEGIN INSERT INTO burnt VALUES (1); EXCEPTION WHEN OTHERS THEN NULL; END"
    project.sql(f"DO $$ BEGIN FOR i IN 1..110000 LOOP {burn}; END LOOP; END $$")
    deadline = time.monotonic() + 60
    while not project.sql("SELECT pid FROM pg_stat_activity WHERE query LIKE '%shop_item (to prevent wraparound)'"):
        assert time.monotonic() < deadline, "no vacuum came"
        time.sleep(0.2)


def test_content_type_of_a_try_that_was_given_up_is_forgotten(migrated: Stranger) -> None:
    migrated.configure("INSTALLED_APPS.append('django.contrib.contenttypes')")
    migrated.migration("0002_noted", NOTES_ITS_TYPE)

    with holding(migrated) as holder, managing(migrated, "migrate") as migrate:
        migrate.wait_for("Try 1 given up")
        holder.rollback()

        assert migrate.wait() == 0, migrate.output
    assert migrated.sql("SELECT model FROM shop_note JOIN django_content_type ON id = type") == [("item",)]


def test_signal_handlers_wait_as_in_django(migrated: Stranger) -> None:
    """The migrations are applied by then; what runs after them is no reason to call that a failure."""
    migrated.configure("INSTALLED_APPS += ['django.contrib.contenttypes', 'django.contrib.auth']")
    migrated.manage("migrate")
    migrated.operations(
        "0002_order", "migrations.CreateModel('Order', fields=[('id', models.BigAutoField(primary_key=True))])"
    )

    with migrated.connect() as holder, managing(migrated, "migrate") as migrate:
        holder.autocommit = False
        holder.execute("LOCK TABLE django_content_type IN SHARE MODE")
        until_it_waits(migrated)
        time.sleep(1)
        holder.rollback()

        assert migrate.wait() == 0
