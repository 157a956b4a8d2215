from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """How the project is wired and run; it has no models."""

    name = "config"
    verbose_name = "Project"

    def ready(self) -> None:
        from config import checks  # noqa: F401, PLC0415 - importing it registers the checks
