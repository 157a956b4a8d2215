from django.apps import AppConfig


class MigrationGuardConfig(AppConfig):
    name = "migration_guard"
    verbose_name = "Migration guard"

    def ready(self) -> None:
        from migration_guard import checks  # noqa: F401, PLC0415  # registering is their import
