"""A database behind PgBouncer: a lock of the session is worth something in one of its modes only."""

import pytest

from tests.migration_guard.stranger import Stranger
from tests.pgbouncer import pgbouncer

pytestmark = pytest.mark.endurance


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
