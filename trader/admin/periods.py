"""What an account earned in a period, as its page asks and answers."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django import forms

from trader.admin.charts import value_chart
from trader.admin.figures import KeyFigure, gain, money, percentage
from trader.models import Account
from trader.models.dates import DATES, OUT_OF_BOUNDS
from trader.reporting.performance import PerformanceReport, report_performance
from trader.reporting.valuation import Given


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class PeriodForm(forms.Form):
    since = forms.DateField(label="From", required=False, widget=DateInput)
    until = forms.DateField(label="To", widget=DateInput)

    def __init__(self, data: Mapping[str, Any], today: date) -> None:
        super().__init__(data or {"until": today})
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
    """The context of the page; without a period, from the account's first day to its today."""
    form = PeriodForm(asked, account.date_of(now))
    if not form.is_valid():
        return {"form": form}
    report = report_performance(account, form.cleaned_data["since"], form.cleaned_data["until"], Given())
    known = [(day.date, day.value) for day in report.series if day.value is not None]
    chart = value_chart(known, report.base_currency) if known else None
    return {"form": form, "report": report, "key_figures": _key_figures(report), "chart": chart}


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
