"""All accounts at a glance: what each is worth, and what it made or lost today."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, Q

from trader.booking.figures import market_value
from trader.booking.holding import Split
from trader.booking.numbers import ZERO, exact, in_base, total
from trader.models import Account, Instrument, Order, Position
from trader.operations.rates import Rates
from trader.operations.trades import splits_of
from trader.reporting.money import Transfer, transfers
from trader.reporting.valuation import Given, Valuation, closes

# Of positions that were traded since a day, by how much that changed them; fees in units of the instrument included.
CHANGES = """
    SELECT e.account_id, e.instrument_id,
        sum(CASE WHEN e.side = 'BUY' THEN e.last_qty ELSE -e.last_qty END - coalesce(units.amount, 0))
    FROM unnest(%(accounts)s::bigint[], %(instruments)s::bigint[], %(days)s::date[]) traded (account, instrument, day)
    JOIN trader_execution e ON e.account_id = traded.account AND e.instrument_id = traded.instrument
        AND e.transact_time >= traded.day - interval '1 day' AND e.trade_date >= traded.day
    LEFT JOIN LATERAL (
        SELECT sum(fee.amount) FROM trader_executionfee fee WHERE fee.execution_id = e.id AND fee.currency_id IS NULL
    ) units (amount) ON true
    WHERE e.exec_type <> 'H' AND NOT EXISTS (SELECT FROM trader_execution later WHERE later.exec_ref_id = e.id)
    GROUP BY 1, 2
"""
# What each cash account holds at the end of a day, and of the one before it.
CASH = """
    SELECT ledger.account_id, currency.code, held.amount, held.amount - came.amount
    FROM unnest(%(accounts)s::bigint[], %(days)s::date[]) asked (account, day)
    JOIN trader_ledgeraccount ledger ON ledger.account_id = asked.account AND ledger.kind = 'CASH'
    JOIN trader_currency currency ON currency.id = ledger.currency_id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount), 0) FROM trader_posting
        WHERE ledger_account_id = ledger.id AND value_date <= asked.day
    ) held (amount)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount), 0) FROM trader_posting
        WHERE ledger_account_id = ledger.id AND value_date = asked.day
    ) came (amount)
"""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class AccountFigures:
    """In the account's base currency; None where a price or a rate is missing."""

    account: Account
    value: Decimal | None
    cash: Decimal | None
    pnl_today: Decimal | None
    open_orders: int


@dataclass(frozen=True)
class HoldingFigures:
    """Prices in quotation units, the value in the instrument's currency and in the account's base currency, in which
    `value_before` is what was held yesterday; `change` is today's price over yesterday's, less one."""

    position: int
    account: Account
    instrument: Instrument
    quantity: Decimal
    price: Decimal | None
    change: Decimal | None
    value: Decimal | None
    value_base: Decimal | None
    value_before: Decimal | None


class Kept(NamedTuple):
    """A position as it is kept: after its last trade."""

    pk: int
    account: int
    instrument: int
    quantity: Decimal
    last_trade: date | None


class Cash(NamedTuple):
    """Of one account in one currency, at the ends of today and yesterday."""

    currency: str
    now: Decimal
    before: Decimal


class Overview:
    """Read at once for all accounts: the number of queries grows with the days and base currencies, not with them."""

    def __init__(self, accounts: Sequence[Account], now: datetime) -> None:
        self._accounts = {account.pk: account for account in accounts}
        self._days = {account.pk: account.date_of(now) for account in accounts}
        self._kept = self._read_positions()
        wanted = {kept.instrument for kept in self._kept}
        self._instruments = Instrument.objects.select_related("venue", "currency").in_bulk(wanted)
        self._splits = splits_of(wanted)
        self._cash = self._read_cash()
        self._transfers = self._read_transfers()
        self._changes = self._read_changes()
        self._open_orders = self._count_open_orders()
        days = {day for today in self._days.values() for day in (today, today - DAY)}
        self._prices = {day: closes(wanted, day, self._splits) for day in days}
        self._valuations = self._read_valuations()
        with exact():
            self._holdings = [*map(self._holding, self._kept)]

    def accounts(self) -> list[AccountFigures]:
        """In the order in which they were given."""
        by_account: defaultdict[int, list[HoldingFigures]] = defaultdict(list)
        for holding in self._holdings:
            by_account[holding.account.pk].append(holding)
        with exact():
            return [self._figures(account, by_account[pk]) for pk, account in self._accounts.items()]

    def holdings(self) -> list[HoldingFigures]:
        """What is held now: those of the largest value first, those of an unknown one last."""
        held = [each for each in self._holdings if each.quantity]
        return sorted(held, key=lambda each: (each.value_base is None, -abs(each.value_base or ZERO), each.position))

    def _figures(self, account: Account, holdings: Sequence[HoldingFigures]) -> AccountFigures:
        today = self._days[account.pk]
        now, before = self._valuation(account, today), self._valuation(account, today - DAY)
        held = self._cash[account.pk]
        cash = total(*(now.in_base(each.now, each.currency) for each in held))
        value = total(cash, *(each.value_base for each in holdings))
        start = total(
            *(before.in_base(each.before, each.currency) for each in held),
            *(_transferred(each, now) for each in self._transfers[account.pk]),
            *(each.value_before for each in holdings),
        )
        pnl = None if value is None or start is None else value - start
        return AccountFigures(account, value, cash, pnl, self._open_orders.get(account.pk, 0))

    def _holding(self, kept: Kept) -> HoldingFigures:
        account, instrument = self._accounts[kept.account], self._instruments[kept.instrument]
        today = self._days[kept.account]
        now, before = self._quantities(kept, today)
        price, price_before = (self._prices[day].get(kept.instrument) for day in (today, today - DAY))
        value, value_before = _worth(now, price, instrument), _worth(before, price_before, instrument)
        currency = instrument.currency.code
        return HoldingFigures(
            position=kept.pk,
            account=account,
            instrument=instrument,
            quantity=now,
            price=price,
            change=price / price_before - 1 if price is not None and price_before else None,
            value=value,
            value_base=self._valuation(account, today).in_base(value, currency),
            value_before=self._valuation(account, today - DAY).in_base(value_before, currency),
        )

    def _quantities(self, kept: Kept, today: date) -> tuple[Decimal, Decimal]:
        """Today's, and yesterday's: before the trades and the splits of today."""
        splits, since = self._splits[kept.instrument], kept.last_trade or today
        quantity = _split(kept.quantity, (split for split in splits if since < split.ex_date <= today))
        before = quantity - self._changes.get((kept.account, kept.instrument), ZERO)
        undone = (Split(today, each.denominator, each.numerator) for each in splits if each.ex_date == today)
        return quantity, _split(before, undone)

    def _valuation(self, account: Account, day: date) -> Valuation:
        return self._valuations[account.base_currency.code, day]

    def _read_positions(self) -> list[Kept]:
        traded_today = Q(as_of_execution__trade_date__gte=min(self._days.values(), default=date.max))
        positions = Position.objects.filter(~Q(quantity=0) | traded_today, account__in=self._accounts)
        rows = positions.values_list("pk", "account", "instrument", "quantity", "as_of_execution__trade_date")
        return [Kept(*row) for row in rows]

    def _read_cash(self) -> defaultdict[int, list[Cash]]:
        cash: defaultdict[int, list[Cash]] = defaultdict(list)
        with connection.cursor() as cursor:
            cursor.execute(CASH, {"accounts": list(self._days), "days": list(self._days.values())})
            for account, *amounts in cursor.fetchall():
                cash[account].append(Cash(*amounts))
        return cash

    def _read_transfers(self) -> defaultdict[int, list[Transfer]]:
        """Those of each account's today."""
        found: defaultdict[int, list[Transfer]] = defaultdict(list)
        days = self._days.values()
        for each in transfers(self._days, min(days), max(days)) if days else ():
            if each.value_date == self._days[each.account]:
                found[each.account].append(each)
        return found

    def _read_valuations(self) -> dict[tuple[str, date], Valuation]:
        currencies = {each.currency for cash in self._cash.values() for each in cash}
        currencies |= {instrument.currency.code for instrument in self._instruments.values()}
        valuations = {}
        for pk, account in self._accounts.items():
            for day in (self._days[pk], self._days[pk] - DAY):
                base = account.base_currency.code
                if (base, day) not in valuations:
                    rates = Rates()
                    rates.read_day(currencies, base, day)
                    valuations[base, day] = Valuation(base, day, rates, Given())
        return valuations

    def _count_open_orders(self) -> dict[int, int]:
        orders = Order.objects.filter(account__in=self._accounts, leaves_qty__gt=0).order_by("account")
        return dict(orders.values_list("account").annotate(count=Count("pk")))

    def _read_changes(self) -> dict[tuple[int, int], Decimal]:
        traded = [
            (kept.account, kept.instrument, day)
            for kept in self._kept
            if kept.last_trade and kept.last_trade >= (day := self._days[kept.account])
        ]
        if not traded:
            return {}
        accounts, instruments, days = zip(*traded, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(CHANGES, {"accounts": list(accounts), "instruments": list(instruments), "days": list(days)})
            return {(account, instrument): change for account, instrument, change in cursor.fetchall()}


def _worth(quantity: Decimal, price: Decimal | None, instrument: Instrument) -> Decimal | None:
    """In its own currency; nothing is worth nothing without a price, too."""
    if not quantity or price is None:
        return None if quantity else ZERO
    return market_value(quantity, price, instrument.unit)


def _transferred(transfer: Transfer, valuation: Valuation) -> Decimal | None:
    """In base currency, at the rate of its entry, else of the day."""
    if transfer.rate is None:
        return valuation.in_base(transfer.amount, transfer.currency)
    return in_base(transfer.amount, transfer.rate)


def _split(quantity: Decimal, splits: Iterable[Split]) -> Decimal:
    for split in splits:
        quantity = quantity * split.numerator / split.denominator
    return quantity
