"""Migrations written from operation objects, as makemigrations writes them, and what they make of a database."""

import os
import signal
import sys
import time

from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import MigrationWriter

from tests.migration_guard.schemas import Schema, schema_of
from tests.migration_guard.stranger import Stranger

# What schema_of leaves to other tests.
MORE = """
    SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = 'public'
"""
# The server shows the work of all databases, and other tests run beside this one.
WAITING_BUILD = """
    SELECT pid FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%' AND datname = current_database()
"""
TURN_HELD = """
    SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'advisory' AND datname = current_database()
"""


def write(project: Stranger, name: str, *operations: Operation, atomic: bool = True) -> None:
    """Write a migration of the shop that depends on the one before it."""
    existing = sorted(path.stem for path in (project.path / "shop/migrations").glob("0*.py") if path.stem < name)
    body = {"operations": list(operations), "dependencies": [("shop", existing[-1])] if existing else []}
    migration = type("Migration", (Migration,), body)(name, "shop")
    text = MigrationWriter(migration, include_header=False).as_string()
    if not atomic:
        text = text.replace("(migrations.Migration):\n", "(migrations.Migration):\n    atomic = False\n")
    project.write(f"shop/migrations/{name}.py", text)


def begin_with(project: Stranger, models: str, *operations: Operation) -> None:
    """Give the shop these models, and these operations as its first migration; apply it."""
    project.write("shop/models.py", models)
    write(project, "0001_initial", *operations)
    succeed(project, "migrate")


def succeed(project: Stranger, *arguments: str) -> str:
    command = project.manage(*arguments)
    assert command.returncode == 0, command.stdout
    return command.stdout


def shape(project: Stranger) -> Schema:
    return schema_of(project) | set(project.sql(MORE))


def shape_after(project: Stranger, target: str) -> Schema:
    succeed(project, "migrate", "shop", target)
    return shape(project)


def kill_while(project: Stranger, *arguments: str, query: str) -> None:
    """Kill the command once the query, which sees it at its work, gives a row; return once the server has noticed."""
    process = project.start(sys.executable, "manage.py", *arguments)
    while not project.sql(query):
        assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    while project.sql(TURN_HELD):
        assert time.monotonic() < deadline, "the orphan still has the turn"
        time.sleep(0.1)
