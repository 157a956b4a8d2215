"""A disk that fills while a copy is made: that is told, nothing is left of the copy, and the source is as it was."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from config.postgres import EmbeddedServer, ServerFailed
from tests.migration_guard.operating import succeed
from tests.migration_guard.stranger import ADD_COLUMN, Stranger, begin
from tests.migration_guard.test_copies import (
    LARGE,
    everything,
    left,
    names,
    refused_with,
    rehearsed,
    small_disk,
)
from tests.project import environment_of
from tests.server import another_server

pytestmark = pytest.mark.endurance

# What is copied needs new files of the log.
OPTIONS = ["fsync=off", "wal_recycle=off"]
# Enough for an empty database and its first rows.
FREE_BYTES = 20_000_000
MODEST = """
    CREATE ROLE modest LOGIN CREATEDB PASSWORD 'only-for-a-test';
    ALTER DATABASE app OWNER TO modest;
"""


@contextmanager
def shop_on(server: EmbeddedServer, path: Path) -> Iterator[Stranger]:
    """A shop with a large table and a pending migration, on that server; its role may not ask how full the disk is."""
    with server.address.connect() as connection:
        connection.execute(MODEST)
        shop = begin(path, environment_of(replace(server.address, user="modest", password="only-for-a-test")))
        succeed(shop, "migrate")
        shop.operations("0002_v", ADD_COLUMN)
        shop.sql(LARGE.format(rows=150_000))
        connection.execute("CHECKPOINT")
    before = everything(shop)
    yield shop
    assert everything(shop) == before
    assert names(rehearsed(shop)) == ["0002_v"]
    assert left(shop) == []


def refused_on_a_full_disk(shop: Stranger, disk: Path) -> str:
    """What `rehearse` says where little is free; all of it is free again afterwards."""
    with (disk / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(disk).free - FREE_BYTES)
    said = refused_with(shop)
    (disk / "ballast").unlink()
    return said


def start_again(server: EmbeddedServer) -> None:
    """It may still be about to end, or at its recovery."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return server.start()
        except ServerFailed:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_disk_of_the_databases(tmp_path: Path) -> None:
    with (
        another_server(OPTIONS) as server,
        small_disk(server, "base", megabytes=300) as disk,
        shop_on(server, tmp_path) as shop,
    ):
        said = refused_on_a_full_disk(shop, disk)

        assert left(shop) == []
    assert "No space left on device" in said
    assert "The disk of the server that holds the copy is full. Free some of it" in said
    assert "--database ALIAS" in said
    assert "The copy is dropped again; the source is as it was." in said


def test_disk_of_the_log_whose_end_is_that_of_the_server(tmp_path: Path) -> None:
    with (
        another_server(OPTIONS) as server,
        small_disk(server, "pg_wal", megabytes=300) as disk,
        shop_on(server, tmp_path) as shop,
    ):
        said = refused_on_a_full_disk(shop, disk)
        start_again(server)

        assert len(left(shop)) == 1
        assert "No space left on device" in server.log.read_text()
    assert "server closed the connection unexpectedly" in said
    assert "The server's log says why, as where its disk is full" in said
    assert "is still there, and goes with the next rehearsal" in said
    assert "is dropped again" not in said
