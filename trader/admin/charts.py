"""Charts: drawn by the browser where it runs scripts, and in any case a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.forms.widgets import Script

from trader.admin.figures import Cell, Table, money, number
from trader.reporting.prices import DailyBar

STYLE = forms.Media(css={"all": ["trader/book.css"]})
SCRIPTS = ("trader/lightweight-charts/lightweight-charts.standalone.production.js", "trader/charts.js")
DRAWING = STYLE + forms.Media(js=[Script(path, defer=True) for path in SCRIPTS])  # type: ignore[misc]
# As the script names them.
CANDLES, AREA = "candles", "area"
PRICES = ("open", "high", "low", "close")
# A table of more rows than somebody reads is left to the export of its list.
MOST_ROWS = 60


@dataclass(frozen=True)
class Chart:
    """`points` are what the browser draws, oldest first; the table lists the last of them, newest first."""

    id: str
    title: str
    kind: str
    points: list[dict[str, Any]]
    table: Table
    note: str = ""

    @property
    def points_id(self) -> str:
        return f"{self.id}-points"


def price_chart(bars: Sequence[DailyBar], quoted_in: str) -> Chart:
    return Chart(
        id="prices",
        title=f"Daily prices in {quoted_in}",
        kind=CANDLES,
        points=[{"time": str(bar.date)} | {name: float(getattr(bar, name)) for name in PRICES} for bar in bars],
        table=Table(
            ("Session", *(name.capitalize() for name in PRICES)),
            [[Cell(str(bar.date)), *(number(getattr(bar, name)) for name in PRICES)] for bar in _last(bars)],
        ),
        note="As if quoted after the splits since.",
    )


def value_chart(values: Sequence[tuple[date, Decimal]], currency: str) -> Chart:
    """Of the days of which an account's value is known."""
    return Chart(
        id="values",
        title=f"Value in {currency}",
        kind=AREA,
        points=[{"time": str(day), "value": float(value)} for day, value in values],
        table=Table(("Day", "Value"), [[Cell(str(day)), money(value)] for day, value in _last(values)]),
    )


def _last(of: Sequence[Any]) -> Sequence[Any]:
    return of[: -MOST_ROWS - 1 : -1]
