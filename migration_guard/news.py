"""What a survey found, told to a person and written into the ledger."""

from collections.abc import Callable, Iterator

from django.apps import apps
from django.core.management.base import CommandError
from django.db import transaction

from migration_guard.ledger import MigrationKey
from migration_guard.runs import Action, Outcome, Run, RunLedger
from migration_guard.survey import Survey


def record(
    survey: Survey, ledger: RunLedger, *, accepted: set[MigrationKey], reason: str, say: Callable[[str], None]
) -> None:
    """Write what is new into the ledger; the turn is held."""

    def note(key: MigrationKey, action: Action, record_id: int | None, why: str = "") -> None:
        migration = survey.on_disk.get(key)
        values = {"record_id": record_id, "reason": why}
        ledger.note(Run.of(migration, action, **values) if migration else Run.without_code(key, action, **values))

    with transaction.atomic(using=ledger.connection.alias):
        for key, record_id in survey.to_adopt.items():
            note(key, Action.ADOPT, record_id)
    if survey.to_adopt:
        say(f"Adopted {len(survey.to_adopt)} migrations that were applied without the guard.")
    for key in survey.edited_upstream:
        note(key, Action.EDITED_UPSTREAM, survey.known[key].record_id)
        say(f"{key[0]}.{key[1]} was edited by its package after it was applied here; recorded.")
    for (app, name), source in survey.reformatted.items():
        same = ledger.runs.filter(app=app, name=name, fingerprint=source.fingerprint.digest)
        same.update(source_digest=source.bytes_digest)
    for key in sorted(accepted):
        note(key, Action.ACCEPT_EDIT, survey.known[key].record_id, reason)
        say(f"Accepted {key[0]}.{key[1]} as it is now: {reason}")


def describe_unknown(unknown: set[MigrationKey], ledger: RunLedger) -> Iterator[str]:
    """What an older release has to know of a newer database; raises CommandError where it must not start.

    An app that this code does not have at all is told of only where it refuses: it may have been taken out.
    """
    installed = {config.label for config in apps.get_app_configs()}
    runs = ledger.runs.filter(outcome=Outcome.DONE).defer("parts")
    for app, name in sorted(unknown):
        run = runs.filter(app=app, name=name).order_by("-id")[0]
        if app in installed or run.serves_previous_release is False:
            yield _describe(run)


def _describe(run: Run) -> str:
    release = f", release {run.release}" if run.release else ""
    when = f"{run.finished_at:%Y-%m-%d %H:%M}, by {run.who}@{run.host}{release}"
    told = f"{run.app}.{run.name} is applied in this database ({when}) and not known to this code"
    if run.serves_previous_release is False:
        raise CommandError(
            f"{told}, which it is declared not to serve (serves_previous_release = False). This release must not start "
            "on it: deploy one that has the migration, or undo it with that release: "
            f"rollback {run.app} NAME_BEFORE_IT",
            returncode=2,
        )
    return f"{told}: {'' if run.serves_previous_release else 'not '}declared to serve this code."
