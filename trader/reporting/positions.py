"""What an account holds, what that cost, is worth and made: the figures of `manage.py positions`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from trader.booking.figures import avg_px, market_value
from trader.booking.holding import Holding
from trader.booking.lots import Lot, Match
from trader.booking.numbers import exact, quantized, total
from trader.models import Instrument, InstrumentIdentifier, LedgerAccount
from trader.operations.rates import Rates
from trader.reporting.holdings import Held, Question, holdings
from trader.reporting.money import DIVIDEND, FEE, TAX, Events, balances
from trader.reporting.valuation import Given, Valuation

ISIN = InstrumentIdentifier.Source.ISIN


@dataclass(frozen=True)
class OpenLot:
    """Negative when short; `unit_cost` is what a unit was bought, or sold short, for. Times are the venue's."""

    quantity: Decimal
    unit_cost: Decimal
    acquired_at: datetime


@dataclass(frozen=True)
class ClosedLot:
    """A lot, or a part of one, that one trade closed."""

    quantity: Decimal
    unit_cost: Decimal
    acquired_at: datetime
    closed_at: datetime
    proceeds: Decimal
    cost: Decimal
    realized_pnl: Decimal


@dataclass(frozen=True)
class PositionFigures:
    """In the instrument's currency and, where the name ends in base, in the account's; None where a price or a rate is
    missing. `net_pnl` is realized and unrealized less the fees that neither counts."""

    symbol: str
    mic: str
    isin: str
    currency: str
    quantity: Decimal
    avg_px: Decimal
    cost: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    market_value: Decimal | None
    fees: Decimal | None
    fees_expensed: Decimal | None
    net_pnl: Decimal | None
    dividends: Decimal | None
    taxes: Decimal | None
    cost_base: Decimal | None
    realized_pnl_base: Decimal | None
    unrealized_pnl_base: Decimal | None
    market_value_base: Decimal | None


@dataclass(frozen=True)
class PositionWithLots(PositionFigures):
    """In the order of their trades, and of the trades that closed them."""

    lots: list[OpenLot]
    matches: list[ClosedLot]


@dataclass(frozen=True)
class Cash:
    currency: str
    amount: Decimal
    amount_base: Decimal | None


@dataclass(frozen=True)
class Totals:
    """Of all positions, closed ones too, in the base currency; `fees` and `net_pnl` count FEE rows as well."""

    market_value: Decimal | None
    cost: Decimal | None
    realized_pnl: Decimal | None
    unrealized_pnl: Decimal | None
    net_pnl: Decimal | None
    fees: Decimal | None
    dividends: Decimal | None
    taxes: Decimal | None
    cash: Decimal | None


@dataclass(frozen=True)
class PositionsReport:
    account: str
    as_of: date
    method: str
    fee_policy: str
    base_currency: str
    positions: list[PositionFigures]
    cash: list[Cash]
    missing_rates: list[str]
    totals: Totals


def report_positions(question: Question, given: Given, *, closed: bool = False) -> PositionsReport:
    """Ordered by symbol, MIC and currency; those that are flat only with `closed`."""
    with exact():
        return _report(question, given, closed=closed)


def _report(question: Question, given: Given, *, closed: bool) -> PositionsReport:
    account, as_of = question.account, question.as_of
    base = account.base_currency.code
    rates = Rates()
    held = holdings(question, rates)
    events = Events(account, as_of, rates)
    posted = balances(account, as_of, [LedgerAccount.Kind.CASH])
    valuation = Valuation(base, as_of, rates, given)
    appraisal = Appraisal(held, as_of, valuation, events)
    rates.read_day({balance.currency for balance in posted} | appraisal.currencies, base, as_of)
    figures = [appraisal.with_lots(each) if question.lots else appraisal.figures(each) for each in held]
    cash = [
        Cash(balance.currency, balance.amount, valuation.in_base(balance.amount, balance.currency))
        for balance in posted
    ]
    shown = [each for each in figures if closed or each.quantity]
    return PositionsReport(
        account=account.code,
        as_of=as_of,
        method=question.method or account.cost_basis_method,
        fee_policy=question.fee_policy or account.fee_policy,
        base_currency=base,
        positions=sorted(shown, key=lambda each: (each.symbol, each.mic, each.currency)),
        cash=cash,
        totals=_totals(figures, held, events, cash),
        missing_rates=sorted(rates.missing),
    )


class Appraisal:
    """What a report needs to know of the instruments that are held, read at once."""

    def __init__(self, held: Iterable[Held], as_of: date, valuation: Valuation, events: Events) -> None:
        keys = [each.instrument for each in held]
        self._instruments = Instrument.objects.select_related("venue", "currency").in_bulk(keys)
        self._isins = _isins(keys, as_of)
        self._prices = valuation.prices(self._instruments.values())
        self._valuation = valuation
        self._events = events

    @property
    def currencies(self) -> set[str]:
        return {instrument.currency.code for instrument in self._instruments.values()}

    def figures(self, held: Held) -> PositionFigures:
        holding, instrument = held.holding, self._instruments[held.instrument]
        currency = instrument.currency.code
        quantity, cost = holding.sign * holding.quantity, holding.sign * holding.cost.amount
        cost_base = None if holding.cost_base is None else holding.sign * holding.cost_base
        value = self._value(quantity, instrument)
        value_base = self._valuation.in_base(value, currency)
        unrealized = _less(value, cost)
        charges = holding.charges
        return PositionFigures(
            symbol=instrument.symbol,
            mic=instrument.venue.mic,
            isin=self._isins.get((instrument.pk, instrument.venue.mic)) or self._isins.get((instrument.pk, ""), ""),
            currency=currency,
            quantity=quantity,
            avg_px=avg_px(holding.cost.gross, holding.quantity, instrument.unit),
            cost=cost,
            realized_pnl=holding.realized_pnl,
            unrealized_pnl=unrealized,
            market_value=value,
            fees=charges.all,
            fees_expensed=charges.expensed,
            net_pnl=_net(holding.realized_pnl, unrealized, charges.expensed),
            dividends=self._events.of(DIVIDEND, instrument.pk, currency),
            taxes=self._events.of(TAX, instrument.pk, currency),
            cost_base=cost_base,
            realized_pnl_base=holding.realized_pnl_base,
            unrealized_pnl_base=_less(value_base, cost_base),
            market_value_base=value_base,
        )

    def with_lots(self, held: Held) -> PositionWithLots:
        zone = ZoneInfo(self._instruments[held.instrument].venue.time_zone)
        lots = [_open_lot(lot, held.holding, zone) for lot in held.lots]
        matches = [_closed_lot(match, zone) for match in held.matches]
        return PositionWithLots(**vars(self.figures(held)), lots=lots, matches=matches)

    def _value(self, quantity: Decimal, instrument: Instrument) -> Decimal | None:
        price = self._prices.get(instrument.pk)
        if not quantity:
            return quantity
        return None if price is None else market_value(quantity, price, instrument.unit)


def _open_lot(lot: Lot, holding: Holding, zone: ZoneInfo) -> OpenLot:
    unit_cost = lot.unit_cost if lot.cost else quantized(holding.cost.amount / holding.quantity)
    return OpenLot(holding.sign * lot.remaining, unit_cost, lot.acquired_at.astimezone(zone))


def _closed_lot(match: Match, zone: ZoneInfo) -> ClosedLot:
    proceeds, cost = match.proceeds.amount, match.cost.amount
    unit_cost = quantized(cost / match.quantity)
    acquired_at, closed_at = match.acquired_at.astimezone(zone), match.closed_at.astimezone(zone)
    return ClosedLot(match.quantity, unit_cost, acquired_at, closed_at, proceeds, cost, proceeds - cost)


def _net(realized: Decimal | None, unrealized: Decimal | None, *expensed: Decimal | None) -> Decimal | None:
    """Realized and unrealized P&L less the fees that neither counts."""
    return _less(total(realized, unrealized), total(*expensed))


def _less(amount: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if amount is None or other is None else amount - other


def _totals(figures: list[PositionFigures], held: list[Held], events: Events, cash: list[Cash]) -> Totals:
    realized = total(*(each.realized_pnl_base for each in figures))
    unrealized = total(*(each.unrealized_pnl_base for each in figures))
    expensed = total(*(each.holding.charges.expensed_base for each in held))
    account_fees = events.in_base(FEE)
    return Totals(
        market_value=total(*(each.market_value_base for each in figures)),
        cost=total(*(each.cost_base for each in figures)),
        realized_pnl=realized,
        unrealized_pnl=unrealized,
        net_pnl=_net(realized, unrealized, expensed, account_fees),
        fees=total(*(each.holding.charges.all_base for each in held), account_fees),
        dividends=events.in_base(DIVIDEND),
        taxes=events.in_base(TAX),
        cash=total(*(each.amount_base for each in cash)),
    )


def _isins(instruments: Iterable[int], day: date) -> dict[tuple[int, str], str]:
    """By instrument and MIC."""
    valid = InstrumentIdentifier.objects.filter(instrument__in=instruments, source=ISIN, valid__contains=day)
    return {(each.instrument_id, each.mic): each.value for each in valid.order_by("-pk")}
