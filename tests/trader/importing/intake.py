"""Files on their way into the test's book, and what is in it of them."""

import io
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps

from tests.factories import NOW
from tests.trader.importing.sheets import Row, sheet
from tests.trader.operations.books import posted
from trader.importing.activities import Destination
from trader.importing.files import Outcome, import_file
from trader.importing.problems import Problem
from trader.models import Account, Execution, JournalEntry

HERE = Destination("CHF", ZoneInfo("Europe/Zurich"))

Facts = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def take_in(account: Account, *rows: Row, data: bytes = b"", file_format: str = "generic", **options: Any) -> Outcome:
    """Import a file of these rows, or of this data."""
    return import_file(
        io.BytesIO(data or sheet(*rows)),
        account=account,
        file_format=file_format,
        file_name="activities.csv",
        actor="a trader",
        now=NOW,
        **options,
    )


def imported(account: Account, *rows: Row, data: bytes = b"", file_format: str = "generic") -> tuple[int, int]:
    """How many rows came into the book, and how many it had."""
    outcome = take_in(account, *rows, data=data, file_format=file_format)
    assert not outcome.problems, outcome.problems.kept
    assert outcome.imported + outcome.skipped == outcome.rows
    return outcome.imported, outcome.skipped


def refused(account: Account, *rows: Row, data: bytes = b"", file_format: str = "generic") -> list[Problem]:
    """What is wrong with the file, of which nothing came into the book."""
    before = row_counts()
    outcome = take_in(account, *rows, data=data, file_format=file_format)
    assert row_counts() == before
    assert (outcome.imported, outcome.skipped) == (0, 0)
    assert outcome.problems.count > 0
    return outcome.problems.kept


def row_counts() -> Counter[str]:
    """Of every table of the book."""
    models = apps.get_app_config("trader").get_models()
    return Counter({model._meta.db_table: model._default_manager.count() for model in models})


def facts_of(account: Account) -> Facts:
    """Reports of trades and journal entries, the trades named by their ExecIDs."""
    reports = Execution.objects.filter(account=account).select_related("exec_ref", "trade", "settl_currency")
    entries = JournalEntry.objects.filter(account=account).select_related("execution", "reverses__execution")
    return sorted(map(_report, reports)), sorted(map(_entry, entries), key=repr)


def _report(report: Execution) -> tuple[Any, ...]:
    return (
        *(report.exec_id, report.exec_type, report.exec_ref and report.exec_ref.exec_id, report.trade.exec_id),
        *(report.instrument_id, report.side, report.last_qty, report.last_px, report.gross_trade_amt, report.last_mkt),
        *(report.transact_time, report.trade_date, report.settl_date, report.fx_rate, report.actor, report.recorded_at),
        *(report.settl_currency and report.settl_currency.code, report.settl_amount),
        list(report.fees.order_by("pk").values_list("type", "amount", "currency__code")),
        list(report.selections.order_by("pk").values_list("opening_execution__exec_id", "quantity")),
    )


def _entry(entry: JournalEntry) -> tuple[Any, ...]:
    execution = entry.execution and entry.execution.exec_id
    reversed_one = entry.reverses and (
        entry.reverses.kind,
        entry.reverses.execution and entry.reverses.execution.exec_id,
    )
    return (
        *(entry.kind, entry.instrument_id, entry.value_date, execution, reversed_one),
        *(entry.fx_rate, entry.actor, entry.recorded_at, sorted(posted(entry).items())),
    )
