"""A person's authenticator app and recovery codes, as django-otp keeps them: the secrets in plain text."""

import secrets
from base64 import b32encode
from datetime import datetime

from django.db import transaction
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from trader.models import User

APP_NAME = "Authenticator app"
RECOVERY_NAME = "Recovery codes"
RECOVERY_CODES = 10
# Digits alone, for the keypad of a phone, and more of them than a code of the app has: that tells the two apart.
RECOVERY_DIGITS = 12


class TooSoon(Exception):
    """A code is not looked at while the wrong ones before it still make it wait."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


def device_of(user: User) -> TOTPDevice | None:
    """The app that was confirmed by a code of it."""
    return TOTPDevice.objects.devices_for_user(user, confirmed=True).order_by("pk").first()


def begun_device_of(user: User) -> TOTPDevice | None:
    """The one that is shown to be set up, and counts for nothing yet."""
    return TOTPDevice.objects.devices_for_user(user, confirmed=False).order_by("pk").first()


@transaction.atomic
def begin(user: User) -> None:
    """Make a new secret in place of one that was never confirmed; nothing, where one is confirmed."""
    _lock(user)
    if device_of(user) is None:
        TOTPDevice.objects.devices_for_user(user).delete()
        TOTPDevice.objects.create(user=user, name=APP_NAME, confirmed=False)


@transaction.atomic
def confirm(user: User, code: str) -> TOTPDevice | None:
    """The app, whose codes are asked for from now on, if this is one of them. Raises TooSoon."""
    _lock(user)
    device = begun_device_of(user)
    if device is None or not _is_accepted(device, code):
        return None
    device.confirmed = True
    device.save()
    return device


def verify(user: User, code: str) -> Device | None:
    """What has accepted the code: the app, or the recovery codes, of which it is gone then. Raises TooSoon."""
    kind = TOTPDevice if len(code) < RECOVERY_DIGITS else StaticDevice
    with transaction.atomic():
        device = kind.objects.devices_for_user(user, confirmed=True).select_for_update().order_by("pk").first()
        return device if device and _is_accepted(device, code) else None


@transaction.atomic
def new_recovery_codes(user: User) -> list[str]:
    """Ten, in place of any that were left."""
    _lock(user)
    # The same row: a session that has shown one of the former codes refers to it.
    device, _ = StaticDevice.objects.get_or_create(user=user, defaults={"name": RECOVERY_NAME})
    device.token_set.all().delete()
    codes = [f"{secrets.randbelow(10**RECOVERY_DIGITS):0{RECOVERY_DIGITS}}" for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def recovery_codes_left(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user).count())


@transaction.atomic
def remove(user: User) -> bool:
    """Take away the app and the recovery codes; whether there was an app."""
    _lock(user)
    was_on = device_of(user) is not None
    TOTPDevice.objects.devices_for_user(user).delete()
    StaticDevice.objects.devices_for_user(user).delete()
    return was_on


def secret_of(device: TOTPDevice) -> str:
    """As a person types it into an app that cannot see the picture."""
    return b32encode(device.bin_key).decode()


def in_groups(text: str) -> str:
    """Four characters at a time, which is how people copy them."""
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def picture_of(device: TOTPDevice) -> str:
    """The QR code that an app reads the secret from, as SVG, black on white whatever the page's colours are."""
    import segno  # noqa: PLC0415 - it costs every start of the program what one page in a thousand needs

    code = segno.make(device.config_url)
    return code.svg_inline(scale=5, dark="#000", light="#fff")


def _lock(user: User) -> None:
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _is_accepted(device: Device, code: str) -> bool:
    allowed, why = device.verify_is_allowed()
    if not allowed:
        raise TooSoon(why["locked_until"])
    return bool(device.verify_token(code))
