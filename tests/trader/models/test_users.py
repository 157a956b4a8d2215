import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection

from tests.factories import UserFactory
from trader.models import User

pytestmark = pytest.mark.django_db

INSERT = """
    INSERT INTO trader_user (id, password, is_superuser, email, full_name, is_staff, is_active)
    VALUES (gen_random_uuid(), '', false, %s, '', false, true)
"""


def insert(email: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [email])


def test_the_database_refuses_an_address_that_is_not_lower_case() -> None:
    with pytest.raises(IntegrityError, match="trader_user_email_check"):
        insert("Ada@example.com")


def test_the_database_refuses_a_second_user_with_the_address() -> None:
    insert("ada@example.com")

    with pytest.raises(IntegrityError, match="trader_user_email_unique"):
        insert("ada@example.com")


def test_create_user_stores_the_address_in_lower_case() -> None:
    user = User.objects.create_user("Ada@Example.com", "a long password")

    user.refresh_from_db()
    assert user.email == "ada@example.com"
    assert user.check_password("a long password")


def test_a_user_is_found_by_any_spelling_of_the_address() -> None:
    user = UserFactory.create(email="ada@example.com")

    assert User.objects.get_by_natural_key("ADA@example.com") == user


def test_validation_names_the_second_user() -> None:
    UserFactory.create(email="ada@example.com")

    with pytest.raises(ValidationError, match="exists already"):
        User(email="ADA@example.com", password="x").full_clean()


def test_the_first_superuser_is_created_while_there_is_no_user() -> None:
    user = User.objects.create_first_superuser("admin@example.com", "a long password")

    assert user is not None
    assert user.is_superuser
    assert user.is_staff


def test_the_first_superuser_is_never_created_beside_others() -> None:
    UserFactory.create()

    assert User.objects.create_first_superuser("admin@example.com", "a long password") is None
    assert not User.objects.filter(email="admin@example.com").exists()
