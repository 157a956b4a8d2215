"""`restore --into`: what a point has kept as tables of another database, to be looked at."""

from contextlib import closing

from django.core.management.base import CommandError
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Identifier

from migration_guard.applied import WHERE
from migration_guard.connections import execute, rows
from migration_guard.databases import DATABASES, connection_to, create
from migration_guard.programs import Program, client_program
from migration_guard.restoring.files import read_rows
from migration_guard.restoring.points import Part, RestorePoint
from migration_guard.restoring.restoring import require_whole, telling_why
from migration_guard.restoring.tables import Name, listed

COMMENT = "What the restore point {name} has kept."
CREATE_SCHEMA = SQL("CREATE SCHEMA IF NOT EXISTS {schema}")
CREATE_TABLE = SQL("CREATE TABLE {table} ({columns})")
IS_TYPE = "SELECT to_regtype(%s) IS NOT NULL"
# The rows of one table, without what ties it to others that are not there.
ROWS_ONLY = ("--section=pre-data", "--section=data")


def restore_into(server: BaseDatabaseWrapper, point: RestorePoint, database: str) -> None:
    """Make the database where it is not there, and the tables in it. Raises NotRestored and MayNotCreate."""
    require_whole(point)
    ((live, _, search_path, _),) = rows(server, WHERE)
    if database == live:
        raise CommandError(f"--into {database}: that is the database itself. Leave --into out.", returncode=2)
    with telling_why(server):
        if database not in [name for name, _ in rows(server, DATABASES)]:
            create(server, database, COMMENT.format(name=point.name))
        connection = connection_to(database, server, server.alias, search_path=search_path, purpose="restore")
        with closing(connection):
            for part in point.manifest.parts:
                _restore(connection, point, part)


def _restore(connection: BaseDatabaseWrapper, point: RestorePoint, part: Part) -> None:
    if part.kind in {"table", "database"}:
        options = ROWS_ONLY if part.kind == "table" else ()
        path = point.path / part.files[0].name
        command = [client_program("pg_restore"), "--exit-on-error", "--single-transaction", "--no-owner", "--no-acl"]
        program = Program([*command, *options, str(path)], connection, purpose="restore")
        try:
            program.finish()
        finally:
            program.end()
        return
    with transaction.atomic(using=connection.alias):
        _create(connection, point, part)


def _create(connection: BaseDatabaseWrapper, point: RestorePoint, part: Part) -> None:
    """A table of the columns that were kept; what a later file says of a key stands beside the earlier."""
    connection.ensure_connection()
    name = Name(part.schema, f"{part.table}_{part.column}".rstrip("_"))
    known = {type_: rows(connection, IS_TYPE, [type_]) == [(True,)] for type_ in part.columns.values()}
    columns = SQL(", ").join(
        SQL("{} {}").format(Identifier(column), SQL(type_ if known[type_] else "text"))
        for column, type_ in part.columns.items()
    )
    execute(connection, CREATE_SCHEMA.format(schema=Identifier(part.schema)))
    execute(connection, CREATE_TABLE.format(table=name.sql, columns=columns))
    for file in part.files:
        read_rows(connection.connection, point.path / file.name, name.sql, listed(part.columns))
