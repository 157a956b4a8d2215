"""The demonstration's files, read and counted by hand."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

FIXTURES = settings.BASE_DIR / "trader" / "fixtures"
FOLDER = FIXTURES / "demo" / "book"
LAST_MONDAY = date(2026, 1, 5)
ACCOUNTS_ZONE = "Europe/Zurich"
VENUES_ZONES = {
    "XXXX": "UTC",
    "XLON": "Europe/London",
    "XSWX": "Europe/Zurich",
    "XAMS": "Europe/Amsterdam",
    "XETR": "Europe/Berlin",
    "XNAS": "America/New_York",
    "ARCX": "America/New_York",
}
PENCE = "VOD"
CENT = Decimal("0.01")

Event = dict[str, Any]


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as lines:
        return list(csv.DictReader(lines))


def history() -> list[Event]:
    return [json.loads(line) for line in (FOLDER / "history.jsonl").read_text().splitlines()]


def zones() -> dict[str, ZoneInfo]:
    """By symbol; of an empty one the account's."""
    listed = {row["symbol"]: ZoneInfo(VENUES_ZONES[row["mic"]]) for row in rows("instruments.csv")}
    return listed | {"": ZoneInfo(ACCOUNTS_ZONE)}


def moved_to(now: datetime) -> timedelta:
    today = now.astimezone(ZoneInfo(ACCOUNTS_ZONE)).date()
    return today - timedelta(days=today.weekday()) - LAST_MONDAY


def history_until(now: datetime) -> list[Event]:
    """What a delivery at `now` tells, with the written times."""
    by_symbol, moved = zones(), moved_to(now)
    return [
        event
        for event in history()
        if (datetime.fromisoformat(event["at"]) + moved).replace(tzinfo=by_symbol[event.get("instrument", "")]) <= now
    ]


@dataclass
class Holding:
    """Lots as quantity and cost, the oldest first; fees stand beside."""

    lots: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    realized: Decimal = Decimal(0)

    @property
    def quantity(self) -> Decimal:
        return sum((quantity for quantity, _ in self.lots), Decimal(0))

    @property
    def cost(self) -> Decimal:
        return sum((cost for _, cost in self.lots), Decimal(0))

    def sell(self, quantity: Decimal, proceeds: Decimal) -> None:
        self.realized += proceeds
        while quantity:
            held, cost = self.lots.pop(0)
            part = min(held, quantity)
            self.realized -= cost * part / held
            quantity -= part
            if part < held:
                self.lots.insert(0, (held - part, cost * (held - part) / held))


@dataclass
class Count:
    """What the events come to: money by currency, money at the end of each day, and what is held by symbol."""

    cash: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    daily: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    held: defaultdict[str, Holding] = field(default_factory=lambda: defaultdict(Holding))


def counted(events: Iterable[Event]) -> Count:
    """A trade that was taken back or restated counts as its last report has it."""
    events, count = list(events), Count()
    sides = {event["order"]: event["side"] for event in events if event["do"] == "place"}
    sides |= {event["by"]: sides[event["order"]] for event in events if event["do"] == "replace"}
    restated = {event["exec_ref"]: event for event in events if event["do"] in ("bust", "correct")}
    for event in events:
        if event["do"] == "fill":
            report = restated.get(event["exec_id"], event)
            if report["do"] != "bust":
                _trade(count, sides[event["order"]], report)
        elif event["do"] == "split":
            holding = count.held[event["instrument"]]
            ratio = Decimal(event["numerator"]) / event["denominator"]
            holding.lots = [(quantity * ratio, cost) for quantity, cost in holding.lots]
        elif event["do"] == "cash":
            comes_in = event["kind"] in ("DEPOSIT", "DIVIDEND", "INTEREST")
            count.cash[event["currency"]] += Decimal(event["amount"]) * (1 if comes_in else -1)
        elif event["do"] == "exchange":
            (bought, incoming), (sold, outgoing) = event["bought"], event["sold"]
            count.cash[bought] += Decimal(incoming)
            count.cash[sold] -= Decimal(outgoing)
        count.daily |= {(event["at"][:10], currency): amount for currency, amount in count.cash.items()}
    return count


def _trade(count: Count, side: str, report: Event) -> None:
    quantity, symbol, sign = Decimal(report["quantity"]), report["instrument"], 1 if side == "BUY" else -1
    gross = quantity * Decimal(report["price"]) * (CENT if symbol == PENCE else 1)
    units = sum((Decimal(amount) for _, amount, currency in report["fees"] if not currency), Decimal(0))
    paid = sum((Decimal(amount) for _, amount, currency in report["fees"] if currency), Decimal(0))
    currency = report.get("settl_currency") or _currencies()[symbol]
    rate = Decimal(report.get("fx_rate", 1))
    if "settl_currency" in report:
        money = ((gross + sign * paid) * rate).quantize(CENT, ROUND_HALF_UP)
    else:
        money = gross.quantize(CENT, ROUND_HALF_UP) + sign * paid
    count.cash[currency] -= sign * money
    if side == "BUY":
        # Units that are a fee were paid for, and are not there.
        count.held[symbol].lots.append((quantity - units, gross * (quantity - units) / quantity))
    else:
        count.held[symbol].sell(quantity, gross)


def _currencies() -> dict[str, str]:
    return {row["symbol"]: row["currency"] for row in rows("instruments.csv")}
