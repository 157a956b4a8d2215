"""The holdings of an account on a day: as they are kept, or replayed where the question is another one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date

from django.db.models import Max

from trader.booking.holding import Holding, Rules, Split
from trader.booking.lots import Lot, Match, OldestFirst, Worth
from trader.models import Account, LotMatch, Position, TaxLot
from trader.operations.rates import Rates
from trader.operations.trades import Trades, splits_of


@dataclass(frozen=True)
class Held:
    """A holding and, where they were asked for, its open lots and all its matches, in the order of their trades."""

    instrument: int
    holding: Holding
    lots: list[Lot]
    matches: list[Match]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What an account held at the end of a day, by trade date, splits of that day included; with another method or fee
    policy: what it would have held."""

    account: Account
    as_of: date
    method: str = ""
    fee_policy: str = ""
    lots: bool = False
    # Whether the pairs are named whose rates the kept figures lack; the trades that lack them are read for that.
    names_missing_rates: bool = True

    @property
    def is_of_today(self) -> bool:
        """Whether the kept positions answer it: the account's own rules, and no later trade."""
        account = self.account
        if self.method not in ("", account.cost_basis_method) or self.fee_policy not in ("", account.fee_policy):
            return False
        kept = Position.objects.filter(account=account).aggregate(last=Max("as_of_execution__trade_date"))
        return kept["last"] is None or kept["last"] <= self.as_of


def holdings(question: Question, rates: Rates) -> list[Held]:
    """Of each instrument that was traded until then, in no particular order; missing rates are noted in `rates`."""
    if not question.is_of_today:
        return list(_replayed(question, rates))
    held = list(_kept(question))
    if question.names_missing_rates:
        _note_missing_rates(question, rates, held)
    return held


def _kept(question: Question) -> Iterator[Held]:
    account = question.account
    positions = Position.objects.filter(account=account, as_of_execution__isnull=False)
    kept = list(positions.select_related("instrument", "as_of_execution"))
    splits = _splits_since(kept, question.as_of)
    lots = _kept_lots([each for each in kept if question.lots or splits[each.pk]])
    matches = _kept_matches(kept) if question.lots else {}
    for each in kept:
        rules = Rules(account.cost_basis_method, account.fee_policy, account.allow_short, each.instrument.qty_increment)
        holding = each.restored(rules, OldestFirst(lots[each.pk]))
        for split in splits[each.pk]:
            holding.split(split)
        yield Held(each.instrument_id, holding, lots[each.pk], matches.get(each.pk, []))


def _splits_since(positions: list[Position], until: date) -> dict[int, list[Split]]:
    """By position, the splits that came after its last trade."""
    splits = splits_of(position.instrument_id for position in positions)
    return {
        position.pk: [
            split
            for split in splits[position.instrument_id]
            if position.as_of_execution and position.as_of_execution.trade_date < split.ex_date <= until
        ]
        for position in positions
    }


def _kept_lots(positions: Iterable[Position]) -> defaultdict[int, list[Lot]]:
    lots: defaultdict[int, list[Lot]] = defaultdict(list)
    rows = TaxLot.objects.filter(position__in=positions, remaining__gt=0).order_by("acquired_at", "trade")
    for row in rows.iterator():
        lots[row.position_id].append(row.restored())
    return lots


def _kept_matches(positions: Iterable[Position]) -> defaultdict[int, list[Match]]:
    matches: defaultdict[int, list[Match]] = defaultdict(list)
    rows = LotMatch.objects.filter(position__in=positions).select_related("opening_trade", "closing_trade")
    for row in rows.order_by("closing_trade__transact_time", "closing_trade", "pk").iterator():
        matches[row.position_id].append(
            Match(
                str(row.opening_trade_id),
                str(row.closing_trade_id),
                row.quantity,
                row.opened_quantity,
                Worth(row.proceeds, row.gross_proceeds, row.proceeds_base),
                Worth(row.cost, row.gross_cost, row.cost_base),
                row.opening_trade.transact_time,
                row.closing_trade.transact_time,
            )
        )
    return matches


def _replayed(question: Question, rates: Rates) -> Iterator[Held]:
    trades = Trades(question.account, rates)
    with closing(trades.fills(until=question.as_of)) as instruments:
        for instrument, fills in instruments:
            rules = trades.rules(instrument, method=question.method, fee_policy=question.fee_policy)
            holding, last = Holding(rules), date.min
            splits = [split for split in trades.splits(instrument) if split.ex_date <= question.as_of]
            for fill in holding.replay(fills, splits):
                last = fill.trade_date
            for split in splits:
                if split.ex_date > last:
                    holding.split(split)
            yield Held(instrument, holding, [*holding.open_lots()], holding.matches)


def _note_missing_rates(question: Question, rates: Rates, held: Iterable[Held]) -> None:
    """Read the trades of the holdings that a rate is missing for once more, for the names of the currencies."""
    unknown = [each.instrument for each in held if None in (*each.holding.charges, each.holding.cost_base)]
    unknown += [each.instrument for each in held if each.holding.realized_pnl_base is None]
    if unknown:
        with closing(Trades(question.account, rates, unknown).fills(until=question.as_of)) as instruments:
            for _, fills in instruments:
                for _ in fills:
                    pass
