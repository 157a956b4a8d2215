"""How log-ins are limited: counted by address of the account and of the client, through the admin's own page."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from tests.factories import UserFactory
from trader.models import User

pytestmark = pytest.mark.django_db

PASSWORD = "a long password"
LOCKED = 429


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def behind_a_proxy(settings: Settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.fixture
def ada() -> User:
    user = UserFactory.build(email="ada@example.com", is_staff=True)
    user.set_password(PASSWORD)
    user.save()
    return user


def log_in(email: str, password: str = PASSWORD, forwarded_for: str | None = None) -> int:
    """The status of a try from a new browser: 302 when it is let in."""
    headers = {"X-Forwarded-For": forwarded_for} if forwarded_for else None
    data = {"username": email, "password": password, "next": "/admin/"}
    return Client(headers=headers).post("/admin/login/", data).status_code


def fail(email: str, times: int, forwarded_for: str | None = None) -> list[int]:
    return [log_in(email, "wrong", forwarded_for) for _ in range(times)]


def test_any_spelling_of_the_address_logs_in(ada: User, client: Client) -> None:
    response = client.post("/admin/login/", {"username": "ADA@Example.com", "password": PASSWORD, "next": "/admin/"})

    assert response.status_code == 302
    assert client.session["_auth_user_id"] == str(ada.pk)


def test_the_fifth_failure_locks_and_the_right_password_is_refused_then(ada: User) -> None:
    assert fail("ada@example.com", 5) == [200, 200, 200, 200, LOCKED]
    assert log_in("ada@example.com") == LOCKED


def test_another_spelling_is_no_fresh_start(ada: User) -> None:
    spellings = ["ada@example.com", "ADA@example.com", "Ada@Example.Com", "adA@example.com", "ada@EXAMPLE.com"]

    assert [log_in(email, "wrong") for email in spellings][-1] == LOCKED
    assert log_in("aDa@example.com") == LOCKED


def test_an_address_that_nobody_has_is_locked_alike() -> None:
    assert fail("nobody@example.com", 5) == [200, 200, 200, 200, LOCKED]


def test_an_address_longer_than_any_is_refused_and_counted() -> None:
    assert fail(f"{'a' * 500}@example.com", 5) == [200, 200, 200, 200, LOCKED]


def test_a_lock_spares_other_users(ada: User) -> None:
    fail("nobody@example.com", 5)

    assert log_in("ada@example.com") == 302


def test_a_log_in_clears_the_failures_before_it(ada: User) -> None:
    fail("ada@example.com", 4)
    log_in("ada@example.com")

    assert fail("ada@example.com", 4) == [200] * 4
    assert log_in("ada@example.com") == 302


def test_a_lock_ends_after_a_quarter_of_an_hour(ada: User) -> None:
    fail("ada@example.com", 5)

    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=14))
    before = log_in("ada@example.com")
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=16))

    assert before == LOCKED
    assert log_in("ada@example.com") == 302


def test_behind_a_proxy_the_client_that_the_proxy_named_is_counted(behind_a_proxy: None, ada: User) -> None:
    forged = [log_in("ada@example.com", "wrong", f"198.51.100.{n}, 203.0.113.9") for n in range(5)]

    assert forged[-1] == LOCKED
    assert log_in("ada@example.com", forwarded_for="198.51.100.9, 203.0.113.10") == 302


def test_without_a_proxy_the_header_is_ignored(ada: User) -> None:
    forged = [log_in("ada@example.com", "wrong", f"203.0.113.{n}") for n in range(5)]

    assert forged[-1] == LOCKED
    assert log_in("ada@example.com", forwarded_for="203.0.113.77") == LOCKED
