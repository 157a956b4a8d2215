"""The admin: a module a subject, as in `trader.models`."""

from trader.admin import (
    accounts,
    executions,
    fixtures,
    identifiers,
    imports,
    ledger,
    orders,
    positions,
    prices,
    reference,
    users,
)

__all__ = [
    "accounts",
    "executions",
    "fixtures",
    "identifiers",
    "imports",
    "ledger",
    "orders",
    "positions",
    "prices",
    "reference",
    "users",
]
