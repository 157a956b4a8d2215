"""PgBouncer, before a server of the tests."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from config.postgres import UNPRIVILEGED_USER
from tests.project import Project
from tests.server import free_port

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
def pgbouncer(project: Project, mode: str, size: int) -> Iterator[int]:
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


def until_it_answers(project: Project, port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, dbname=project.env["POSTGRES_DB"], user="x").close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
