"""Where a log-in stands: a password alone lets nobody in who has a second factor, however old the session is."""

from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.signals import user_login_failed
from django.core import signing
from django.http import HttpRequest
from django_otp.models import Device

from config.second_factor.devices import device_of, verify
from trader.models import User

PASSWORD_BACKEND = "django.contrib.auth.backends.ModelBackend"  # noqa: S105
# Between the password and the code.
WAITS_SECONDS = 300
WAITING = "second_factor_waiting"


class CodeWanted(Exception):
    """The password is right, and is not enough."""

    def __init__(self, user: User) -> None:
        super().__init__(user)
        self.user = user


def lacks_code(request: HttpRequest) -> bool:
    """Whether who is logged in has a second factor that this session has not shown."""
    return not _has_shown(request) and _has_device(request)


def lacks_device(request: HttpRequest) -> bool:
    """Whether who is logged in has to set up a second factor before anything else."""
    if not settings.SECOND_FACTOR_REQUIRED or not request.user.is_authenticated:
        return False
    return not _has_shown(request) and not _has_device(request)


def wait_for_code(request: HttpRequest, user: User) -> None:
    """Remember in the session whose password was right."""
    request.session[WAITING] = signing.dumps([str(user.pk), user.get_session_auth_hash()], salt=WAITING)


def waiting_user(request: HttpRequest) -> User | None:
    """Who has given a password and still owes a code, within five minutes or in a session from before there was one."""
    user = _remembered(request)
    if user is None and isinstance(request.user, User) and lacks_code(request):
        user = request.user
    return user if user and user.is_active and user.is_staff else None


def counted_verify(request: HttpRequest, user: User, code: str) -> Device | None:
    """The device that accepts the code; a wrong one counts among the failed log-ins, until they are locked.

    Raises TooSoon, which counts nothing: the code was not looked at.
    """
    credentials = {"username": user.email}
    device = verify(user, code) if AxesProxyHandler.is_allowed(request, credentials) else None
    if device is None:
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    return device


def let_in(request: HttpRequest, user: User, device: Device) -> None:
    """Log in, or go on in another session than the one that had shown no code."""
    request.session.pop(WAITING, None)
    # Django keeps the key of a session that is this user's already, and somebody else may know that one.
    request.session.cycle_key()
    user.otp_device = device  # type: ignore[attr-defined]
    login(request, user, backend=PASSWORD_BACKEND)


def _has_shown(request: HttpRequest) -> bool:
    return getattr(request.user, "otp_device", None) is not None


def _has_device(request: HttpRequest) -> bool:
    """Looked up once a request."""
    if not isinstance(request.user, User):
        return False
    found: bool | None = getattr(request, "has_second_factor", None)
    if found is None:
        found = request.has_second_factor = device_of(request.user) is not None  # type: ignore[attr-defined]
    return found


def _remembered(request: HttpRequest) -> User | None:
    try:
        key, password = signing.loads(request.session.get(WAITING, ""), salt=WAITING, max_age=WAITS_SECONDS)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=key).first()
    return user if user and user.get_session_auth_hash() == password else None
