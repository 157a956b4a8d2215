import uuid
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from pytest_django import DjangoDbBlocker

from config.roles import UnsafeRole, grant_application_role

PASSWORD = 'it\'s a 100% good \\ "password"'
TABLES_WITHOUT_ALL_RIGHTS = """
    SELECT relname
    FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wish
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    GROUP BY oid, relname
    HAVING NOT bool_and(has_table_privilege(oid, wish))
"""
TABLES_WITH_OTHER_RIGHTS = """
    SELECT relname
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND has_table_privilege(oid, 'TRUNCATE, REFERENCES, TRIGGER')
"""
CREATE_ROLE = sql.SQL("CREATE ROLE {role} {attributes}")
DROP_ROLE = sql.SQL("DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
def owner(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[BaseDatabaseWrapper]:
    """The owner's connection to the test database; what it does is committed, as another session must see it."""
    with django_db_blocker.unblock():
        yield connection


@pytest.fixture
def role(owner: BaseDatabaseWrapper) -> Iterator[str]:
    """The name, an awkward one, of a role that does not exist yet and is dropped at the end."""
    name = f'role "{uuid.uuid4().hex}" %s'
    yield name
    with owner.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
        if cursor.fetchone() is not None:
            cursor.execute(DROP_ROLE.format(role=sql.Identifier(name)).as_string())


@pytest.fixture
def new_table(owner: BaseDatabaseWrapper) -> Iterator[str]:
    name = f"new_table_{uuid.uuid4().hex}"
    with owner.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (id bigserial PRIMARY KEY, note text)")
        yield name
        cursor.execute(f"DROP TABLE {name}")


def log_in(owner: BaseDatabaseWrapper, role: str, password: str = PASSWORD) -> psycopg.Connection:
    parameters = owner.settings_dict
    return psycopg.connect(
        host=parameters["HOST"],
        port=parameters["PORT"],
        dbname=parameters["NAME"],
        user=role,
        password=password,
    )


def test_a_missing_role_is_created_and_a_second_call_does_nothing(owner: BaseDatabaseWrapper, role: str) -> None:
    done = grant_application_role(owner, name=role, password=PASSWORD)

    assert done[0] == f"CREATE ROLE {role}"
    assert grant_application_role(owner, name=role, password=PASSWORD) == []
    with log_in(owner, role) as session:
        assert session.execute("SELECT current_user").fetchone() == (role,)


def test_a_changed_password_is_set_again(owner: BaseDatabaseWrapper, role: str) -> None:
    grant_application_role(owner, name=role, password="the former password")

    done = grant_application_role(owner, name=role, password=PASSWORD)

    assert done == [f"ALTER ROLE {role} PASSWORD"]
    log_in(owner, role).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(owner, role, "the former password")


def test_a_new_table_gets_its_rights_at_the_next_call(owner: BaseDatabaseWrapper, role: str, new_table: str) -> None:
    grant_application_role(owner, name=role, password=PASSWORD)
    with owner.cursor() as cursor:
        cursor.execute(f"DROP TABLE {new_table}; CREATE TABLE {new_table} (id bigserial PRIMARY KEY, note text)")

    done = grant_application_role(owner, name=role, password=PASSWORD)

    assert len(done) == 2
    with log_in(owner, role) as session:
        session.execute(f"INSERT INTO {new_table} (note) VALUES ('by the application')")


@pytest.mark.parametrize("grantee", ["PUBLIC", "role"])
def test_the_right_to_create_in_the_schema_is_taken_away(owner: BaseDatabaseWrapper, role: str, grantee: str) -> None:
    grant_application_role(owner, name=role, password=PASSWORD)
    to = sql.SQL(grantee) if grantee == "PUBLIC" else sql.Identifier(role)
    with owner.cursor() as cursor:
        cursor.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {to}").format(to=to).as_string())

    done = grant_application_role(owner, name=role, password=PASSWORD)

    assert len(done) == 1
    assert grant_application_role(owner, name=role, password=PASSWORD) == []
    with log_in(owner, role) as session, pytest.raises(InsufficientPrivilege):
        session.execute("CREATE TABLE public.made_by_the_application ()")


def test_the_role_may_read_and_write_every_table_but_the_records_of_migrations(
    application_connection: psycopg.Connection,
) -> None:
    read_only = {table for (table,) in application_connection.execute(TABLES_WITHOUT_ALL_RIGHTS)}

    assert read_only == {"django_migrations", "migration_guard_run"}
    assert application_connection.execute(TABLES_WITH_OTHER_RIGHTS).fetchall() == []


def test_the_role_works_with_rows(application_connection: psycopg.Connection) -> None:
    execute = application_connection.execute

    inserted = execute("INSERT INTO trader_currency (code, minor_unit) VALUES ('XYZ', 2) RETURNING id").fetchone()
    updated = execute("UPDATE trader_currency SET minor_unit = 3 WHERE code = 'XYZ'").rowcount
    deleted = execute("DELETE FROM trader_currency WHERE code = 'XYZ'").rowcount
    application_connection.rollback()

    assert inserted is not None
    assert (updated, deleted) == (1, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.made_by_the_application ()",
        "CREATE SCHEMA made_by_the_application",
        "CREATE INDEX made_by_the_application ON trader_currency (minor_unit)",
        "CREATE TRIGGER made_by_the_application BEFORE UPDATE ON trader_currency EXECUTE FUNCTION f()",
        "ALTER TABLE trader_currency DROP CONSTRAINT trader_currency_code_check",
        "ALTER TABLE trader_currency DISABLE TRIGGER ALL",
        "DROP TABLE trader_loadedfixture",
        "TRUNCATE trader_loadedfixture",
        "SET session_replication_role = replica",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('trader', '9999_forged', now())",
        "UPDATE django_migrations SET name = '9999_forged'",
        "DELETE FROM django_migrations",
        "DELETE FROM migration_guard_run",
        "ALTER ROLE {owner} PASSWORD 'stolen'",
        "SET ROLE {owner}",
    ],
)
def test_the_role_cannot(application_connection: psycopg.Connection, statement: str) -> None:
    owner = sql.Identifier(settings.POSTGRES_OWNER["USER"])

    with pytest.raises(InsufficientPrivilege):
        application_connection.execute(sql.SQL(statement).format(owner=owner))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("attributes", "grant", "reason"),
    [
        ("SUPERUSER", "", "is a superuser"),
        ("CREATEROLE", "", "may create roles"),
        ("BYPASSRLS", "", "bypasses row security"),
        ("LOGIN", "GRANT {owner} TO {role}", "is a member of the owner"),
        ("LOGIN", "ALTER TABLE trader_venue OWNER TO {role}", "owns tables"),
        ("LOGIN", "ALTER SCHEMA public OWNER TO {role}", "owns the schema"),
        ("LOGIN", "ALTER DATABASE {database} OWNER TO {role}", "owns the schema"),
    ],
)
def test_a_role_that_could_alter_the_schema_is_refused(attributes: str, grant: str, reason: str) -> None:
    role = f"role_{uuid.uuid4().hex}"
    names = {
        "role": sql.Identifier(role),
        "owner": sql.Identifier(settings.POSTGRES_OWNER["USER"]),
        "database": sql.Identifier(str(connection.settings_dict["NAME"])),
    }
    with connection.cursor() as cursor:
        cursor.execute(CREATE_ROLE.format(role=names["role"], attributes=sql.SQL(attributes)).as_string())
        if grant:
            cursor.execute(sql.SQL(grant).format(**names).as_string())

    with pytest.raises(UnsafeRole, match=f"{role} .*{reason}.*POSTGRES_APP_USER"):
        grant_application_role(connection, name=role, password=PASSWORD)
