"""Who tries to log in, as django-axes counts the attempts."""

from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest

# As much as django-axes' tables hold.
RECORDED_LENGTH = 255


def username(request: HttpRequest | None, credentials: Mapping[str, str] | None) -> str | None:
    """The e-mail address in lower case, as it is stored, so that another spelling of it is no fresh start."""
    given = (credentials or {}).get("username") or (request.POST.get("username") if request else None)
    return given.lower()[:RECORDED_LENGTH] if given else None


def client_address(request: HttpRequest) -> str | None:
    """The peer's address; behind the proxy of a production, the one that this proxy added last, which nobody forges."""
    forwarded_for = request.headers.get("X-Forwarded-For", "") if settings.SECURE_PROXY_SSL_HEADER else ""
    nearest = forwarded_for.rpartition(",")[2].strip()
    return nearest or request.META.get("REMOTE_ADDR")
