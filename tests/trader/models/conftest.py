import psycopg
import pytest

from tests.trader.models.plain_sql import PlainBook


@pytest.fixture
def book(session: psycopg.Connection) -> PlainBook:
    """A book to write in by plain SQL, as either role; nothing of it is committed."""
    return PlainBook(session)
