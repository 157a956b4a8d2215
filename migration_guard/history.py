"""The ledger, read: as lines for a terminal and as data."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import is_aware, localtime

from migration_guard.fingerprints import Fingerprint
from migration_guard.runs import Action, Outcome, Run, RunLedger

PAST = {
    Action.APPLY: "applied",
    Action.UNDO: "undone",
    Action.FAKE_APPLY: "applied (fake)",
    Action.FAKE_UNDO: "undone (fake)",
    Action.ADOPT: "adopted",
    Action.ACCEPT_EDIT: "edit accepted",
    Action.EDITED_UPSTREAM: "edited upstream",
    Action.REPLACE: "recorded as replaced",
    Action.PRUNE: "pruned",
}


def runs(ledger: RunLedger, app: str | None = None, name: str | None = None) -> "QuerySet[Run]":
    """The rows of the ledger, oldest first; of one app, or of the migrations of it that begin with `name`."""
    if not ledger.exists:
        return ledger.runs.none()
    chosen = ledger.runs.filter(app=app) if app else ledger.runs.all()
    chosen = chosen.filter(name__startswith=name) if name else chosen
    return chosen.order_by("id") if name else chosen.order_by("id").defer("parts")


def describe(run: Run) -> Iterator[str]:
    """A line for the run, and one for each thing that was unusual about it."""
    what = PAST[Action(run.action)]
    if run.outcome != Outcome.DONE:
        what = f"{'undoing' if run.action == Action.UNDO else 'applying'} {run.outcome}"
    took = f"{(run.finished_at - run.started_at).total_seconds():.2f} s" if run.finished_at else "-"
    by = f"{run.who}@{run.host} {run.release}".rstrip()
    yield f"{_local(run.started_at)}  {what:20}  {took:>9}  {run.app}.{run.name}  {by}"
    if run.retries:
        yield f"tried {run.retries + 1} times; longest wait for a lock {run.longest_lock_wait:.2f} s"
    if run.outcome != Outcome.DONE and 0 < run.position < run.operations:
        yield f"{run.position} of {run.operations} operations were in the database"
    if run.reason:
        yield f"because: {run.reason}"
    if run.error:
        yield run.error.splitlines()[0]


def as_data(run: Run, *, with_parts: bool) -> dict[str, Any]:
    """Times in ISO 8601, durations in seconds; `parts` is what the migration's file said, piece by piece."""
    data = {
        "id": run.pk,
        "app": run.app,
        "name": run.name,
        "action": run.action,
        "outcome": run.outcome,
        "fingerprint": run.fingerprint,
        "operations_done": run.position,
        "operations": run.operations,
        "serves_previous_release": run.serves_previous_release,
        "who": run.who,
        "host": run.host,
        "release": run.release,
        "reason": run.reason,
        "error": run.error,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "seconds": (run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
        "retries": run.retries,
        "longest_lock_wait": run.longest_lock_wait,
    }
    if with_parts:
        parts = Fingerprint.from_json(run.parts or "[]").parts
        data["parts"] = [{"name": part.name, "text": part.text} for part in parts]
    return data


def _local(moment: datetime) -> str:
    """In the time zone of the settings, with its offset."""
    return (localtime(moment) if is_aware(moment) else moment.astimezone()).isoformat(" ", "seconds")
