"""An account's trades as its executions say now, read for the arithmetic."""

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from trader.booking.fees import BUY, SELL, counted, gross_amount
from trader.booking.holding import Fill, Rules, Split
from trader.booking.lots import Selection
from trader.booking.numbers import ONE, ZERO, exact, quantized, total
from trader.models import Account, CorporateAction, Execution, Instrument, Side
from trader.operations.rates import Rates

# A trade counts as the last report of its chain says, unless that is a cancel; a row for each of its fees.
TRADES = """
    SELECT e.instrument_id, e.id::text, e.trade_id::text, e.transact_time, e.trade_date, e.side, e.last_qty, e.last_px,
        e.gross_trade_amt, e.fx_rate, f.amount, c.code
    FROM trader_execution e
    LEFT JOIN trader_executionfee f ON f.execution_id = e.id
    LEFT JOIN trader_currency c ON c.id = f.currency_id
    WHERE e.account_id = %(account)s AND e.exec_type <> 'H'
        AND (%(instruments)s::bigint[] IS NULL OR e.instrument_id = ANY(%(instruments)s))
        AND (%(until)s::date IS NULL OR e.trade_date <= %(until)s)
        AND (%(after)s::timestamptz IS NULL OR (e.transact_time, e.trade_id) > (%(after)s, %(after_trade)s::uuid))
        AND NOT EXISTS (SELECT FROM trader_execution later WHERE later.exec_ref_id = e.id)
    ORDER BY e.instrument_id, e.transact_time, e.trade_id, f.id
"""
SELECTIONS = """
    SELECT s.closing_execution_id::text, opening.trade_id::text, s.quantity
    FROM trader_lotselection s
    JOIN trader_execution closing ON closing.id = s.closing_execution_id
    JOIN trader_execution opening ON opening.id = s.opening_execution_id
    WHERE closing.account_id = %(account)s
        AND (%(instruments)s::bigint[] IS NULL OR closing.instrument_id = ANY(%(instruments)s))
    ORDER BY s.id
"""
ROWS_AT_ONCE = 2_000

Place = tuple[datetime, str]


class Listing(NamedTuple):
    """An instrument, as far as it matters to what a trade in it is worth; `unit` is multiplier x factor."""

    currency: str
    unit: Decimal
    qty_increment: Decimal
    splits: list[Split]


class Trades:
    """The trades of one account in the instruments of these ids, or in all; what they refer to is read once."""

    def __init__(self, account: Account, rates: Rates, instruments: Iterable[int] | None = None) -> None:
        self.account = account
        self.instruments = None if instruments is None else list(instruments)
        self._rates = rates
        self._base = account.base_currency.code
        self._listings = self._read_listings()
        self._selections = self._read_selections()

    @property
    def listed(self) -> list[int]:
        """The instruments that there are trades to read of."""
        return list(self._listings)

    def rules(self, instrument: int, *, method: str = "", fee_policy: str = "") -> Rules:
        """The account's own rules, or what they would be with another method or policy."""
        return Rules(
            method or self.account.cost_basis_method,
            fee_policy or self.account.fee_policy,
            self.account.allow_short,
            self._listings[instrument].qty_increment,
        )

    def splits(self, instrument: int) -> list[Split]:
        return self._listings[instrument].splits

    def fills(self, *, until: date | None = None, after: Place | None = None) -> Generator[tuple[int, Iterator[Fill]]]:
        """The instruments, each with its fills in the order in which they count; to be read in that order.

        With `until` by trade date, inclusive; with `after` those later in line than that time and trade. To be closed
        when it is not read to its end: a rollback takes its cursor away, and what closes that later fails.
        """
        parameters = {
            "account": self.account.pk,
            "instruments": self.instruments,
            "until": until,
            "after": after and after[0],
            "after_trade": after and after[1],
        }
        with closing(_streamed(TRADES, parameters)) as all_rows:
            for instrument, rows in groupby(all_rows, key=itemgetter(0)):
                listing = self._listings[instrument]
                yield instrument, (self._fill(listing, list(trade)) for _, trade in groupby(rows, key=itemgetter(1)))

    def _fill(self, listing: Listing, rows: list[tuple[Any, ...]]) -> Fill:
        _, execution, trade, at, trade_date, side, quantity, price, gross, fx_rate, amount, _ = rows[0]
        sign = BUY if side == Side.BUY else SELL
        rate = self._rate(listing, fx_rate, trade_date)
        with exact():
            gross = gross_amount(quantity, price, listing.unit) if gross is None else gross
            fees = self._fees(listing, rows, rate) if amount is not None else NO_FEES
            count = counted(sign, quantity, gross, fees.own, fees.units)
        return Fill(
            trade,
            at,
            trade_date,
            sign,
            count.quantity,
            count.gross,
            count.fees,
            fees.others,
            rate,
            fees.others_base,
            self._selections.get(execution, ()),
        )

    def _rate(self, listing: Listing, fx_rate: Decimal | None, on: date) -> Decimal | None:
        if listing.currency == self._base:
            return ONE
        return self._rates.needed(listing.currency, self._base, on) if fx_rate is None else fx_rate

    def _fees(self, listing: Listing, rows: list[tuple[Any, ...]], rate: Decimal | None) -> "Fees":
        fees, on = NO_FEES, rows[0][4]
        for *_, amount, paid_in in rows:
            if paid_in is None:
                fees = fees._replace(units=fees.units + amount)
            elif paid_in == listing.currency:
                fees = fees._replace(own=fees.own + amount)
            else:
                worth, base = self._worth(amount, paid_in, listing.currency, rate, on)
                fees = fees._replace(others=total(fees.others, worth), others_base=total(fees.others_base, base))
        return fees

    def _worth(
        self, amount: Decimal, paid_in: str, currency: str, rate: Decimal | None, on: date
    ) -> tuple[Decimal | None, Decimal | None]:
        """A fee in a third currency, in the instrument's and in the base currency.

        The base currency lies between the two where no rate of the pair is known, and always where it is the third.
        """
        to_base = self._rates.needed(paid_in, self._base, on)
        direct = None if paid_in == self._base else self._rates.at(paid_in, currency, on)
        if direct is None and to_base is not None and rate is not None:
            direct = to_base / rate
        return (
            None if direct is None else quantized(amount * direct),
            None if to_base is None else quantized(amount * to_base),
        )

    def _read_listings(self) -> dict[int, Listing]:
        traded = traded_in(self.account) if self.instruments is None else self.instruments
        splits = splits_of(traded)
        listed = Instrument.objects.select_related("currency").filter(pk__in=traded)
        return {each.pk: Listing(each.currency.code, each.unit, each.qty_increment, splits[each.pk]) for each in listed}

    def _read_selections(self) -> dict[str, tuple[Selection, ...]]:
        selections: defaultdict[str, tuple[Selection, ...]] = defaultdict(tuple)
        with connection.cursor() as cursor:
            cursor.execute(SELECTIONS, {"account": self.account.pk, "instruments": self.instruments})
            for closing, opening, quantity in cursor.fetchall():
                selections[closing] += ((opening, quantity),)
        return dict(selections)


class Fees(NamedTuple):
    """In the trade's currency, in units of the instrument, and in others: as worth in the trade's and in the base
    currency, None where a rate is missing."""

    own: Decimal
    units: Decimal
    others: Decimal | None
    others_base: Decimal | None


NO_FEES = Fees(ZERO, ZERO, ZERO, ZERO)


def traded_in(account: Account) -> QuerySet[Instrument, int]:
    """The ids of the instruments that the account ever traded."""
    executed = Execution.objects.filter(account=account, instrument=OuterRef("pk"))
    return Instrument.objects.filter(Exists(executed)).values_list("pk", flat=True)


def splits_of(instruments: Iterable[int]) -> defaultdict[int, list[Split]]:
    """The splits of each instrument, in their order."""
    splits: defaultdict[int, list[Split]] = defaultdict(list)
    actions = CorporateAction.objects.filter(type=CorporateAction.Type.SPLIT, instrument__in=instruments)
    rows: Iterable[tuple[Any, ...]] = actions.order_by("ex_date").values_list(
        "instrument", "ex_date", "numerator", "denominator"
    )
    for instrument, *split in rows:
        splits[instrument].append(Split(*split))
    return splits


def _streamed(query: str, parameters: dict[str, Any]) -> Generator[tuple[Any, ...]]:
    """Rows through a server-side cursor: as many in memory as are read at once."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, parameters)
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield from rows
