"""Typed readers of the environment: the process's own variables over those of a `.env` file."""

import builtins
import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

DEVELOPMENT_SECRET = "changethis"  # noqa: S105
ASSIGNMENT = re.compile(r"(export )?[A-Za-z_0-9]+=")
COMMENT = re.compile(r"\s*(#|$)")


class Variables:
    """The variables of one start, and what is wrong with them, so that every problem is named at once.

    A reader that finds its variable missing or malformed notes a problem and returns an empty value of its type;
    `refuse_problems` raises them together. An empty variable counts as unset: Compose passes those it was not given.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = _without_empty(values)
        self.problems: list[str] = []
        self.weak_secrets: list[str] = []

    @classmethod
    def load(cls, process: Mapping[str, str], dotenv: Path) -> Self:
        """The process environment over the file; NAME and NAME_FILE are one variable in this."""
        own = _without_empty(process)
        overridden = {name.removesuffix("_FILE") for name in own}
        found, unread = _read_dotenv(dotenv)
        in_file = {name: value for name, value in found.items() if name.removesuffix("_FILE") not in overridden}
        variables = cls(in_file | own)
        variables.problems += [
            f"Line {number} of {dotenv} cannot be read: write NAME=value, in one line, without blanks around the name."
            for number in unread
        ]
        return variables

    def secret(self, name: str, *, min_length: int, optional: bool = False) -> str:
        """The value of NAME, or the content of the file that NAME_FILE names, less one newline at its end.

        Nothing in it is interpolated. One that is `changethis` or shorter than `min_length` characters is noted as
        weak, which `refuse_problems` tolerates in local development only.
        """
        problems_before = len(self.problems)
        value = self._read_secret(name)
        if value == DEVELOPMENT_SECRET:
            self.weak_secrets.append(f"{name} still has its development value.")
        elif value and len(value) < min_length:
            self.weak_secrets.append(f"{name} has {len(value)} characters, it needs at least {min_length}.")
        elif not value and not optional and len(self.problems) == problems_before:
            self.problems.append(f"{name} is not set: set it, or {name}_FILE to the path of a file that holds it.")
        return value

    def refuse_problems(self, *, weak_secrets_allowed: bool) -> None:
        """Raise ImproperlyConfigured with every problem noted so far; the value of no secret is in it."""
        problems = self.problems + ([] if weak_secrets_allowed else self.weak_secrets)
        if problems:
            raise ImproperlyConfigured(
                "my-trader does not start, its environment is wrong:\n"
                + "".join(f"  - {problem}\n" for problem in problems)
                + "docs/running.md lists every variable. Development values are accepted with ENVIRONMENT=local only."
            )

    def _read(self, name: str, default: T | None, convert: Callable[[str], T], *, expected: str) -> T | None:
        value = self.values.get(name)
        if value is None:
            if default is None:
                self.problems.append(f"{name} is not set: expected {expected}.")
            return default
        try:
            return convert(value)
        except ValueError:
            self.problems.append(f"{name} is {value!r}: expected {expected}.")
            return None

    def _read_secret(self, name: str) -> str:
        path = self.values.get(f"{name}_FILE")
        if path is None:
            return self.values.get(name, "")
        if name in self.values:
            self.problems.append(f"{name} and {name}_FILE are both set: keep one of them.")
            return ""
        try:
            return Path(path).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            self.problems.append(f"{name}_FILE={path}: {reason}. It must be a text that UID {os.getuid()} can read.")
            return ""


class Environment(Variables):
    """The readers. Each takes the variable's name and what to return where it is unset; None makes it required."""

    def str(self, name: builtins.str, default: builtins.str | None = None) -> builtins.str:
        return self._read(name, default, builtins.str, expected="a text") or ""

    def int(
        self,
        name: builtins.str,
        default: builtins.int | None = None,
        *,
        within: tuple[builtins.int, builtins.int] | None = None,
    ) -> builtins.int:
        """The whole number; `within` gives the lowest and the highest that is accepted."""

        def parse(value: builtins.str) -> builtins.int:
            number = builtins.int(value)
            if within and not within[0] <= number <= within[1]:
                raise ValueError(value)
            return number

        expected = f"a whole number from {within[0]} to {within[1]}" if within else "a whole number"
        return self._read(name, default, parse, expected=expected) or 0

    def choice(self, name: builtins.str, choices: list[builtins.str], default: builtins.str) -> builtins.str:
        """One of the choices, which are in capitals; the value may be in small letters."""

        def parse(value: builtins.str) -> builtins.str:
            return choices[choices.index(value.upper())]

        return self._read(name, default, parse, expected=f"one of {', '.join(choices)}") or default

    def bool(self, name: builtins.str, default: builtins.bool | None = None) -> builtins.bool:
        return self._read(name, default, _parse_bool, expected="true or false") or False

    def list(self, name: builtins.str, default: list[builtins.str] | None = None) -> list[builtins.str]:
        """The comma-separated texts, without the blanks around them."""
        return self._read(name, default, _parse_list, expected="a comma-separated list") or []

    def url(self, name: builtins.str, default: SplitResult | None = None) -> SplitResult:
        return self._read(name, default, _parse_url, expected="a URL such as https://host/path") or urlsplit("")


def _without_empty(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _read_dotenv(path: Path) -> tuple[dict[str, str], list[int]]:
    """The variables, and the numbers of the lines that are neither such nor comments."""

    class DotEnv(environ.Env):  # type: ignore[misc]
        ENVIRON: ClassVar[dict[str, str]] = {}

    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        lines = []
    except UnicodeDecodeError as error:
        raise ImproperlyConfigured(f"{path} is not UTF-8: save it in that encoding.") from error
    except OSError as error:
        raise ImproperlyConfigured(f"{path}: {error.strerror}. It must be a text that can be read.") from error
    # The library logs the lines that it cannot read, whatever secret is in them: it gets the others alone.
    DotEnv.read_env(io.StringIO("\n".join(filter(ASSIGNMENT.match, lines))))
    unread = [number for number, line in enumerate(lines, 1) if not (ASSIGNMENT.match(line) or COMMENT.match(line))]
    return DotEnv.ENVIRON, unread


def _parse_bool(value: str) -> bool:
    spellings = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if value.lower() not in spellings:
        raise ValueError(value)
    return spellings[value.lower()]


def _parse_list(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _parse_url(value: str) -> SplitResult:
    url = urlsplit(value)
    if not (url.scheme and url.netloc):
        raise ValueError(value)
    return url
