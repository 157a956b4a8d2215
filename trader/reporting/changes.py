"""How an account's quantities and its cash changed from day to day: read once, for what they were on many days."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from django.db import connection

from trader.booking.fees import BUY, SELL
from trader.booking.holding import Split
from trader.booking.lots import Lot
from trader.booking.numbers import ZERO, exact
from trader.models import Account, Side

Value = TypeVar("Value")

# What was held before a day is what is held now without what has moved since. A trade moves what it opened and what it
# closed: the quantities of lots and matches have its fees in units in them, and a position that is closed with less
# than its increment left. Days are counted as Python does, and lists come as text: tens of thousands of rows would cost
# ten times what they do.
MOVED = """
    SELECT held.instrument_id, trim_scale(held.quantity - coalesce(moved.quantity, 0)), moved.days, moved.quantities
    FROM trader_position held
    LEFT JOIN (
        SELECT trade.position_id, sum(trade.sign * part.quantity) AS quantity,
            string_agg((trade.trade_date - DATE '0001-01-01' + 1)::text, ',')
                FILTER (WHERE trade.trade_date <= %(until)s) AS days,
            string_agg(trim_scale(trade.sign * part.quantity)::text, ',')
                FILTER (WHERE trade.trade_date <= %(until)s) AS quantities
        FROM (
            SELECT position.id AS position_id, trade.id, trade.trade_date,
                CASE trade.side WHEN 'BUY' THEN 1 ELSE -1 END AS sign
            FROM trader_position position
            JOIN trader_execution trade USING (account_id, instrument_id)
            WHERE account_id = %(account)s AND instrument_id <> ALL(%(split)s)
                AND trade.transact_time >= %(since)s::date - interval '1 day' AND trade.trade_date >= %(since)s
        ) trade
        CROSS JOIN LATERAL (
            SELECT quantity FROM trader_taxlot WHERE position_id = trade.position_id AND trade_id = trade.id
            UNION ALL
            SELECT quantity FROM trader_lotmatch WHERE position_id = trade.position_id AND closing_trade_id = trade.id
        ) part
        GROUP BY trade.position_id
    ) moved ON moved.position_id = held.id
    WHERE held.account_id = %(account)s AND held.instrument_id <> ALL(%(split)s)
"""
# A split rounds lot by lot.
SPLIT_LOTS = """
    SELECT position.instrument_id, lot.trade_id, lot.acquired_at, opening.trade_date, opening.side,
        lot.quantity, closing.trade_date, match.quantity
    FROM trader_position position
    JOIN trader_taxlot lot ON lot.position_id = position.id
    JOIN trader_execution opening ON opening.id = lot.trade_id
    LEFT JOIN trader_lotmatch match ON match.position_id = position.id AND match.opening_trade_id = lot.trade_id
    LEFT JOIN trader_execution closing ON closing.id = match.closing_trade_id
    WHERE position.account_id = %(account)s AND position.instrument_id = ANY(%(split)s)
        AND opening.trade_date <= %(until)s
    ORDER BY position.instrument_id, lot.trade_id, closing.trade_date
"""
CASH = """
    SELECT currency.code, greatest(posting.value_date, %(since)s::date - 1) AS day, sum(posting.amount)
    FROM trader_ledgeraccount ledger
    JOIN trader_currency currency ON currency.id = ledger.currency_id
    JOIN trader_posting posting ON posting.ledger_account_id = ledger.id
    WHERE ledger.account_id = %(account)s AND ledger.kind = 'CASH' AND posting.value_date <= %(until)s
    GROUP BY currency.code, day
    HAVING sum(posting.amount) <> 0
"""


class Changes(NamedTuple):
    """By how much something changed on which day, by its ordinal; in no order."""

    days: list[int]
    amounts: list[Decimal]


class Texts(dict[str, Value]):
    """What texts say, each read once: days and quantities come again and again."""

    def __init__(self, read: Callable[[str], Value]) -> None:
        self._read = read

    def __missing__(self, text: str) -> Value:
        value = self[text] = self._read(text)
        return value


class Calendar:
    """Days in their order; each has what changed since the one before, the first all that changed until then."""

    def __init__(self, days: Sequence[date]) -> None:
        self.days = days
        self._first = days[0].toordinal()
        ordinals = [day.toordinal() for day in days]
        gaps = (after - before for before, after in zip([ordinals[0] - 1, *ordinals], ordinals, strict=False))
        self._places = [place for place, gap in enumerate(gaps) for _ in range(gap)]

    def place(self, day: int) -> int:
        """Of the first day at or after that one."""
        return self._places[day - self._first] if day > self._first else 0

    def running(self, changes: Changes) -> list[Decimal]:
        """What all changes have come to by the end of each day."""
        first, places = self._first, self._places
        sums = [ZERO] * len(self.days)
        with exact():
            for day, amount in zip(*changes, strict=True):
                sums[places[day - first] if day > first else 0] += amount
            return list(accumulate(sums))


def quantities(account: Account, since: date, until: date, splits: Mapping[int, Sequence[Split]]) -> dict[int, Changes]:
    """By instrument, negative when short; what had changed before `since` as of the day before it, or as of the days
    that it changed on. `splits` are those of the instruments that have any."""
    parameters: dict[str, Any] = {"account": account.pk, "since": since, "until": until, "split": list(splits)}
    with connection.cursor() as cursor:
        cursor.execute(MOVED, parameters)
        day, amount = Texts(int), Texts(Decimal)
        changes = {}
        for instrument, before, days, amounts in cursor.fetchall():
            moved = changes[instrument] = Changes([], [])
            if before and since > date.min:
                moved.days.append(since.toordinal() - 1)
                moved.amounts.append(before)
            if days:
                moved.days.extend(day[each] for each in days.split(","))
                moved.amounts.extend(amount[each] for each in amounts.split(","))
        if splits:
            cursor.execute(SPLIT_LOTS, parameters)
            rows = cursor.fetchall()
            changes |= {
                instrument: _changes(_of_lots(list(lots), splits[instrument]), until)
                for instrument, lots in groupby(rows, key=itemgetter(0))
            }
    return changes


def cash(account: Account, since: date, until: date) -> dict[str, Changes]:
    """By currency; what had changed before `since` as of the day before it."""
    with connection.cursor() as cursor:
        cursor.execute(CASH, {"account": account.pk, "since": since, "until": until})
        rows = cursor.fetchall()
    changes: defaultdict[str, Changes] = defaultdict(lambda: Changes([], []))
    for currency, day, amount in rows:
        changes[currency].days.append(day.toordinal())
        changes[currency].amounts.append(amount)
    return changes


def _changes(changed: Iterable[tuple[date, Decimal]], until: date) -> Changes:
    known = [(day.toordinal(), amount) for day, amount in changed if day <= until]
    return Changes([day for day, _ in known], [amount for _, amount in known])


def _of_lots(rows: list[tuple[Any, ...]], splits: Sequence[Split]) -> Iterator[tuple[date, Decimal]]:
    with exact():
        for _, closings in groupby(rows, key=itemgetter(1)):
            yield from _of_lot(list(closings), splits)


def _of_lot(rows: list[tuple[Any, ...]], splits: Sequence[Split]) -> Iterator[tuple[date, Decimal]]:
    """What a lot brought when it was opened, what its closings took, and what each split between made of the rest."""
    _, trade, acquired_at, opened, side, quantity, *_ = rows[0]
    sign = BUY if side == Side.BUY else SELL
    lot = Lot(str(trade), acquired_at, quantity, None, ZERO)
    yield opened, sign * quantity
    pending = [split for split in reversed(splits) if split.ex_date > opened]
    closings = [(closed, taken) for *_, closed, taken in rows if taken]
    for closed, taken in [*closings, (date.max, ZERO)]:
        while pending and pending[-1].ex_date <= closed and lot.remaining:
            split, before = pending.pop(), lot.remaining
            lot.split(split.numerator, split.denominator)
            yield split.ex_date, sign * (lot.remaining - before)
        lot.take(taken)
        yield closed, -sign * taken
