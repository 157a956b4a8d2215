"""Positions, lots and matches: derived from the trades, and kept in line with them."""

from collections.abc import Iterable
from contextlib import closing
from datetime import date
from itertools import chain

from django.db import connection
from psycopg import sql

from trader.booking.holding import Fill, Holding, Rules
from trader.booking.lots import Lots, OldestFirst, Selected
from trader.booking.numbers import exact
from trader.models import Account, Execution, Instrument, LotMatch, Position, TaxLot
from trader.operations.projections import Projections, update_lots
from trader.operations.rates import Rates
from trader.operations.trades import Trades, traded_in

STATE = [
    "quantity",
    "cost",
    "gross",
    "realized_pnl",
    "fees",
    "fees_expensed",
    "rated_cost_base",
    "unrated_lots",
    "realized_pnl_base",
    "fees_base",
    "fees_expensed_base",
    "as_of_execution_id",
]
# By bulk_update one statement would have a CASE for each of these, and in it a branch for each position.
UPDATE = sql.SQL("UPDATE trader_position SET {assignments} WHERE id = %s").format(
    assignments=sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in STATE)
)
# A closing trade mostly takes one lot or two.
LOTS_AT_ONCE = 50
FILLS_AT_ONCE = 10_000


def project_trade(execution: Execution) -> None:
    """Bring the position of a report that was just written in line with it, under the position's lock.

    A trade that is the last in line is counted on top of what is there; for anything else the position is replayed.
    Raises Oversold and LotsExceeded.
    """
    (position,) = locked_positions(execution.account, [execution.instrument_id])
    trades = Trades(execution.account, Rates(), [execution.instrument_id])
    fill = _only_later_fill(trades, position)
    if fill:
        _count(position, trades.rules(position.instrument_id), fill)
    else:
        _replay(trades, [position])


def project(account: Account, instruments: Iterable[int] | None = None) -> int:
    """Replay the account's positions in these instruments, given by id, or in all that it ever traded.

    Locks them in the order of their instruments; returns how many trades were counted. Raises Oversold and
    LotsExceeded.
    """
    instruments = traded_in(account) if instruments is None else instruments
    positions = locked_positions(account, instruments)
    return _replay(Trades(account, Rates(), [position.instrument_id for position in positions]), positions)


def project_instrument(instrument: Instrument, *, since: date) -> None:
    """Replay the instrument's position in every account that traded it on that day or later.

    Locks the instrument: a trade that is being written is waited for, one that comes then waits.
    """
    Instrument.objects.select_for_update().get(pk=instrument.pk)
    traded = Execution.objects.filter(instrument=instrument, trade_date__gte=since).values("account")
    for account in Account.objects.select_related("base_currency").filter(pk__in=traded).order_by("pk"):
        project(account, [instrument.pk])


def locked_positions(account: Account, instruments: Iterable[int]) -> list[Position]:
    """The account's positions in the instruments, made where there are none, locked in the order of instruments."""
    wanted = sorted(set(instruments))
    found = _locked(account, wanted)
    if len(found) < len(wanted):
        missing = [Position(account=account, instrument_id=each) for each in wanted]
        Position.objects.bulk_create(missing, ignore_conflicts=True)
        found = _locked(account, wanted)
    return found


def _locked(account: Account, instruments: list[int]) -> list[Position]:
    # The lock may be given long after the statement began: it brings the row of then, but none that a join adds to it.
    rows = Position.objects.select_for_update(no_key=True)
    return list(rows.filter(account=account, instrument__in=instruments).order_by("instrument"))


def _only_later_fill(trades: Trades, position: Position) -> Fill | None:
    """The fill after the last one that the position counts, if there is just one and no split lies between."""
    last = position.as_of_execution
    after = (last.transact_time, str(last.pk)) if last else None
    with closing(trades.fills(after=after)) as instruments:
        fills = [fill for _, later in instruments for fill in later]
    if len(fills) != 1:
        return None
    splits = trades.splits(position.instrument_id)
    if last and any(last.trade_date < split.ex_date <= fills[0].trade_date for split in splits):
        return None
    return fills[0]


def _count(position: Position, rules: Rules, fill: Fill) -> None:
    with exact():
        lots = _leaving_lots(position, rules, fill)
        standing = {lot.trade: lot for lot in lots}
        holding = position.restored(rules, lots)
        opened = holding.record(fill)
        position.take_over(holding, fill.trade)
    position.save(update_fields=STATE)
    projections = Projections()
    projections.add(position.pk, [opened] if opened else [], holding.matches)
    projections.write()
    update_lots(position.pk, [standing[match.opening_trade] for match in holding.matches])


def _leaving_lots(position: Position, rules: Rules, fill: Fill) -> Lots:
    """The open lots that the fill closes, no more, in the order in which they go; all where some are selected."""
    side = (position.quantity > 0) - (position.quantity < 0)
    lots: OldestFirst = Selected() if rules.method == "SPECIFIC" else OldestFirst()
    if fill.sign != -side:
        return lots
    selected = rules.method == "SPECIFIC" and fill.selections
    needed = fill.quantity + rules.qty_increment
    rows = TaxLot.objects.filter(position=position, remaining__gt=0).order_by(*_leaving_order(rules.method, side))
    for row in rows.iterator(chunk_size=LOTS_AT_ONCE):
        lots.push(row.restored())
        needed -= row.remaining
        if needed <= 0 and not selected:
            break
    return lots


def _leaving_order(method: str, side: int) -> list[str]:
    """As the collections of `booking.lots` have it."""
    match method:
        case "LIFO":
            return ["-acquired_at", "-trade"]
        case "HIFO":
            return ["-unit_cost" if side > 0 else "unit_cost", "acquired_at", "trade"]
    return ["acquired_at", "trade"]


def _replay(trades: Trades, positions: list[Position]) -> int:
    TaxLot.objects.filter(position__in=positions).delete()
    LotMatch.objects.filter(position__in=positions).delete()
    counted = write_replayed(trades, positions, Projections())
    with connection.cursor() as cursor:
        cursor.executemany(UPDATE, [[getattr(each, column) for column in [*STATE, "id"]] for each in positions])
    return counted


def write_replayed(trades: Trades, positions: list[Position], projections: Projections) -> int:
    """Replay the positions from their first trade: their state into the objects, unsaved, the rest into projections.

    Returns how many trades were counted.
    """
    by_instrument = {position.instrument_id: position for position in positions}
    counted = 0
    for position in positions:
        position.take_over(Holding(trades.rules(position.instrument_id)), None)
    with closing(trades.fills()) as instruments:
        for instrument, fills in instruments:
            position, holding, last = by_instrument[instrument], Holding(trades.rules(instrument)), None
            for fill in holding.replay(fills, trades.splits(instrument)):
                last = fill.trade
                counted += 1
                if counted % FILLS_AT_ONCE == 0:
                    _drain(position, holding, projections)
            position.take_over(holding, last)
            projections.add(position.pk, chain(holding.closed, holding.open_lots()), holding.matches)
    projections.write()
    return counted


def _drain(position: Position, holding: Holding, projections: Projections) -> None:
    """Hand over the lots that are used up, with their matches: no more is in memory than is open."""
    used = {lot.trade for lot in holding.closed}
    done = [match for match in holding.matches if match.opening_trade in used]
    projections.add(position.pk, holding.closed, done)
    holding.matches = [match for match in holding.matches if match.opening_trade not in used]
    holding.closed = []
