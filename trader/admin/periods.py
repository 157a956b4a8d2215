"""What an account earned in a period, as its page asks and answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms

from trader.admin.charts import value_chart
from trader.admin.figures import KeyFigure, gain, money, percentage
from trader.models import Account
from trader.models.dates import DATES, OUT_OF_BOUNDS
from trader.reporting.money import moved_before
from trader.reporting.performance import PerformanceReport, report_performance
from trader.reporting.valuation import Given

YEAR = 365


@dataclass(frozen=True)
class Period:
    """One that is asked for by a link; from the first day of all without `since`."""

    name: str
    since: date | None
    until: date

    @property
    def query(self) -> str:
        return urlencode({"since": self.since or "", "until": self.until})


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class PeriodForm(forms.Form):
    since = forms.DateField(label="From", required=False, widget=DateInput)
    until = forms.DateField(label="To", widget=DateInput)

    def __init__(self, data: Mapping[str, Any], today: date) -> None:
        super().__init__(data)
        self._today = today

    def clean_until(self) -> date:
        until: date = self.cleaned_data["until"]
        if until > self._today:
            raise forms.ValidationError(f"That day has not come yet: it is {self._today} where the account is.")
        return until

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        since, until = given.get("since"), given.get("until")
        if since and until and since > until:
            self.add_error("since", "The period ends before it begins.")
        if since and since < DATES[0]:
            self.add_error("since", OUT_OF_BOUNDS)
        return given


def performance_glance(account: Account, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The context of the page; where no period is asked for, of the last year."""
    today = account.date_of(now)
    form = PeriodForm(asked or _last_year(account, today), today)
    context = {"form": form, "periods": [*_periods(today)]}
    if not form.is_valid():
        return context
    report = report_performance(account, form.cleaned_data["since"], form.cleaned_data["until"], Given())
    known = [(day.date, day.value) for day in report.series if day.value is not None]
    chart = value_chart(known, report.base_currency) if known else None
    return context | {"report": report, "key_figures": _key_figures(report), "chart": chart}


def _periods(today: date) -> Iterator[Period]:
    for days in (30, 90):
        yield Period(f"{days} days", _first_of(days, today), today)
    yield Period("This year", today.replace(month=1, day=1), today)
    yield Period("1 year", _first_of(YEAR, today), today)
    yield Period("All", None, today)


def _first_of(days: int, today: date) -> date:
    """Of so many, of which today is the last."""
    return today - timedelta(days=days - 1)


def _last_year(account: Account, today: date) -> dict[str, Any]:
    """Or all days, where nothing happened before it."""
    since = _first_of(YEAR, today)
    return {"since": since if moved_before(account, since) else None, "until": today}


def _key_figures(report: PerformanceReport) -> list[KeyFigure]:
    return [
        KeyFigure(f"Initial value in {report.base_currency}", money(report.initial_value)),
        KeyFigure("Transfers", money(report.transfers)),
        KeyFigure("Earnings", gain(report.earnings)),
        KeyFigure("Final value", money(report.final_value)),
        KeyFigure("Time-weighted return", percentage(report.twr)),
        KeyFigure("Money-weighted, a year", percentage(report.mwr)),
        KeyFigure("Deepest drawdown", percentage(report.max_drawdown)),
    ]
