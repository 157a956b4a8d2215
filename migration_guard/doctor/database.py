"""The database: whether it answers, what this role may do in it, and what broken work has left."""

import re
from collections.abc import Iterator

from django.apps import apps
from django.db import DatabaseError, connections
from psycopg.sql import Identifier

from migration_guard.connections import rows, why_only_read
from migration_guard.doctor.diagnosis import Diagnosis, command, note, ok, problem
from migration_guard.doctor.session import looking

OLDEST = 15
SERVER = "SELECT current_setting('server_version'), current_database(), current_user"
ROLE = """
    SELECT current_user, current_schema(), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
        rolcreatedb OR rolsuper
    FROM pg_roles WHERE rolname = current_user
"""
FOREIGN = """
    SELECT relname, pg_get_userbyid(relowner) FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname = ANY (%s)
        AND NOT pg_has_role(relowner, 'USAGE')
    ORDER BY relname
"""
INVALID = """
    SELECT format('%I.%I', nspname, index.relname), indrelid::regclass::text
    FROM pg_index JOIN pg_class index ON index.oid = indexrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE NOT indisvalid AND relkind = 'i' AND relpersistence <> 't'
        AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)
    ORDER BY 1
"""
NOT_VALIDATED = """
    SELECT format('%I.%I', nspname, relname), quote_ident(conname)
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE NOT convalidated AND contype IN ('c', 'f', 'n') AND conparentid = 0
    ORDER BY 1, 2
"""


def check_server(alias: str) -> Iterator[Diagnosis]:
    """A problem where it does not answer: then nothing else can be asked."""
    settings = connections[alias].settings_dict
    where = f"{settings['HOST'] or 'the local socket'}:{settings['PORT'] or 5432}"
    try:
        with looking(alias) as session:
            ((version, database, user),) = rows(session, SERVER)
            why = why_only_read(session)
    except DatabaseError as error:
        yield problem("database", f"{where} does not answer for {settings['NAME']}: {' '.join(str(error).split())}")
        return
    yield ok("database", f"PostgreSQL {version.split()[0]} answers at {where}, database {database}, role {user}")
    if int(version.split(".")[0]) < OLDEST:
        yield problem(
            "database", f"it is PostgreSQL {version.split()[0]}, and the guard is made for {OLDEST} and later"
        )
    if why:
        yield problem("database", why)


def check_role(alias: str) -> Iterator[Diagnosis]:
    with looking(alias) as session:
        ((user, schema, may_create, may_create_databases),) = rows(session, ROLE)
        tables = [model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed]
        foreign = rows(session, FOREIGN, [tables])
    role = Identifier(user).as_string(None)
    if schema is None:
        yield problem("role", f"{user} finds no schema of its search_path: tables have no place")
    elif not may_create:
        grant = f"GRANT CREATE ON SCHEMA {Identifier(schema).as_string(None)} TO {role}"
        yield problem("role", f"{user} may not create tables in {schema}; as its owner: {grant}")
    for table, owner in foreign[:1]:
        more = f" and {len(foreign) - 1} more" if foreign[1:] else ""
        grant = f"GRANT {Identifier(owner).as_string(None)} TO {role}"
        yield problem("role", f"{user} may not change {table}{more}, owned by {owner}; as a superuser: {grant}")
    if schema and may_create and not foreign:
        yield ok("role", f"{user} may change the schema")
    if not may_create_databases:
        yield note(
            "role", f"{user} may not create databases, which drift and rehearse need: ALTER ROLE {role} CREATEDB"
        )


def check_indexes(alias: str) -> Iterator[Diagnosis]:
    with looking(alias) as session:
        found = rows(session, INVALID)
    for index, table in found:
        # A copy that REINDEX has left is not the index itself.
        act = "DROP" if re.search(r"_cc(new|old)\d*\"?$", index) else "REINDEX"
        mend = command("dbshell", "--", "-c", f"{act} INDEX CONCURRENTLY {index}", alias=alias)
        yield problem("indexes", f"{index} of {table} is INVALID: a build broke off, and no query uses it", mend)
    if not found:
        yield ok("indexes", "all are valid")


def check_constraints(alias: str) -> Iterator[Diagnosis]:
    with looking(alias) as session:
        found = rows(session, NOT_VALIDATED)
    for table, name in found:
        mend = command("dbshell", "--", "-c", f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}", alias=alias)
        yield problem("constraints", f"{name} of {table} was never validated: older rows may break it", mend)
    if not found:
        yield ok("constraints", "all are validated")
