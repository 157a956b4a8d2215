"""Content types as Django's managers remember them, also where the transaction that has noted them is rolled back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps


@contextmanager
def content_types_forgotten() -> Iterator[None]:
    """Forget at the end of the block what managers have noted in it, also those of a state's models: a row may be gone.

    Else the next try would write the number of a type that is not there.
    """
    if not apps.is_installed("django.contrib.contenttypes"):
        yield
        return
    from django.contrib.contenttypes.models import ContentTypeManager  # noqa: PLC0415  # where it is installed

    manager_class: Any = ContentTypeManager
    usual = manager_class._add_to_cache
    caches: list[dict[str, Any]] = []

    def note(manager: Any, *arguments: Any) -> None:
        caches.append(manager._cache)
        usual(manager, *arguments)

    manager_class._add_to_cache = note
    try:
        yield
    finally:
        manager_class._add_to_cache = usual
        for cache in caches:
            cache.clear()
