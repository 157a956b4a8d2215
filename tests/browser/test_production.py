"""As production serves: no DEBUG, files that collectstatic has hashed and compressed, TLS at a proxy in front."""

import re
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Response
from psycopg import sql

from tests.browser.backend import Backend, copied_project, serving
from tests.browser.visitor import Visitor
from tests.project import CHECKOUT, Project, database_environment, fresh_database
from tests.server import free_port

pytestmark = pytest.mark.browser

CREATE_OWNER = sql.SQL("CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD {password}")
GIVE_DATABASE = sql.SQL("ALTER DATABASE {database} OWNER TO {owner}")
DROP_ROLES = sql.SQL("DROP ROLE IF EXISTS {application}, {owner}")
# There is no proxy here that the browser could speak TLS with, so it says itself what a proxy would.
BEHIND_PROXY = {"X-Forwarded-Proto": "https"}
HASHED = re.compile(r"\.[0-9a-f]{12}\.(css|js|svg)$")


@pytest.fixture
def production(bytecode: dict[str, str]) -> Iterator[Backend]:
    port = free_port()
    environment = bytecode | {
        "ENVIRONMENT": "production",
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "127.0.0.1",
        "CSRF_TRUSTED_ORIGINS": f"http://127.0.0.1:{port}",
    }
    with _database_of_its_own_roles() as variables, copied_project(environment | variables) as project:
        (project.path / ".env").unlink()
        password = project.env["FIRST_SUPERUSER_PASSWORD"] = secrets.token_urlsafe()
        collected = project.manage("collectstatic", "--no-input")
        assert collected.returncode == 0, collected.stdout
        with serving(project, port=port, user="admin@example.com", password=password) as backend:
            yield backend


@pytest.fixture
def visitor(browser: Browser, production: Backend) -> Iterator[Visitor]:
    with browser.new_context(base_url=production.url, extra_http_headers=BEHIND_PROXY) as context:
        yield Visitor(context.new_page())


def test_static_files_are_hashed_compressed_and_cached_forever(production: Backend, visitor: Visitor) -> None:
    static: list[Response] = []
    visitor.page.on("response", lambda response: static.append(response) if "/static/" in response.url else None)

    visitor.log_in(production)
    visitor.open("/admin/trader/instrument/add/")

    assert visitor.problems == []
    scripts_and_styles = [response for response in static if response.url.endswith((".css", ".js"))]
    assert len(scripts_and_styles) > 10
    for response in static:
        assert HASHED.search(response.url)
        assert response.header_value("Cache-Control") == "max-age=315360000, public, immutable"
    for response in scripts_and_styles:
        assert response.header_value("Content-Encoding") == "gzip", response.url


@contextmanager
def _database_of_its_own_roles() -> Iterator[dict[str, str]]:
    """The variables of an empty database on a server where nobody who serves or migrates it is a superuser."""
    name = uuid.uuid4().hex
    roles = {
        "POSTGRES_USER": f"owner_{name}",
        "POSTGRES_PASSWORD": secrets.token_urlsafe(),
        "POSTGRES_APP_USER": f"application_{name}",
        "POSTGRES_APP_PASSWORD": secrets.token_urlsafe(),
    }
    owner, application = sql.Identifier(roles["POSTGRES_USER"]), sql.Identifier(roles["POSTGRES_APP_USER"])
    with Project(CHECKOUT, database_environment("postgres")).connect() as server:
        server.execute(CREATE_OWNER.format(owner=owner, password=sql.Literal(roles["POSTGRES_PASSWORD"])))
        try:
            with fresh_database() as variables:
                database = sql.Identifier(variables["POSTGRES_DB"])
                server.execute(GIVE_DATABASE.format(database=database, owner=owner))
                yield variables | roles
        finally:
            server.execute(DROP_ROLES.format(application=application, owner=owner))
