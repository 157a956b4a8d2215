"""The guard's own settings, and its place among the apps, as system checks."""

from typing import Any

from django.core import checks
from django.core.management import get_commands

from migration_guard.conf import problems


@checks.register(checks.Tags.compatibility)
def check_settings(**_: Any) -> list[checks.CheckMessage]:
    return [checks.Error(message, hint=hint, id=identity) for identity, message, hint in problems()]


@checks.register(checks.Tags.compatibility)
def check_place(**_: Any) -> list[checks.CheckMessage]:
    """Another app that overrides migrate and is listed earlier would leave the guard out."""
    owner = get_commands()["migrate"]
    if owner == "migration_guard":
        return []
    return [
        checks.Error(
            f"The migrate command that runs is that of {owner}, not the guard's.",
            hint=f'List "migration_guard" before "{owner}" in INSTALLED_APPS.',
            id="guard.E007",
        )
    ]
