"""The admin: a module a subject, as in `trader.models`."""

from trader.admin import accounts, fixtures, reference, users

__all__ = ["accounts", "fixtures", "reference", "users"]
