"""Money by the ledger: what each of its accounts holds, and what came in and went out for what."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.db.models import Sum

from trader.booking.numbers import exact, in_base, quantized, total
from trader.models import Account, LedgerAccount, Posting
from trader.operations.rates import Rates

# Reversed events are gone: a reversal counts as what it takes back.
EVENTS = """
    SELECT coalesce(reversed.kind, entry.kind), entry.instrument_id, currency.code, entry.value_date, entry.fx_rate,
        sum(posting.amount)
    FROM trader_journalentry entry
    LEFT JOIN trader_journalentry reversed ON reversed.id = entry.reverses_id
    JOIN trader_posting posting ON posting.entry_id = entry.id
    JOIN trader_ledgeraccount ledger ON ledger.id = posting.ledger_account_id AND ledger.kind = 'CASH'
    JOIN trader_currency currency ON currency.id = posting.currency_id
    WHERE entry.account_id = %(account)s AND entry.value_date <= %(until)s
        AND entry.kind IN ('DIVIDEND', 'WITHHOLDING_TAX', 'FEE', 'REVERSAL')
        AND coalesce(reversed.kind, entry.kind) IN ('DIVIDEND', 'WITHHOLDING_TAX', 'FEE')
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(posting.amount) <> 0
    ORDER BY 1, 2, 3, 4, 5
"""
# Deposits and withdrawals alone are posted to EQUITY, as credits; what was taken back is there with its negative.
TRANSFERS = """
    SELECT ledger.account_id, posting.value_date, currency.code, entry.fx_rate, -sum(posting.amount)
    FROM trader_ledgeraccount ledger
    JOIN trader_currency currency ON currency.id = ledger.currency_id
    JOIN trader_posting posting ON posting.ledger_account_id = ledger.id
    JOIN trader_journalentry entry ON entry.id = posting.entry_id
    WHERE ledger.account_id = ANY(%(accounts)s) AND ledger.kind = 'EQUITY'
        AND posting.value_date BETWEEN %(since)s AND %(until)s
    GROUP BY ledger.account_id, posting.value_date, currency.code, entry.fx_rate
    HAVING sum(posting.amount) <> 0
"""

DIVIDEND, TAX, FEE = "DIVIDEND", "WITHHOLDING_TAX", "FEE"


class Balance(NamedTuple):
    kind: str
    currency: str
    amount: Decimal


def balances(account: Account, as_of: date, kinds: Sequence[str] = LedgerAccount.Kind.values) -> list[Balance]:
    """Of each ledger account of these kinds, at the end of the day, by value date; debit is positive."""
    posted = Posting.objects.filter(
        ledger_account__account=account, ledger_account__kind__in=kinds, value_date__lte=as_of
    )
    key = ("ledger_account__kind", "ledger_account__currency__code")
    sums = posted.order_by(*key).values_list(*key).annotate(amount=Sum("amount"))
    return sorted((Balance(*row) for row in sums), key=lambda row: (kinds.index(row.kind), row.currency))


class Transfer(NamedTuple):
    """What was deposited into an account on a day, less what was withdrawn; `rate` is the entry's, if it has one."""

    account: int
    value_date: date
    currency: str
    rate: Decimal | None
    amount: Decimal


def transfers(accounts: Iterable[int], since: date, until: date) -> list[Transfer]:
    with connection.cursor() as cursor:
        cursor.execute(TRANSFERS, {"accounts": list(accounts), "since": since, "until": until})
        return [Transfer(*row) for row in cursor.fetchall()]


def moved_before(account: Account, day: date) -> bool:
    """Whether anything was entered for the account before a day."""
    return Posting.objects.filter(ledger_account__account=account, value_date__lt=day).exists()


class Event(NamedTuple):
    """What dividends, taxes or fees of one day came to, as money that was received or, of the others, paid."""

    kind: str
    instrument: int | None
    currency: str
    value_date: date
    amount: Decimal
    amount_base: Decimal | None


class Events:
    """The dividends, withholding taxes and fees of an account until a day; `rates` notes what it does not know."""

    def __init__(self, account: Account, as_of: date, rates: Rates) -> None:
        self._base = account.base_currency.code
        self._rates = rates
        self._events = list(self._read(account, as_of))
        self._by_instrument: defaultdict[tuple[str, int | None], list[Event]] = defaultdict(list)
        for event in self._events:
            self._by_instrument[event.kind, event.instrument].append(event)

    def in_base(self, kind: str) -> Decimal | None:
        """All of the account's, each at the rate of its own day."""
        with exact():
            return total(*(event.amount_base for event in self._events if event.kind == kind))

    def of(self, kind: str, instrument: int, currency: str) -> Decimal | None:
        """Those of an instrument, in a currency: each at the rate of its own day."""
        with exact():
            return total(*(self._in(currency, event) for event in self._by_instrument[kind, instrument]))

    def _in(self, currency: str, event: Event) -> Decimal | None:
        if event.currency == currency:
            return event.amount
        rate = self._rates.needed(event.currency, currency, event.value_date)
        return None if rate is None else quantized(event.amount * rate)

    def _read(self, account: Account, until: date) -> Iterator[Event]:
        with connection.cursor() as cursor:
            cursor.execute(EVENTS, {"account": account.pk, "until": until})
            rows = cursor.fetchall()
        for kind, instrument, currency, day, fx_rate, cash in rows:
            amount = cash if kind == DIVIDEND else cash.copy_negate()
            rate = self._rates.needed(currency, self._base, day) if fx_rate is None else fx_rate
            with exact():
                event = Event(kind, instrument, currency, day, amount, in_base(amount, rate))
            yield event
