"""What no line shows: the passwords and keys of the settings, and those of an address that a message quotes."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# Names of settings, and of what is in their dicts, that hold one.
SECRET = re.compile(r"(PASSWORD|PASSPHRASE|PASSWD|SECRET|TOKEN|KEY)$", re.IGNORECASE)
SHORTEST = 6
# What a command may name, though a password is the same.
NAMES = ("HOST", "NAME", "USER")
# As in postgresql://user:password@host and in libpq's password='...'.
IN_ADDRESS = re.compile(r"(://[^\s:/@]*:)[^\s@]+(?=@)")
IN_KEYWORDS = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"]+)", re.IGNORECASE)
HIDDEN = "***"


def hider() -> Callable[[str], str]:
    """A function that takes them out of a text whose blanks may have been drawn together."""
    secrets = {secret for secret in _secrets() if len(secret) >= SHORTEST} - _names()
    patterns = [r"\s+".join(map(re.escape, secret.split())) for secret in sorted(secrets, key=len, reverse=True)]
    known = re.compile("|".join(filter(None, patterns)) or "(?!)")

    def hide(text: str) -> str:
        text = IN_KEYWORDS.sub(rf"\1{HIDDEN}", IN_ADDRESS.sub(rf"\1{HIDDEN}", text))
        return known.sub(HIDDEN, text)

    return hide


def _secrets() -> Iterator[str]:
    for name in filter(str.isupper, dir(settings)):
        # An empty SECRET_KEY is refused where it is read.
        with suppress(ImproperlyConfigured):
            yield from _within(getattr(settings, name), is_secret=bool(SECRET.search(name)))


def _within(value: Any, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _within(inner, is_secret=bool(SECRET.search(str(key))))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _within(inner, is_secret=is_secret)
    elif is_secret and isinstance(value, str):
        yield value


def _names() -> set[str]:
    return {str(database.get(key)) for database in settings.DATABASES.values() for key in NAMES}
