import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Environment

GOOD_SECRET = "a-good-long-secret"
Load = Callable[..., Environment]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """The environment of a process with these variables, beside a `.env` file with this text."""

    def load(process: dict[str, str] | None = None, dotenv: str = "") -> Environment:
        (tmp_path / ".env").write_text(dotenv)
        return Environment.load(process or {}, tmp_path / ".env")

    return load


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{GOOD_SECRET}\n")
    return path


def problems_of(env: Environment, *, weak_secrets_allowed: bool = False) -> str:
    with pytest.raises(ImproperlyConfigured) as refusal:
        env.refuse_problems(weak_secrets_allowed=weak_secrets_allowed)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        ("str", " as it stands # too ", " as it stands # too "),
        ("int", "5432", 5432),
        ("bool", "True", True),
        ("bool", "1", True),
        ("bool", "yes", True),
        ("bool", "FALSE", False),
        ("bool", "0", False),
        ("bool", "no", False),
        ("list", "a.example.com, b.example.com ,", ["a.example.com", "b.example.com"]),
        ("url", "https://example.com:8443/path", urlsplit("https://example.com:8443/path")),
    ],
)
def test_a_reader_gives_its_type(load: Load, reader: str, text: str, value: object) -> None:
    env = load({"NAME": text})

    assert getattr(env, reader)("NAME") == value
    assert env.problems == []


@pytest.mark.parametrize(
    ("reader", "text", "expected"),
    [
        ("int", "54e2", "a whole number"),
        ("bool", "maybe", "true or false"),
        ("url", "example.com/path", "a URL such as https://host/path"),
    ],
)
def test_a_malformed_value_is_named_with_what_was_expected(load: Load, reader: str, text: str, expected: str) -> None:
    env = load({"NAME": text})

    getattr(env, reader)("NAME")

    assert f"NAME is {text!r}: expected {expected}." in problems_of(env)


@pytest.mark.parametrize(
    ("reader", "default"), [("str", ""), ("int", 7), ("bool", False), ("list", []), ("url", urlsplit("http://a/"))]
)
def test_an_unset_variable_has_its_default(load: Load, reader: str, default: Any) -> None:
    env = load()

    assert getattr(env, reader)("NAME", default) == default
    assert env.problems == []


@pytest.mark.parametrize("reader", ["str", "int", "bool", "list", "url"])
def test_a_required_variable_that_is_unset_is_named(load: Load, reader: str) -> None:
    env = load()

    getattr(env, reader)("NAME")

    assert "NAME is not set: expected " in problems_of(env)


@pytest.mark.parametrize("text", ["0", "65536", "-1"])
def test_a_number_out_of_its_range_is_named(load: Load, text: str) -> None:
    env = load({"NAME": text})

    env.int("NAME", within=(1, 65535))

    assert f"NAME is {text!r}: expected a whole number from 1 to 65535." in problems_of(env)


def test_a_choice_may_be_in_small_letters_and_no_other_is_taken(load: Load) -> None:
    env = load({"SMALL": "debug", "OTHER": "loud"})

    assert env.choice("SMALL", ["DEBUG", "INFO"], "INFO") == "DEBUG"
    assert env.choice("UNSET", ["DEBUG", "INFO"], "INFO") == "INFO"
    env.choice("OTHER", ["DEBUG", "INFO"], "INFO")
    assert "OTHER is 'loud': expected one of DEBUG, INFO." in problems_of(env)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("NAME=é".encode("latin-1"))

    with pytest.raises(ImproperlyConfigured, match=r"\.env is not UTF-8"):
        Environment.load({}, tmp_path / ".env")


def test_lines_that_cannot_be_read_are_named_without_what_is_in_them(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    env = load(dotenv="\ufeffNAME=value\n\n  # a comment\nPASSWORD = a-secret\nKEY='one\na-line'\nexport OTHER=o\n")

    assert (env.str("NAME"), env.str("OTHER")) == ("value", "o")
    assert re.findall(r"Line (\d) of .*\.env cannot be read: write NAME=value", problems_of(env)) == ["4", "6"]
    assert "a-secret" not in problems_of(env) + caplog.text


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="Is a directory"):
        Environment.load({}, tmp_path)


def test_the_process_beats_the_file(load: Load) -> None:
    env = load({"NAME": "process"}, "NAME=file\nOTHER=file\n")

    assert env.str("NAME") == "process"
    assert env.str("OTHER") == "file"


def test_an_empty_variable_counts_as_unset(load: Load) -> None:
    env = load({"NAME": ""}, "NAME=file\nOTHER=\n")

    assert env.str("NAME") == "file"
    assert env.str("OTHER", "default") == "default"


def test_a_missing_file_is_no_problem(tmp_path: Path) -> None:
    env = Environment.load({"NAME": "process"}, tmp_path / "missing")

    assert env.str("NAME") == "process"


def test_reading_a_file_leaves_the_process_as_it_was(load: Load) -> None:
    load(dotenv="MY_TRADER_TEST_VARIABLE=file\n")

    assert "MY_TRADER_TEST_VARIABLE" not in os.environ


def test_several_problems_are_named_at_once(load: Load) -> None:
    env = load({"PORT": "many", "SECRET": "short"})
    env.int("PORT")
    env.str("NAME")
    env.secret("SECRET", min_length=12)
    env.secret("OTHER_SECRET", min_length=12)

    message = problems_of(env)

    assert [line for line in message.splitlines() if line.startswith("  - ")] == [
        "  - PORT is 'many': expected a whole number.",
        "  - NAME is not set: expected a text.",
        "  - OTHER_SECRET is not set: set it, or OTHER_SECRET_FILE to the path of a file that holds it.",
        "  - SECRET has 5 characters, it needs at least 12.",
    ]


@pytest.mark.parametrize("value", ["changethis", "short"])
def test_a_weak_secret_is_refused_unseen_outside_local_development(load: Load, value: str) -> None:
    env = load({"SECRET": value})
    env.secret("SECRET", min_length=12)

    message = problems_of(env)

    assert "SECRET" in message
    assert value not in message
    env.refuse_problems(weak_secrets_allowed=True)


def test_an_optional_secret_may_be_unset_but_not_weak(load: Load) -> None:
    env = load({"SECRET": "short"})

    assert env.secret("OTHER_SECRET", min_length=12, optional=True) == ""
    env.secret("SECRET", min_length=12, optional=True)

    assert "OTHER_SECRET" not in problems_of(env)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (GOOD_SECRET, GOOD_SECRET),
        (f"{GOOD_SECRET}\n", GOOD_SECRET),
        (f"{GOOD_SECRET}\n\n", f"{GOOD_SECRET}\n"),
        (f" {GOOD_SECRET} ", f" {GOOD_SECRET} "),
    ],
)
def test_a_secret_from_a_file_loses_one_newline_and_nothing_else(
    load: Load, secret_file: Path, text: str, secret: str
) -> None:
    secret_file.write_text(text)

    env = load({"SECRET_FILE": str(secret_file)})

    assert env.secret("SECRET", min_length=12) == secret


def test_nothing_is_interpolated(load: Load, secret_file: Path) -> None:
    dollars = "$HOME-${HOME}-$(id)-%(a)s"
    secret_file.write_text(dollars)

    env = load({"A": dollars, "B_FILE": str(secret_file)}, f"C={dollars}\nD=$A\n")

    assert [env.secret(name, min_length=0) for name in "ABCD"] == [dollars, dollars, dollars, "$A"]


@pytest.mark.parametrize("place", ["process", "file"])
def test_a_secret_and_its_file_in_one_place_are_refused(load: Load, secret_file: Path, place: str) -> None:
    both = {"SECRET": GOOD_SECRET, "SECRET_FILE": str(secret_file)}
    env = load(both) if place == "process" else load(dotenv="".join(f"{name}={both[name]}\n" for name in both))

    env.secret("SECRET", min_length=12)

    assert "SECRET and SECRET_FILE are both set: keep one of them." in problems_of(env, weak_secrets_allowed=True)


@pytest.mark.parametrize(("process", "file"), [("SECRET_FILE", "SECRET"), ("SECRET", "SECRET_FILE")])
def test_the_process_beats_the_file_for_the_pair(load: Load, secret_file: Path, process: str, file: str) -> None:
    values = {"SECRET": GOOD_SECRET, "SECRET_FILE": str(secret_file)}
    loser = "changethis" if file == "SECRET" else "/nowhere"

    env = load({process: values[process]}, f"{file}={loser}\n")

    assert env.secret("SECRET", min_length=12) == GOOD_SECRET
    env.refuse_problems(weak_secrets_allowed=False)


def test_a_secret_that_cannot_be_read_is_named_with_path_reason_and_uid(load: Load, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    env = load({"A_FILE": "/nowhere/a", "B_FILE": str(tmp_path), "C_FILE": str(binary)})
    for name in "ABC":
        env.secret(name, min_length=12)

    message = problems_of(env, weak_secrets_allowed=True)

    readable = f"It must be a text that UID {os.getuid()} can read."
    assert f"A_FILE=/nowhere/a: No such file or directory. {readable}" in message
    assert f"B_FILE={tmp_path}: Is a directory. {readable}" in message
    assert f"C_FILE={binary}: not UTF-8. {readable}" in message
    assert "A is not set" not in message
