"""That the laws are tried where they are hardest to keep."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings

from tests.trader.booking.histories import History, Turn, histories, signed


def flat(turn: Turn) -> bool:
    return bool(turn.matches) and not turn.holding.sign


def rest(turn: Turn) -> Fraction:
    """What a trade leaves by its own quantity: positive before zero, negative behind it."""
    return abs(turn.before) - Fraction(turn.fill.quantity)


CORNERS: dict[str, Callable[[Turn], bool]] = {
    "opens short": lambda turn: turn.opened is not None and turn.holding.sign < 0,
    "crosses zero": lambda turn: turn.before * signed(turn.holding) < 0,
    "closes exactly": lambda turn: flat(turn) and rest(turn) == 0,
    "closes and leaves dust": lambda turn: flat(turn) and rest(turn) > 0,
    "closes with dust too much": lambda turn: flat(turn) and rest(turn) < 0,
    "opens again after dust": lambda turn: bool(turn.opened and turn.before == 0 and turn.holding.closed),
    "closes several lots": lambda turn: len(turn.matches) > 1,
    "closes selected lots": lambda turn: bool(turn.matches and turn.fill.selections),
    "closes across a split": lambda turn: any(match.quantity != match.opened_quantity for match in turn.matches),
    "costs nothing": lambda turn: not turn.fill.gross,
    "earns a rebate": lambda turn: turn.fill.fees < 0,
    "costs more in fees than it brings": lambda turn: turn.fill.fees > turn.fill.gross,
    "closes for a result that is not known": lambda turn: any(match.cost.base is None for match in turn.matches),
    "pays a fee of unknown worth": lambda turn: turn.fill.other_fees is None,
    "is of the smallest quantity": lambda turn: turn.fill.quantity < Decimal("1e-15"),
    "is longer than Python's own context": lambda turn: len(turn.fill.quantity.as_tuple().digits) > 28,
    "has the smallest beside the largest": lambda turn: (
        any(lot.remaining < 1 for lot in turn.lots) and any(lot.remaining > 10**16 for lot in turn.lots)
    ),
}


def test_histories_reach_what_is_difficult() -> None:
    reached = set[str]()

    @settings(max_examples=200)
    @given(histories())
    def survey(history: History) -> None:
        reached.update(name for turn in history.turns() for name, corner in CORNERS.items() if corner(turn))

    survey()

    assert reached == CORNERS.keys()
