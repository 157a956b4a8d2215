"""The application's role: what gunicorn connects as. It owns nothing, so that no mistake in it changes the schema.

No migration names the role: Compose, the embedded server and managed servers need no script of their own for it.
"""

import psycopg
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from config.database import WRONG_PASSWORD, DatabaseUnavailable, address_of, diagnose, explain

REFUSED_RIGHTS = """
    SELECT concat_ws(', ',
        CASE WHEN rolsuper THEN 'is a superuser' END,
        CASE WHEN rolcreaterole THEN 'may create roles' END,
        CASE WHEN rolbypassrls THEN 'bypasses row security' END,
        CASE WHEN pg_has_role(rolname, current_user, 'MEMBER') THEN 'is a member of the owner' END,
        CASE WHEN EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid) THEN 'owns tables' END,
        CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE oid = current_schema()::regnamespace
            AND pg_has_role(rolname, nspowner, 'MEMBER')) THEN 'owns the schema or the database' END)
    FROM pg_roles
    WHERE rolname = %s
"""
CREATE_ROLE = sql.SQL("CREATE ROLE {role} LOGIN PASSWORD {password}")
SET_PASSWORD = sql.SQL("ALTER ROLE {role} LOGIN PASSWORD {password}")
# The statements that are still needed, so that a start with nothing to grant writes nothing to the catalog.
MISSING_GRANTS = """
    WITH wanted AS (
        SELECT oid, relname, relkind = 'S' AS is_sequence,
            CASE
                WHEN relkind = 'S' THEN ARRAY['USAGE']
                WHEN relkind IN ('v', 'm') THEN ARRAY['SELECT']
                WHEN relname IN ('django_migrations', 'migration_guard_run') THEN ARRAY['SELECT']
                ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
            END AS rights
        FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
    )
    SELECT format('GRANT %%s ON %%s %%I.%%I TO %%I', string_agg(wish, ', ' ORDER BY wish),
        CASE WHEN is_sequence THEN 'SEQUENCE' ELSE 'TABLE' END, current_schema(), relname, %(role)s::text)
    FROM wanted, unnest(rights) AS wish
    WHERE NOT CASE
        WHEN is_sequence THEN has_sequence_privilege(%(role)s, oid, wish)
        ELSE has_table_privilege(%(role)s, oid, wish)
    END
    GROUP BY relname, is_sequence
    UNION ALL
    SELECT format('GRANT USAGE ON SCHEMA %%I TO %%I', current_schema(), %(role)s::text)
    WHERE NOT has_schema_privilege(%(role)s, current_schema(), 'USAGE')
    UNION ALL
    SELECT format('REVOKE CREATE ON SCHEMA %%I FROM PUBLIC, %%I', current_schema(), %(role)s::text)
    WHERE has_schema_privilege(%(role)s, current_schema(), 'CREATE')
"""


class UnsafeRole(Exception):
    """The application's role has a right by which it could change the schema."""


def grant_application_role(connection: BaseDatabaseWrapper, *, name: str, password: str) -> list[str]:
    """Make the role exist with this password and its rights on every table; return what was done, a line each.

    Runs as the owner, in one transaction, after the migrations. Tables may be read and written, django_migrations
    and the guard's ledger only read; TRUNCATE, REFERENCES, TRIGGER and any ownership are never given. Raises UnsafeRole
    for a role that is there already and could alter the schema.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        done = _ensure_role(connection, cursor, name, password)
        cursor.execute(MISSING_GRANTS, {"role": name})
        grants = [statement for (statement,) in cursor.fetchall()]
        for statement in grants:
            cursor.execute(statement)
    return [*done, *grants]


def _ensure_role(connection: BaseDatabaseWrapper, cursor: CursorWrapper, name: str, password: str) -> list[str]:
    cursor.execute(REFUSED_RIGHTS, [name])
    found = cursor.fetchone()
    if found is None:
        _execute_with_password(connection, cursor, CREATE_ROLE, name, password)
        return [f"CREATE ROLE {name}"]
    if found[0]:
        raise UnsafeRole(
            f"The application's role {name} {found[0]}: serving with it would not protect the schema. "
            "Name another role in POSTGRES_APP_USER, or take that right from this one."
        )
    if not _can_log_in(connection, name, password):
        _execute_with_password(connection, cursor, SET_PASSWORD, name, password)
        return [f"ALTER ROLE {name} PASSWORD"]
    return []


def _can_log_in(connection: BaseDatabaseWrapper, name: str, password: str) -> bool:
    parameters = connection.get_connection_params() | {"user": name, "password": password}
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    try:
        psycopg.connect(**parameters).close()
    except psycopg.OperationalError as error:
        if diagnose(error) is WRONG_PASSWORD:
            return False
        raise DatabaseUnavailable(explain(error, address_of(connection))) from error
    return True


def _execute_with_password(
    connection: BaseDatabaseWrapper, cursor: CursorWrapper, statement: sql.SQL, name: str, password: str
) -> None:
    """Send the password as its SCRAM verifier: the server's log may hold the statement, never the password."""
    session: psycopg.Connection = connection.connection
    verifier = session.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    composed = statement.format(role=sql.Identifier(name), password=sql.Literal(verifier.decode()))
    cursor.execute(composed.as_string(session))
