"""A database behind PgBouncer: a lock of the session is worth something in one of its modes only."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from config.postgres import UNPRIVILEGED_USER
from tests.migration_guard.stranger import Stranger
from tests.server import free_port

pytestmark = pytest.mark.endurance

CONFIGURATION = """
[databases]
* = host={POSTGRES_SERVER} port={POSTGRES_PORT} user={POSTGRES_USER} password={POSTGRES_PASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
"""


@contextmanager
def pgbouncer(project: Stranger, mode: str, size: int) -> Iterator[int]:
    """PgBouncer before the project's server, in that mode, with so many server processes; its port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    assert program, "These tests need PgBouncer: apt-get install pgbouncer"
    port = free_port()
    user = UNPRIVILEGED_USER if os.geteuid() == 0 else None
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as configuration:
        configuration.write(CONFIGURATION.format(port=port, mode=mode, size=size, **project.env))
        configuration.flush()
        # It reads the file as the user that it runs as.
        Path(configuration.name).chmod(0o644)
        with subprocess.Popen([program, "-q", configuration.name], user=user, group=user and "nogroup") as process:
            try:
                until_it_answers(project, port)
                yield port
            finally:
                process.terminate()


def until_it_answers(project: Stranger, port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, dbname=project.env["POSTGRES_DB"], user="x").close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def through(project: Stranger, port: int) -> None:
    project.configure(f"DATABASES['default'] = SERVER | {{'HOST': '127.0.0.1', 'PORT': {port}}}")


@pytest.mark.parametrize("size", [1, 2])
def test_transaction_mode_is_recognised_and_refused(shop: Stranger, size: int) -> None:
    with pgbouncer(shop, "transaction", size) as port:
        through(shop, port)

        migration = shop.manage("migrate")

    assert migration.returncode == 2
    assert "transaction pooling" in migration.stdout
    assert "MIGRATION_GUARD['DIRECT_DATABASE']" in migration.stdout
    assert shop.sql("SELECT to_regclass('django_migrations')") == [(None,)]


def test_direct_database_is_taken_instead(shop: Stranger) -> None:
    with pgbouncer(shop, "transaction", 2) as port:
        through(shop, port)
        shop.configure("DATABASES['direct'] = SERVER\nMIGRATION_GUARD = {'DIRECT_DATABASE': 'direct'}")

        migration = shop.manage("migrate")
        again = shop.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert shop.applied() == ["0001_initial"]
    assert "No migrations to apply" in again.stdout


@pytest.mark.parametrize("size", [1, 4])
def test_session_mode_is_as_good_as_a_direct_connection(shop: Stranger, size: int) -> None:
    with pgbouncer(shop, "session", size) as port:
        through(shop, port)

        migration = shop.manage("migrate")

    assert migration.returncode == 0, migration.stdout
    assert shop.applied() == ["0001_initial"]
