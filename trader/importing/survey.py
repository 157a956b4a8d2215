"""The first reading of a file: which of its rows are new, what they refer to, and in which order their times run."""

from array import array
from collections import defaultdict
from datetime import datetime
from itertools import compress
from typing import Any, NamedTuple

from django.db import connection

from trader.importing.activities import Activity, Cancellation, Correction, Row, Trade
from trader.importing.problems import Problem, Problems
from trader.models import Account

ROWS_AT_ONCE = 5_000
DIGEST_SIZE = 16
# The index is of rows that have an ID; the planner takes it only where the query says so too.
BY_EXTERNAL_ID = """
    SELECT external_id, row_hash, row_number FROM trader_importrow
    WHERE account_id = %s AND source = %s AND external_id <> '' AND external_id = ANY(%s)
"""
BY_CONTENT = (
    "SELECT row_hash, ordinal FROM trader_importrow WHERE account_id = %s AND source = %s AND row_hash = ANY(%s)"
)
BY_EXEC_ID = (
    "SELECT exec_id, trade_id FROM trader_execution WHERE account_id = %s AND source = %s AND exec_id = ANY(%s)"
)

# A trade: the position of its row in the file, or its key in the book, in hexadecimal.
Origin = int | str


class Reference(NamedTuple):
    """A row that names a trade, in which of its columns."""

    position: int
    column: str
    external_id: str


class Survey:
    """What is kept of each row is small: 200,000 of them fit. A row's position counts from 0."""

    def __init__(self, account: Account, source: str, problems: Problems) -> None:
        self._key = (account.pk, source)
        self._problems = problems
        self.lines = array("I")
        # Of how many rows of the file each one is.
        self.rows = array("I")
        self.ordinals = array("I")
        self.is_new = bytearray()
        # The new rows that restate trades or take them back.
        self.amending = array("I")
        self._digests = bytearray()
        self._is_trade = bytearray()
        self._positions: dict[str, int] = {}
        self._equal: defaultdict[bytes, int] = defaultdict(int)
        self._unasked_ids: dict[str, int] = {}
        self._unasked_digests: dict[tuple[str, int], int] = {}
        self._references: list[Reference] = []
        # What corrections in the file correct.
        self._corrected: dict[int, str] = {}
        self._trades: dict[str, str] = {}
        self._last: datetime | None = None
        self._ascents = 0

    @property
    def new(self) -> int:
        return self.is_new.count(1)

    @property
    def new_rows(self) -> int:
        """Of the file."""
        return sum(compress(self.rows, self.is_new))

    @property
    def descends(self) -> bool:
        """Whether times run backwards more often than forwards from a row to the next, corrections and cancels left
        aside: theirs may be the trade's or their own."""
        return self._ascents < 0

    def origin(self, external_id: str) -> Origin:
        """The trade that a new row of the file or a report in the book of that ID is of. Raises LookupError."""
        way: set[int] = set()
        while (position := self._position(external_id)) is not None and position not in way:
            if self._is_trade[position]:
                break
            way.add(position)
            external_id = self._corrected[position]
        # The next one that comes this way goes straight to its end.
        self._corrected.update(dict.fromkeys(way, external_id))
        return self._trades[external_id] if position is None or position in way else position

    def take(self, row: Row, at: datetime) -> None:
        position = len(self.lines)
        self.lines.append(row.line)
        self.rows.append(row.rows)
        self._digests += row.digest
        self._is_trade.append(isinstance(row.activity, Trade))
        self._references.extend(_references(position, row.activity))
        if isinstance(row.activity, Correction):
            self._corrected[position] = row.activity.exec_ref
        if not isinstance(row.activity, Correction | Cancellation):
            self._note_direction(at)
        if row.external_id:
            self._take_identified(position, row)
        else:
            self._take_anonymous(position, row)
        if len(self._unasked_ids) + len(self._unasked_digests) >= ROWS_AT_ONCE:
            self._ask()

    def finish(self) -> None:
        """See that the trades that new rows name are in the file or in the book; of a sound file, as a row that could
        not be read may be what others name."""
        self._ask()
        self._equal.clear()
        if not self._problems:
            self._resolve()

    def forget(self) -> None:
        """All but where rows stand and which are new."""
        self._digests.clear()
        for gathered in (self._positions, self._corrected, self._trades, self._references):
            gathered.clear()

    def digest(self, position: int) -> str:
        return self._digests[position * DIGEST_SIZE : (position + 1) * DIGEST_SIZE].hex()

    def _note_direction(self, at: datetime) -> None:
        if self._last is not None:
            self._ascents += (at > self._last) - (at < self._last)
        self._last = at

    def _take_identified(self, position: int, row: Row) -> None:
        first = self._positions.setdefault(row.external_id, position)
        self.ordinals.append(0)
        self.is_new.append(first == position)
        if first == position:
            self._unasked_ids[row.external_id] = position
        elif self.digest(first) != row.digest.hex():
            self._refuse_second(position, row.external_id, f"line {self.lines[first]}")

    def _take_anonymous(self, position: int, row: Row) -> None:
        ordinal = self._equal[row.digest]
        self._equal[row.digest] += 1
        self.ordinals.append(ordinal)
        self.is_new.append(1)
        self._unasked_digests[row.digest.hex(), ordinal] = position

    def _refuse_second(self, position: int, external_id: str, first: str) -> None:
        expected = f"another ID: {first} has this one, with other content"
        self._problems.add(Problem(self.lines[position], "external_id", external_id, expected))

    def _ask(self) -> None:
        """Ask the book which of the rows since the last time it knows."""
        for external_id, row_hash, line in self._rows(BY_EXTERNAL_ID, list(self._unasked_ids)):
            position = self._unasked_ids[external_id]
            self.is_new[position] = 0
            if row_hash != self.digest(position):
                self._refuse_second(position, external_id, f"line {line} of a file imported before")
        for row_hash, ordinal in self._rows(BY_CONTENT, [digest for digest, _ in self._unasked_digests]):
            known = self._unasked_digests.get((row_hash, ordinal))
            if known is not None:
                self.is_new[known] = 0
        self._unasked_ids.clear()
        self._unasked_digests.clear()

    def _position(self, external_id: str) -> int | None:
        """Of the new row with that ID, if there is one in the file."""
        position = self._positions.get(external_id)
        return position if position is not None and self.is_new[position] else None

    def _resolve(self) -> None:
        references = [reference for reference in self._references if self.is_new[reference.position]]
        names = {reference.external_id for reference in references if self._position(reference.external_id) is None}
        self._trades = {exec_id: trade.hex for exec_id, trade in self._rows(BY_EXEC_ID, sorted(names))}
        for position, column, name in references:
            if column == "exec_ref":
                self.amending.append(position)
            try:
                self.origin(name)
            except LookupError:
                expected = "the external ID of a trade, in this file or imported before"
                self._problems.add(Problem(self.lines[position], column, name, expected))

    def _rows(self, query: str, wanted: list[str]) -> list[tuple[Any, ...]]:
        if not wanted:
            return []
        with connection.cursor() as cursor:
            cursor.execute(query, [*self._key, wanted])
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows


def _references(position: int, activity: Activity) -> list[Reference]:
    references = []
    if isinstance(activity, Correction | Cancellation):
        references.append(Reference(position, "exec_ref", activity.exec_ref))
    trade = activity.trade if isinstance(activity, Correction) else activity
    if isinstance(trade, Trade):
        references += [Reference(position, "lots", selection.external_id) for selection in trade.selections]
    return references
