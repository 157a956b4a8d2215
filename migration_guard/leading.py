"""Leading all that a migration asks of a database to another one that stands in for it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.applied import CouldNotBuild
from migration_guard.connections import keep_as_own

ADDRESS = ("NAME", "HOST", "PORT", "USER", "PASSWORD")


@contextmanager
def everything_leads_to(scratch: BaseDatabaseWrapper, live: BaseDatabaseWrapper) -> Iterator[None]:
    """Let no migration reach the live database by any alias of it, nor change another one a second time."""
    address = _address(live.settings_dict)
    with ExitStack() as stack:
        for alias in connections:
            if alias == live.alias or _address(connections.settings[alias]) == address:
                stack.enter_context(_leading_to(scratch, alias))
            else:
                stack.enter_context(connections[alias].execute_wrapper(_refuse))
        yield


@contextmanager
def _leading_to(scratch: BaseDatabaseWrapper, alias: str) -> Iterator[None]:
    usual, configured = connections[alias], connections.settings[alias]
    address = {key: configured.get(key) for key in ADDRESS}
    connections[alias] = scratch if alias == scratch.alias else scratch.copy(alias)
    keep_as_own(connections[alias])
    # For a thread, or a program that is started with what the settings say.
    configured.update({key: scratch.settings_dict.get(key) for key in ADDRESS})
    try:
        yield
    finally:
        configured.update(address)
        connections[alias].close()
        connections[alias] = usual


def _refuse(_execute: Any, _sql: str, _params: Any, _many: Any, context: dict[str, Any]) -> NoReturn:
    alias = context["connection"].alias
    raise CouldNotBuild(f"A migration asks the database {alias}, which was not copied and must not be changed.")


def _address(settings_dict: dict[str, Any]) -> tuple[Any, ...]:
    options = settings_dict.get("OPTIONS", {})
    return (*(str(settings_dict.get(key, "")) for key in ("ENGINE", "HOST", "PORT", "NAME")), options.get("service"))
