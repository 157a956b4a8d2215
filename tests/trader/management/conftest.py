import pytest

from tests.trader.conftest import Connect


@pytest.fixture
def transactional_db(committed: Connect) -> Connect:
    """What `committed` gives, under a name for which pytest-django makes the test database that is copied."""
    return committed
