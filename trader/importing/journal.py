"""Journal entries on their way into the book."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from trader.booking.postings import Leg
from trader.importing.copying import NULL, Copies, escaped
from trader.models import Account
from trader.operations.ledger import ledger_accounts

# Of a ledger account, in its currency, by their ids.
Amount = tuple[int, int, Decimal]


class Written(NamedTuple):
    """By whom, and when, as COPY takes them."""

    actor: str
    at: str

    @classmethod
    def by(cls, actor: str, at: datetime) -> "Written":
        return cls(escaped(actor), at.isoformat())


class Entry(NamedTuple):
    """A journal entry to be: its keys in hexadecimal, and the line of the file that it comes from."""

    id: str
    line: int
    import_row: int
    kind: str
    value_date: date
    instrument: int | str = NULL
    execution: str = NULL
    reverses: str = NULL
    fx_rate: Decimal | str = NULL


class Journal:
    def __init__(self, account: Account, copies: Copies, written: Written) -> None:
        self._account = account.pk
        self._copies = copies
        self._written = written
        self._ledger: dict[tuple[str, str], tuple[int, int]] = {}

    def post(self, entry: Entry, legs: Iterable[Leg]) -> list[Amount]:
        """Returns what was posted; without legs there is no entry."""
        postings = [(*self._ledger_account(leg.kind, leg.currency), leg.amount) for leg in legs]
        if postings:
            self.write(entry, postings)
        return postings

    def write(self, entry: Entry, postings: Iterable[Amount]) -> None:
        self._copies.add(
            "trader_journalentry",
            entry.line,
            entry.id,
            self._account,
            entry.instrument,
            entry.value_date,
            entry.kind,
            entry.execution,
            entry.reverses,
            entry.fx_rate,
            *self._written,
            entry.import_row,
        )
        for ledger_account, currency, amount in postings:
            self._copies.add("trader_posting", entry.line, entry.id, ledger_account, currency, amount, entry.value_date)

    def _ledger_account(self, kind: str, currency: str) -> tuple[int, int]:
        key = (kind, currency)
        if key not in self._ledger:
            found = ledger_accounts(self._account, [key])[key]
            self._ledger[key] = found.pk, found.currency_id
        return self._ledger[key]
