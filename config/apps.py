import axes.apps
import django_otp.plugins.otp_totp.apps
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

    def ready(self) -> None:
        super().ready()
        from django.contrib import admin  # noqa: PLC0415 - models are there now
        from django_otp.plugins.otp_static.models import StaticDevice  # noqa: PLC0415 - likewise

        # Recovery codes have no page: they come and go with the device, and nobody else reads them.
        admin.site.unregister(StaticDevice)


class AxesConfig(axes.apps.AppConfig):  # type: ignore[misc]
    """django-axes, under a heading that says what it shows."""

    verbose_name = "Log-in attempts"


class DevicesConfig(django_otp.plugins.otp_totp.apps.DefaultConfig):  # type: ignore[misc]
    """django-otp's devices, under a heading that says what they are for."""

    verbose_name = "Second factors"
