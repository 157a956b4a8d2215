"""What the guard's tests can ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.migration_guard.stranger import Stranger, stranger


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Stranger]:
    """A project that the guard does not know, with nothing applied yet."""
    with stranger(tmp_path / "shop") as project:
        yield project
