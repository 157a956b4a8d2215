"""Who works with the book."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save a user with a hashed password; without one, the account cannot log in by password."""
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, **fields, is_staff=True, is_superuser=True)

    def create_first_superuser(self, email: str, password: str) -> "User | None":
        """Save a superuser while there is no user at all; otherwise touch nothing and return None."""
        return None if self.exists() else self.create_superuser(email, password)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person; the e-mail address, kept in lower case, is the login."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField("e-mail address")
    full_name = models.CharField(max_length=200, blank=True)
    is_staff = models.BooleanField("staff status", default=False, help_text="May log in to the admin.")
    is_active = models.BooleanField(
        "active", default=True, help_text="Clear this instead of deleting the user: what a person did stays theirs."
    )

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["email"],
                name="trader_user_email_unique",
                violation_error_message="A user with this e-mail address exists already.",
            ),
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")),
                name="trader_user_email_check",
                violation_error_message="An e-mail address is kept in lower case.",
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = self.email.lower()

    def get_full_name(self) -> str:
        return self.full_name or self.email

    def get_short_name(self) -> str:
        return self.get_full_name()
