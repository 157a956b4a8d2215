"""New accounts."""

from typing import Any

from django.db import transaction

from trader.models import Account
from trader.operations.currencies import currency_named


@transaction.atomic
def create_account(*, code: str, currency: str, **attributes: Any) -> Account:
    """A new account in that base currency; `attributes` are more of its fields. Raises ValidationError, and
    CurrencyUnusable."""
    account = Account(code=code, base_currency=currency_named(currency), **attributes)
    account.full_clean()
    account.save()
    return account
