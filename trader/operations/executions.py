"""Trades: recorded, corrected and taken back; each in one transaction with its entry and its position."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from trader.booking.fees import BUY, SELL, counted, gross_amount
from trader.booking.numbers import ZERO, exact
from trader.booking.postings import Leg, Settlement, trade_legs
from trader.models import (
    Account,
    Currency,
    Execution,
    ExecutionFee,
    Instrument,
    JournalEntry,
    LotSelection,
    Order,
    Side,
)
from trader.operations.ledger import post, reverse
from trader.operations.positions import project_trade
from trader.operations.rates import Rates
from trader.operations.retrying import in_one_transaction


@dataclass(frozen=True, kw_only=True)
class Fee:
    """`currency` None: in units of the instrument. Negative where the venue pays."""

    amount: Decimal
    currency: Currency | None
    type: str = ExecutionFee.Type.COMMISSION


@dataclass(frozen=True, kw_only=True)
class Terms:
    """At what a trade was done, as a trade and its correction state it.

    `gross` is quantity x price x multiplier x factor where it is None; `settl_amount` is unsigned; `lots` are opening
    trades and how much of each is closed.
    """

    quantity: Decimal
    price: Decimal
    gross: Decimal | None = None
    fees: Sequence[Fee] = ()
    lots: Sequence[tuple[Execution, Decimal]] = ()
    settl_currency: Currency | None = None
    settl_amount: Decimal | None = None
    settl_date: date | None = None
    fx_rate: Decimal | None = None
    last_mkt: str = ""


@in_one_transaction
def record_trade(
    *,
    account: Account,
    instrument: Instrument,
    side: str,
    terms: Terms,
    transact_time: datetime,
    exec_id: str,
    source: str,
    actor: str,
    now: datetime,
    order: Order | None = None,
) -> Execution:
    """Write a trade (FIX ExecType F) with its fees, post it and count it.

    Locks the order, then the position. Raises IntegrityError, which names the rule, for what the database refuses,
    Oversold, LotsExceeded, UnitsExceedPurchase and SettlementUnknown.
    """
    execution = Execution(
        account=account,
        instrument=instrument,
        order=order,
        side=side,
        transact_time=transact_time,
        trade_date=instrument.venue.date_of(transact_time),
        exec_id=exec_id,
        source=source,
        actor=actor,
        recorded_at=now,
    )
    execution.trade_id = execution.pk
    return _write(execution, terms)


@in_one_transaction
def correct(execution: Execution, *, terms: Terms, exec_id: str, actor: str, now: datetime) -> Execution:
    """Restate a whole trade (ExecType G), at its own time and place; raises what `record_trade` does."""
    return _write(_report(execution, Execution.ExecType.TRADE_CORRECT, exec_id, actor, now), terms)


@in_one_transaction
def bust(execution: Execution, *, exec_id: str, actor: str, now: datetime) -> Execution:
    """Take a trade back (ExecType H): from now on it never was.

    Raises Oversold and LotsExceeded when what came after needs it.
    """
    cancel = _report(execution, Execution.ExecType.TRADE_CANCEL, exec_id, actor, now)
    cancel.last_qty = cancel.last_px = ZERO
    cancel.save(force_insert=True)
    _take_back_entry(cancel)
    project_trade(cancel)
    return cancel


def _report(execution: Execution, exec_type: str, exec_id: str, actor: str, now: datetime) -> Execution:
    """A further report of the execution's trade."""
    return Execution(
        exec_type=exec_type,
        exec_ref=execution,
        account_id=execution.account_id,
        instrument_id=execution.instrument_id,
        order_id=execution.order_id,
        trade_id=execution.trade_id,
        side=execution.side,
        transact_time=execution.transact_time,
        trade_date=execution.trade_date,
        source=execution.source,
        exec_id=exec_id,
        actor=actor,
        recorded_at=now,
    )


def _take_back_entry(execution: Execution) -> None:
    """Reverse what the report before this one posted, unless somebody has done so by hand."""
    entry = JournalEntry.objects.filter(
        execution=execution.exec_ref_id, kind=JournalEntry.Kind.TRADE, reversal=None
    ).first()
    if entry:
        reverse(entry, actor=execution.actor, now=execution.recorded_at)


def _write(execution: Execution, terms: Terms) -> Execution:
    execution.last_qty, execution.last_px = terms.quantity, terms.price
    execution.gross_trade_amt = terms.gross
    execution.settl_currency, execution.settl_amount = terms.settl_currency, terms.settl_amount
    execution.settl_date, execution.fx_rate, execution.last_mkt = terms.settl_date, terms.fx_rate, terms.last_mkt
    execution.save(force_insert=True)
    ExecutionFee.objects.bulk_create(
        ExecutionFee(execution=execution, type=fee.type, amount=fee.amount, currency=fee.currency) for fee in terms.fees
    )
    LotSelection.objects.bulk_create(
        LotSelection(closing_execution=execution, opening_execution=opening, quantity=quantity)
        for opening, quantity in terms.lots
    )
    if execution.exec_ref_id:
        _take_back_entry(execution)
    _post(execution, terms)
    project_trade(execution)
    return execution


def _post(execution: Execution, terms: Terms) -> None:
    entry = JournalEntry(
        account_id=execution.account_id,
        instrument_id=execution.instrument_id,
        execution=execution,
        kind=JournalEntry.Kind.TRADE,
        value_date=execution.trade_date,
        fx_rate=execution.fx_rate,
        actor=execution.actor,
        recorded_at=execution.recorded_at,
    )
    # Read after the execution was written: since then nobody can change what its instrument is worth.
    execution.account = Account.objects.select_related("base_currency").get(pk=execution.account_id)
    execution.instrument = Instrument.objects.select_related("currency").get(pk=execution.instrument_id)
    legs = legs_of(
        execution.account,
        execution.instrument,
        side=execution.side,
        terms=terms,
        trade_date=execution.trade_date,
        rates=Rates(),
    )
    post(entry, legs)


def legs_of(
    account: Account, instrument: Instrument, *, side: str, terms: Terms, trade_date: date, rates: Rates
) -> list[Leg]:
    """What a trade on these terms posts; raises UnitsExceedPurchase and SettlementUnknown."""
    sign = BUY if side == Side.BUY else SELL
    gross = gross_amount(terms.quantity, terms.price, instrument.unit) if terms.gross is None else terms.gross
    with exact():
        units = sum((fee.amount for fee in terms.fees if fee.currency is None), ZERO)
    paid = [(fee.currency, fee.amount) for fee in terms.fees if fee.currency]
    currencies = [instrument.currency, *(currency for currency, _ in paid)]
    settlement = None
    if terms.settl_currency and terms.settl_currency != instrument.currency:
        currencies.append(terms.settl_currency)
        settlement = Settlement(
            terms.settl_currency.code,
            terms.settl_amount,
            _settlement_rate(account, instrument, terms, trade_date, rates),
        )
    return trade_legs(
        sign=sign,
        currency=instrument.currency.code,
        gross=gross,
        fees=[(currency.code, amount) for currency, amount in paid],
        units_value=counted(sign, terms.quantity, gross, ZERO, units).units_value,
        settlement=settlement,
        minor_units={currency.code: currency.minor_unit for currency in currencies},
    )


def _settlement_rate(
    account: Account, instrument: Instrument, terms: Terms, trade_date: date, rates: Rates
) -> Decimal | None:
    settled_in = terms.settl_currency
    if settled_in is None or terms.settl_amount is not None:
        return None
    if settled_in == account.base_currency and terms.fx_rate is not None:
        return terms.fx_rate
    return rates.at(instrument.currency.code, settled_in.code, trade_date)
