"""Classes of the guard in the place of those that Django's commands make by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def standing_in(module: ModuleType, name: str, substitute: object) -> Iterator[None]:
    """Let the module find the substitute under that name, until the end of the block."""
    original = getattr(module, name)
    setattr(module, name, substitute)
    try:
        yield
    finally:
        setattr(module, name, original)
