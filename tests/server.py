"""A pytest plugin: the PostgreSQL that the tests run on. The one that .env names where it answers, else a new one."""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from config.env import Environment
from config.postgres import Address, EmbeddedServer
from config.wheel import PACKAGE, SERVER, client_programs

# The other server of the wheel.
POSTGRESQL_16 = Path(PACKAGE, "pginstall")
# The data of a test run need not survive a power cut.
FAST = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200"]


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Before Django's settings are read; the workers of xdist inherit the environment and start nothing."""
    if not _answers(_configured_address()):
        server = EmbeddedServer(
            Path(tempfile.mkdtemp(prefix="my-trader-tests-")),
            Address("127.0.0.1", free_port(), "postgres", secrets.token_urlsafe(), "app"),
            options=FAST,
        )
        early_config.add_cleanup(lambda: _remove(server))
        server.start()
        os.environ |= {
            "POSTGRES_SERVER": server.address.host,
            "POSTGRES_PORT": str(server.address.port),
            "POSTGRES_USER": server.address.user,
            "POSTGRES_PASSWORD": server.address.password,
        }
    # A database is copied by programs that are not older than its server.
    os.environ["PATH"] = os.pathsep.join(filter(None, [os.environ["PATH"], client_programs()]))
    return (yield)


@contextmanager
def another_server(options: Sequence[str], *, installed: Path = SERVER) -> Iterator[EmbeddedServer]:
    """A running server of its own, for a test that ends it or sets it up otherwise; removed at the end."""
    address = Address("127.0.0.1", free_port(), "postgres", secrets.token_urlsafe(), "app")
    home = Path(tempfile.mkdtemp(prefix="my-trader-tests-"))
    server = EmbeddedServer(home, address, options=options, installed=installed)
    server.start()
    try:
        yield server
    finally:
        _remove(server)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _remove(server: EmbeddedServer) -> None:
    server.stop()
    shutil.rmtree(server.home)


def _configured_address() -> Address:
    env = Environment.load(os.environ, Path(__file__).parent.parent / ".env")
    return Address(
        host=env.str("POSTGRES_SERVER"),
        port=env.int("POSTGRES_PORT", 5432),
        user=env.str("POSTGRES_USER"),
        password=env.secret("POSTGRES_PASSWORD", min_length=0),
        database="postgres",
    )


def _answers(address: Address) -> bool:
    try:
        address.connect().close()
    except psycopg.OperationalError:
        return False
    return True
