"""Entering exchange rates: what had no figure in base currency for the lack of them gets one."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date

from django.db import connection

from trader.models import Account, FxRate
from trader.operations.positions import project
from trader.operations.retrying import in_one_transaction

# The positions in which both currencies of a rate meet: the account's, the instrument's, a fee's.
CONCERNED = """
    SELECT DISTINCT e.account_id, e.instrument_id
    FROM trader_execution e
    JOIN trader_account a ON a.id = e.account_id
    JOIN trader_instrument i ON i.id = e.instrument_id
    LEFT JOIN trader_executionfee f ON f.execution_id = e.id
    WHERE e.trade_date >= %(since)s
        AND %(base)s IN (a.base_currency_id, i.currency_id, f.currency_id)
        AND %(quote)s IN (a.base_currency_id, i.currency_id, f.currency_id)
"""


@in_one_transaction
def record_rates(rates: Iterable[FxRate]) -> int:
    """Save the rates that the book does not have, and replay the positions that they bear on; returns how many.

    A rate that is there already, of the same pair, source and time, stays as it is.
    """
    new = _unknown(rates)
    FxRate.objects.bulk_create(new, ignore_conflicts=True)
    refigure(new)
    return len(new)


def refigure(rates: Iterable[FxRate]) -> None:
    """Replay the positions that a rate which came, changed or went may bear on.

    Locks all accounts: a trade that is being written is waited for, one that comes then waits, and sees the rates.
    """
    list(Account.objects.select_for_update().order_by("pk").values_list("pk"))
    concerned: defaultdict[int, set[int]] = defaultdict(set)
    for (base, quote), since in _earliest(rates).items():
        with connection.cursor() as cursor:
            cursor.execute(CONCERNED, {"base": base, "quote": quote, "since": since})
            for account, instrument in cursor.fetchall():
                concerned[account].add(instrument)
    for account in Account.objects.select_related("base_currency").filter(pk__in=concerned).order_by("pk"):
        project(account, concerned[account.pk])


def _unknown(rates: Iterable[FxRate]) -> list[FxRate]:
    unknown = {(rate.base_id, rate.quote_id, rate.source, rate.at): rate for rate in reversed(list(rates))}
    known = FxRate.objects.filter(
        base__in={base for base, *_ in unknown}, quote__in={quote for _, quote, *_ in unknown}
    )
    for key in known.values_list("base_id", "quote_id", "source", "at"):
        unknown.pop(key, None)
    return list(reversed(unknown.values()))


def _earliest(rates: Iterable[FxRate]) -> dict[tuple[int, int], date]:
    earliest: dict[tuple[int, int], date] = {}
    for rate in rates:
        pair, on = (rate.base_id, rate.quote_id), rate.at.astimezone(UTC).date()
        earliest[pair] = min(on, earliest.get(pair, on))
    return earliest
