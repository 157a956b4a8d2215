"""The guard's own settings, and its place among the apps, as system checks."""

from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.core.management import find_commands, get_commands

from migration_guard.conf import problems


@checks.register(checks.Tags.compatibility)
def check_settings(**_: Any) -> list[checks.CheckMessage]:
    return [checks.Error(message, hint=hint, id=identity) for identity, message, hint in problems()]


@checks.register(checks.Tags.compatibility)
def check_place(**_: Any) -> list[checks.CheckMessage]:
    """Another app that overrides migrate and is listed earlier would leave the guard out."""
    owner = get_commands()["migrate"]
    if owner == "migration_guard":
        return [
            checks.Warning(
                f"{config.name} has a migrate command of its own, which does not run: the guard's takes its place.",
                hint="Make sure that the project does without it.",
                id="guard.W001",
            )
            for config in apps.get_app_configs()
            if _has_migrate(config)
        ]
    return [
        checks.Error(
            f"The migrate command that runs is that of {owner}, not the guard's.",
            hint=f'List "migration_guard" before "{owner}" in INSTALLED_APPS.',
            id="guard.E007",
        )
    ]


def _has_migrate(config: AppConfig) -> bool:
    return config.name != "migration_guard" and "migrate" in find_commands(str(Path(config.path, "management")))
