"""Who logged in and who tried to, and the second factors: to look at, and to delete what keeps somebody out."""

from axes.admin import AccessAttemptAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.second_factor import devices


class Unchangeable:
    search_help_text = "User name, IP address, user agent or path"

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AccessAttempt)
class AttemptAdmin(Unchangeable, AccessAttemptAdmin):  # type: ignore[misc]
    """Deleting a line lifts the lock that it stands for."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start", "status")
    fieldsets = (
        (None, {"fields": ("username", "ip_address", "attempt_time", "failures_since_start")}),
        ("Request", {"fields": ("path_info", "user_agent")}),
    )
    actions = ()


@admin.register(AccessLog)
class LogAdmin(Unchangeable, AccessLogAdmin):  # type: ignore[misc]
    list_display = ("attempt_time", "logout_time", "username", "ip_address")
    fieldsets = (
        (None, {"fields": ("username", "ip_address", "attempt_time", "logout_time")}),
        ("Request", {"fields": ("path_info", "user_agent")}),
    )


# Before django-otp's own module is asked for its pages, which show the secrets.
@admin.register(TOTPDevice)
class DeviceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Deleting a line turns its user's second factor off; a superuser's only by a superuser."""

    list_display = ("user", "created_at", "last_used_at", "throttling_failure_count")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    search_help_text = "E-mail address"
    ordering = ("user__email", "pk")
    fields = (
        "user",
        "created_at",
        "last_used_at",
        "throttling_failure_count",
        "throttling_failure_timestamp",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[TOTPDevice]:
        """One that was never confirmed is none."""
        return super().get_queryset(request).filter(confirmed=True)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Not by the secret: a list that is filtered by how it begins would tell it."""
        return lookup.partition("__")[0] in self.fields and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: TOTPDevice | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TOTPDevice | None = None) -> bool:
        is_above = obj is not None and obj.user.is_superuser and not request.user.is_superuser
        return super().has_delete_permission(request, obj) and not is_above

    def delete_model(self, request: HttpRequest, obj: TOTPDevice) -> None:
        devices.remove(obj.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[TOTPDevice]) -> None:
        for device in queryset:
            devices.remove(device.user)
