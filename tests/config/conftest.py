"""What the tests of the project's commands share."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from tests.project import CHECKOUT, Project, copy_tree, database_environment

DROP_ROLE = sql.SQL("DROP ROLE IF EXISTS {role}")


@pytest.fixture(scope="session")
def checkout() -> Project:
    """The tree itself, for commands that write nothing, on the server of this test run."""
    return Project(CHECKOUT, database_environment("postgres"))


@pytest.fixture(scope="module")
def new_role_name(checkout: Project) -> Iterator[Callable[[], str]]:
    """Names of roles, which belong to the whole server: each is given once, and the role is dropped at the end.

    What the role may do must have gone before, with the database or by DROP OWNED BY.
    """
    names: list[str] = []

    def new_role_name() -> str:
        names.append(f"role_{uuid.uuid4().hex}")
        return names[-1]

    yield new_role_name
    with checkout.connect() as connection:
        for name in names:
            connection.execute(DROP_ROLE.format(role=sql.Identifier(name)))


@pytest.fixture
def bare_tree(tmp_path: Path) -> Project:
    """A copy of the tree as an image holds it, without `.env`, and an empty environment."""
    path = copy_tree(tmp_path / "my-trader")
    (path / ".env").unlink()
    return Project(path)
