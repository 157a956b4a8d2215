import axes.apps
from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConfigConfig(AppConfig):
    """How the project is wired and run; it has no models."""

    default = True
    name = "config"
    verbose_name = "Project"

    def ready(self) -> None:
        from config import checks  # noqa: F401, PLC0415 - importing it registers the checks


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin, with the project's own site."""

    default = False
    default_site = "config.site.TradingBookSite"


class AxesConfig(axes.apps.AppConfig):  # type: ignore[misc]
    """django-axes, under a heading that says what it shows."""

    verbose_name = "Log-in attempts"
