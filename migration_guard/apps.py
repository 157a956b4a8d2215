import django
from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

OLDEST_DJANGO = (5, 2)


class MigrationGuardConfig(AppConfig):
    name = "migration_guard"
    verbose_name = "Migration guard"

    def ready(self) -> None:
        if django.VERSION[:2] < OLDEST_DJANGO:
            oldest = ".".join(map(str, OLDEST_DJANGO))
            raise ImproperlyConfigured(
                f"The migration guard needs Django {oldest} or later, and this is {django.get_version()}. "
                'Install a later one, or take "migration_guard" out of INSTALLED_APPS.'
            )
        from migration_guard import checks  # noqa: F401, PLC0415  # registering is their import
