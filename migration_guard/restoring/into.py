"""`restore --into`: what a point has kept as tables of another database, to be looked at."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain, count

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Identifier, Literal

from migration_guard.applied import WHERE
from migration_guard.connections import execute, rows
from migration_guard.databases import DATABASES, connection_to, create, drop
from migration_guard.programs import Restore, client_program
from migration_guard.restoring.archives import copy_rows
from migration_guard.restoring.files import read_rows
from migration_guard.restoring.points import Part, RestorePoint
from migration_guard.restoring.restoring import require_whole, telling_why
from migration_guard.restoring.returning import read_values
from migration_guard.restoring.tables import Name, ensure_schema, listed

COMMENT = "What the restore point {name} has kept."
ENCODING = "SHOW server_encoding"
LOCALE = SQL("ENCODING {encoding} LC_COLLATE 'C' LC_CTYPE 'C'")
CREATE_TABLE = SQL("CREATE TABLE {table} ({columns})")
# Of PostgreSQL, in bytes.
LONGEST_NAME = 63
IS_TYPE = "SELECT to_regtype(%s) IS NOT NULL"
WHOLE = ("--no-owner", "--no-acl")


def restore_into(server: BaseDatabaseWrapper, point: RestorePoint, database: str) -> None:
    """Make the database where it is not there, and the tables in it. Raises NotRestored and MayNotCreate."""
    require_whole(point)
    ((live, _, search_path, _),) = rows(server, WHERE)
    if database == live:
        raise CommandError(f"--into {database}: that is the database itself. Leave --into out.", returncode=2)
    with telling_why(server), _made(server, database, COMMENT.format(name=point.name)):
        connection = connection_to(database, server, server.alias, search_path=search_path, purpose="restore")
        with closing(connection):
            if point.manifest.parts[0].kind == "database":
                _restore_whole(connection, point)
                return
            connection.ensure_connection()
            with connection.connection.transaction():
                for part, name in zip(point.manifest.parts, _names(point.manifest.parts), strict=True):
                    _create(connection, point, part, name)


@contextmanager
def _made(server: BaseDatabaseWrapper, database: str, comment: str) -> Iterator[None]:
    """One that was not there goes again where it cannot be filled."""
    if database in [name for name, _ in rows(server, DATABASES)]:
        yield
        return
    ((encoding,),) = rows(server, ENCODING)
    create(server, database, comment, LOCALE.format(encoding=Literal(encoding)))
    try:
        yield
    except BaseException:
        drop(server, database)
        raise


def _restore_whole(connection: BaseDatabaseWrapper, point: RestorePoint) -> None:
    path = point.path / point.manifest.parts[0].files[0].name
    program = Restore(client_program("pg_restore"), connection, *WHOLE, str(path), purpose="restore", at_once=True)
    try:
        program.finish()
    finally:
        program.end()


def _names(parts: Iterable[Part]) -> list[Name]:
    """Of the tables: what is too long for a name is cut, and what another part has taken gets a number."""
    names = list[Name]()
    for part in parts:
        wanted = "_".join(filter(None, (part.table, part.column)))
        free = (Name(part.schema, _fitting(wanted, end)) for end in chain([""], map("_{}".format, count(2))))
        names.append(next(name for name in free if name not in names))
    return names


def _fitting(name: str, end: str) -> str:
    return name.encode()[: LONGEST_NAME - len(end)].decode(errors="ignore") + end


def _create(connection: BaseDatabaseWrapper, point: RestorePoint, part: Part, name: Name) -> None:
    """A table of the columns that were kept."""
    known = {type_: rows(connection, IS_TYPE, [type_]) == [(True,)] for type_ in part.columns.values()}
    columns = SQL(", ").join(
        SQL("{} {}").format(Identifier(column), SQL(type_ if known[type_] else "text"))
        for column, type_ in part.columns.items()
    )
    ensure_schema(connection, part.schema)
    execute(connection, CREATE_TABLE.format(table=name.sql, columns=columns))
    if part.kind == "column":
        read_values(connection, point, part, name.sql)
        return
    path = point.path / part.files[0].name
    if part.kind == "table":
        copy_rows(connection.connection, path, name.sql)
    else:
        read_rows(connection.connection, path, name.sql, listed(part.columns))
