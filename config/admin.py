"""Who logged in and who tried to: django-axes' records, to look at, in columns that fit a window."""

from axes.admin import AccessAttemptAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest


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
