"""Writing lots and matches, many at once, by COPY."""

from collections.abc import Iterable

from django.db import connection
from psycopg import sql

from trader.booking.lots import Lot, Match, Worth

COPY = sql.SQL("COPY {table} ({columns}) FROM STDIN")
UPDATE_LOT = """
    UPDATE trader_taxlot SET unclosed = %s, remaining = %s, cost = %s, gross = %s, cost_base = %s
    WHERE position_id = %s AND trade_id = %s
"""
LOT_COLUMNS = [
    "position_id",
    "trade_id",
    "acquired_at",
    "quantity",
    "unclosed",
    "remaining",
    "unit_cost",
    "cost",
    "gross",
    "cost_base",
]
MATCH_COLUMNS = [
    "position_id",
    "opening_trade_id",
    "closing_trade_id",
    "quantity",
    "opened_quantity",
    "proceeds",
    "gross_proceeds",
    "proceeds_base",
    "cost",
    "gross_cost",
    "cost_base",
]
# Lines that are gathered before they are sent.
LINES_AT_ONCE = 5_000
NULL = r"\N"

NO_WORTH = f"{NULL}\t{NULL}\t{NULL}"


class Projections:
    """Lots and matches on their way into the two tables; `write` sends what is left."""

    def __init__(self, *, lots: str = "trader_taxlot", matches: str = "trader_lotmatch") -> None:
        self._lots, self._matches = lots, matches
        self._lot_lines: list[str] = []
        self._match_lines: list[str] = []

    def add(self, position: int, lots: Iterable[Lot], matches: Iterable[Match]) -> None:
        """Take all that is new of a position, together: a match is refused that its lot does not stand before."""
        for lot in lots:
            self._lot_lines.append(
                f"{position}\t{lot.trade}\t{lot.acquired_at}\t{lot.quantity}\t{lot.unclosed}\t{lot.remaining}\t"
                f"{lot.unit_cost}\t{_worth(lot.cost)}\n"
            )
            self._write_if_many()
        for match in matches:
            self._match_lines.append(
                f"{position}\t{match.opening_trade}\t{match.closing_trade}\t{match.quantity}\t{match.opened_quantity}\t"
                f"{_worth(match.proceeds)}\t{_worth(match.cost)}\n"
            )
            self._write_if_many()

    def write(self) -> None:
        _copy(self._lots, LOT_COLUMNS, self._lot_lines)
        _copy(self._matches, MATCH_COLUMNS, self._match_lines)

    def _write_if_many(self) -> None:
        if len(self._lot_lines) + len(self._match_lines) > LINES_AT_ONCE:
            self.write()


def update_lots(position: int, lots: Iterable[Lot]) -> None:
    """Write what is left of lots that stand in the table."""
    rows = [(lot.unclosed, lot.remaining, *(lot.cost or (None,) * 3), position, lot.trade) for lot in lots]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(UPDATE_LOT, rows)


def _worth(worth: Worth | None) -> str:
    if worth is None:
        return NO_WORTH
    return f"{worth.amount}\t{worth.gross}\t{NULL if worth.base is None else worth.base}"


def _copy(table: str, columns: list[str], lines: list[str]) -> None:
    """Send the lines, and forget them."""
    if not lines:
        return
    statement = COPY.format(table=sql.Identifier(table), columns=sql.SQL(", ").join(map(sql.Identifier, columns)))
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write("".join(lines))
    lines.clear()
