"""One process migrates at a time."""

import subprocess
import sys

import pytest

from tests.migration_guard.stranger import Stranger
from tests.programs import managing

pytestmark = pytest.mark.endurance

INDEX = "AddIndexConcurrently('Item', models.Index(fields=['name'], name='item_name'))"
INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
TURN = "SELECT pg_advisory_lock(('x' || encode('migguard', 'hex'))::bit(64)::bigint)"
LOSE_THE_LOCK = (
    "migrations.RunPython(lambda apps, editor: editor.connection.cursor().execute('SELECT pg_advisory_unlock_all()'))"
)


def migrate_at_once(project: Stranger, processes: int) -> list[str]:
    """Start so many `migrate` at the same time; their outputs, once all have ended with 0."""
    started = [project.start(sys.executable, "manage.py", "migrate") for _ in range(processes)]
    try:
        outputs = [process.communicate(timeout=120)[0] for process in started]
    except subprocess.TimeoutExpired:
        for process in started:
            process.kill()
        raise
    assert [process.returncode for process in started] == [0] * processes, outputs
    return outputs


def write_concurrent_plan(project: Stranger) -> None:
    project.operations("0002_index", INDEX, atomic=False)
    project.operations("0003_more", "migrations.AddField('Item', 'v', models.IntegerField(default=0))")
    project.operations(
        "0004_unique", "migrations.RunSQL('CREATE UNIQUE INDEX CONCURRENTLY u ON shop_item (id, v)')", atomic=False
    )


def test_of_several_processes_one_applies(shop: Stranger) -> None:
    shop.configure("INSTALLED_APPS += ['django.contrib.contenttypes', 'django.contrib.auth']")
    write_concurrent_plan(shop)

    outputs = migrate_at_once(shop, 5)

    applying = [output for output in outputs if "Applying" in output]
    assert len(applying) == 1
    assert applying[0].count("OK") == len(shop.sql("SELECT id FROM django_migrations"))
    assert shop.sql(INVALID) == [(0,)]


@pytest.mark.parametrize("applied_before", ["nothing", "half"])
def test_of_twenty_processes_one_applies(shop: Stranger, applied_before: str) -> None:
    shop.configure("INSTALLED_APPS += ['django.contrib.contenttypes', 'django.contrib.auth']")
    write_concurrent_plan(shop)
    if applied_before == "half":
        shop.manage("migrate", "shop", "0002")

    outputs = migrate_at_once(shop, 20)

    assert sum("Applying" in output for output in outputs) == 1
    assert shop.sql(INVALID) == [(0,)]
    assert shop.applied() == ["0001_initial", "0002_index", "0003_more", "0004_unique"]
    assert shop.sql("SELECT count(*) FROM migration_guard_run WHERE action = 'apply' AND app = 'shop'") == [(4,)]


def test_waiting_process_says_who_has_the_turn(shop: Stranger) -> None:
    with shop.connect() as holder:
        holder.execute(TURN)
        pid = holder.info.backend_pid
        with managing(shop, "migrate") as migrate:
            migrate.wait_for(f"Waiting for another process to finish: server process {pid}", within=20)
            holder.close()

            assert migrate.wait(within=20) == 0


def test_plan_and_check_wait_for_nobody_and_write_nothing(shop: Stranger) -> None:
    with shop.connect() as holder:
        holder.execute(TURN)

        assert "shop.0001_initial" in shop.manage("migrate", "--plan").stdout
        assert shop.manage("migrate", "--check").returncode == 1
        assert (
            shop.sql("SELECT relname FROM pg_class WHERE relname IN ('django_migrations', 'migration_guard_run')") == []
        )


def test_lost_lock_stops_the_run(shop: Stranger) -> None:
    shop.operations("0002_unlock", LOSE_THE_LOCK)
    shop.operations("0003_more", "migrations.AddField('Item', 'v', models.IntegerField(default=0))")

    migrated = shop.manage("migrate")

    assert migrated.returncode == 2
    assert "no longer holds the lock" in migrated.stdout
    assert shop.applied() == ["0001_initial", "0002_unlock"]


def test_callers_turn_holds_over_migrate(shop: Stranger) -> None:
    shop.write(
        "inside.py",
        '''
        import django
        django.setup()
        from django.core.management import call_command
        from django.db import connection
        import migration_guard
        LOCKS = """SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE locktype = 'advisory' AND datname = current_database()"""
        with migration_guard.turn(connection) as session:
            call_command("migrate", verbosity=0)
            with session.cursor() as cursor:
                cursor.execute(LOCKS)
                print("inside", cursor.fetchone())
        with connection.cursor() as cursor:
            cursor.execute(LOCKS)
            print("after", cursor.fetchone())
            cursor.execute("SELECT name, setting FROM pg_settings WHERE source = 'session' AND name LIKE '%timeout'")
            print("left behind", cursor.fetchall())
        ''',
    )

    inside = shop.run(sys.executable, "inside.py", env={"DJANGO_SETTINGS_MODULE": "settings"})

    assert inside.stdout.splitlines() == ["inside (1,)", "after (0,)", "left behind []"]
