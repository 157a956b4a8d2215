"""The ledger, written: one row for each application, or undoing, of a migration in this database; none is deleted."""

import getpass
import json
import os
import socket
from contextlib import suppress
from functools import cache
from typing import Any

from django.apps.registry import Apps
from django.db import InterfaceError, OperationalError, models
from django.db.migrations import Migration
from django.utils import timezone

from migration_guard.conf import GuardSettings
from migration_guard.fingerprints import Fingerprint
from migration_guard.ledger import LEAVE_APPLIED, Ledger, MigrationKey, source_of
from migration_guard.turns import HAS_TURN, TurnLost

# The two records of an application, in one statement.
RECORD = "WITH record AS (INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s) RETURNING id)"
FINISH = """
    UPDATE migration_guard_run
    SET outcome = 'done', record_id = record.id, position = operations, began_next = false, substep = 0,
        finished_at = %s, retries = %s, longest_lock_wait = %s
    FROM record WHERE migration_guard_run.id = %s
"""


class Action(models.TextChoices):
    """What was done with a migration."""

    APPLY = "apply"
    UNDO = "undo"
    FAKE_APPLY = "fake apply"
    FAKE_UNDO = "fake undo"
    ADOPT = "adopt", "found applied when the guard came"
    ACCEPT_EDIT = "accept edit"
    EDITED_UPSTREAM = "edited upstream"
    REPLACE = "replace", "recorded as a squash of applied migrations"
    PRUNE = "prune"


class Outcome(models.TextChoices):
    """How it ended. A run that still says RUNNING while nobody has the turn was killed: INTERRUPTED."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Run(models.Model):
    """A row of the ledger. Outside the app registry, as django_migrations is: no migration makes its table."""

    app = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    action = models.CharField(max_length=20, choices=Action)
    outcome = models.CharField(max_length=20, choices=Outcome)
    # The row of django_migrations that this run made. Another one there: somebody recorded it without the guard.
    record_id = models.BigIntegerField(null=True)
    fingerprint = models.CharField(max_length=80, blank=True)
    source_digest = models.CharField(max_length=64, blank=True)
    parts = models.TextField(blank=True)
    # How many operations of the migration are in the database, counted from its first, and how many it has.
    position = models.IntegerField(default=0)
    operations = models.IntegerField(default=0)
    # How many statements of the operation after them are done, and whether the next one, outside a transaction, began.
    substep = models.IntegerField(default=0)
    began_next = models.BooleanField(default=False)
    # Whether the release before this migration can work on the schema after it; null where nobody said.
    serves_previous_release = models.BooleanField(null=True)
    replaced = models.TextField(blank=True)
    who = models.CharField(max_length=255)
    host = models.CharField(max_length=255)
    release = models.CharField(max_length=255, blank=True)
    reason = models.TextField(blank=True)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    retries = models.IntegerField(default=0)
    # In seconds, sampled.
    longest_lock_wait = models.FloatField(default=0)

    class Meta:
        apps = Apps()
        app_label = "migration_guard"
        db_table = "migration_guard_run"
        indexes = [models.Index(fields=["app", "name", "id"], name="migration_guard_run_app_name")]

    def __str__(self) -> str:
        return f"{self.action} {self.app}.{self.name}: {self.outcome}"

    @classmethod
    def of(cls, migration: Migration, action: Action, **values: Any) -> "Run":
        """A new row about a migration as its module says it now; not saved."""
        source = source_of(migration)
        return cls(
            app=migration.app_label,
            name=migration.name,
            action=action,
            fingerprint=source.fingerprint.digest if source else "",
            source_digest=source.bytes_digest if source else "",
            parts=source.fingerprint.as_json() if source else "",
            operations=len(migration.operations),
            replaced=json.dumps(migration.replaces) if migration.replaces else "",
            serves_previous_release=getattr(migration, "serves_previous_release", None),
            **values,
        )

    @classmethod
    def without_code(cls, key: MigrationKey, action: Action, **values: Any) -> "Run":
        """A new row about a migration whose module is not here; not saved."""
        return cls(app=key[0], name=key[1], action=action, **values)

    @property
    def key(self) -> MigrationKey:
        return self.app, self.name

    @property
    def is_partial(self) -> bool:
        """Whether it broke off with some operations of a non-atomic migration in the database and some not."""
        has_begun = self.position > 0 or self.substep > 0 or self.began_next
        return self.outcome != Outcome.DONE and self.record_id is None and has_begun


COLUMNS = [field.attname for field in Run._meta.concrete_fields if not field.primary_key]
INSERT = f"INSERT INTO migration_guard_run ({', '.join(COLUMNS)}) SELECT {', '.join(['%s'] * len(COLUMNS))}"
BEGIN_FOLLOWING = f"{RECORD}, finished AS ({FINISH}) {INSERT}"
# Where the turn was lost, no row comes back. To ask takes as long as all the rest, and what cannot lose it does not.
IF_IN_TURN = f"WHERE {HAS_TURN}"
# A transaction of its own. It need not be on the disk before what it announces, which is later in the log.
BEGIN = f"{INSERT} FROM set_config('synchronous_commit', 'off', true) {IF_IN_TURN}"


class RunLedger(Ledger):
    """The ledger in the hands of the one process that has the turn, or of one that reads whole rows."""

    @property
    def runs(self) -> "models.QuerySet[Run]":
        return Run._default_manager.using(self.connection.alias)

    def ensure_table(self) -> None:
        if not self.exists:
            with self.connection.schema_editor() as editor:
                editor.create_model(Run)

    def partial(self) -> dict[MigrationKey, Run]:
        """The migrations of which only some operations are in the database, each with its last run."""
        if not self.exists:
            return {}
        last = self.runs.order_by("app", "name", "-id").distinct("app", "name").values("id")
        return {run.key: run for run in self.runs.filter(id__in=last).defer("parts") if run.is_partial}

    def parts_of(self, run: Run) -> Fingerprint:
        run.refresh_from_db(using=self.connection.alias, fields=["parts"])
        return Fingerprint.from_json(run.parts or "[]")

    def begin(self, run: Run) -> Run:
        """Write the row before the work begins, in a transaction of its own, so that a killed run leaves a trace.

        Raises TurnLost where this session has no right to begin.
        """
        self._begin(run, BEGIN)
        if run.pk is None:
            raise TurnLost
        return run

    def _begin(self, run: Run, statement: str, *parameters: Any) -> None:
        """Write the row by a statement that ends with it; no id where the statement finds that the turn was lost."""
        run.outcome = Outcome.RUNNING
        self._complete(run)
        with self.connection.cursor() as cursor:
            cursor.execute(f"{statement} RETURNING id", [*parameters, *(getattr(run, column) for column in COLUMNS)])
            row = cursor.fetchone()
        run.pk = row[0] if row else None
        run._state.adding = False

    def note(self, run: Run) -> Run:
        """Write the row of something that is done as it is recorded."""
        run.outcome = Outcome.DONE
        self._complete(run)
        run.finished_at = run.started_at
        run.position = run.operations if run.action in LEAVE_APPLIED else 0
        run.save(using=self.connection.alias, force_insert=True)
        return run

    def settle(self) -> None:
        """Call what still says RUNNING interrupted: with the turn in hand, nothing else runs."""
        if self.has_unfinished:
            error = "It was killed, or lost its connection."
            self.runs.filter(outcome=Outcome.RUNNING).update(outcome=Outcome.INTERRUPTED, error=error)

    def save(self, run: Run, **changes: Any) -> None:
        """Change the row, within the transaction of what it tells about where there is one."""
        for name, value in changes.items():
            setattr(run, name, value)
        run.save(using=self.connection.alias, update_fields=list(changes))

    def finish_applying(self, run: Run, following: Run | None = None, *, has_turn: bool = False) -> None:
        """Record the migration as applied, in django_migrations and here, and begin the row of the following one."""
        now = timezone.now()
        finished = [run.app, run.name, now, now, run.retries, run.longest_lock_wait, run.pk]
        if following:
            self._begin(following, BEGIN_FOLLOWING if has_turn else f"{BEGIN_FOLLOWING} {IF_IN_TURN}", *finished)
            return
        with self.connection.cursor() as cursor:
            cursor.execute(RECORD + FINISH, finished)

    def finish(self, run: Run) -> None:
        """Record the end of what leaves no row of its own in django_migrations."""
        self.save(
            run,
            outcome=Outcome.DONE,
            record_id=None,
            position=run.operations if run.action == Action.APPLY else 0,
            began_next=False,
            substep=0,
            finished_at=timezone.now(),
            retries=run.retries,
            longest_lock_wait=run.longest_lock_wait,
        )

    def fail(self, run: Run, error: BaseException) -> None:
        """Write why it ended, once its transaction is rolled back; a lost connection leaves it to the next run."""
        outcome = Outcome.FAILED if isinstance(error, Exception) else Outcome.INTERRUPTED
        if self.connection.needs_rollback:
            return
        with suppress(OperationalError, InterfaceError):
            # What was set within the transaction is rolled back, and the row in the database is right about it.
            run.refresh_from_db(using=self.connection.alias, fields=["position", "substep", "began_next", "record_id"])
            self.save(
                run,
                outcome=outcome,
                error=self._storable(f"{type(error).__name__}: {error}"),
                finished_at=timezone.now(),
                retries=run.retries,
                longest_lock_wait=run.longest_lock_wait,
            )

    def _complete(self, run: Run) -> None:
        run.started_at = timezone.now()
        run.who, run.host, run.release = _user(), socket.gethostname(), GuardSettings.load().release
        for name in ("who", "host", "release", "reason"):
            setattr(run, name, self._storable(getattr(run, name))[:255])

    def _storable(self, text: str) -> str:
        """The text as a database of any encoding can keep it."""
        encoding = self.connection.connection.info.parameter_status("server_encoding")
        plain = text.replace("\0", "\\0")
        return plain if encoding == "UTF8" else plain.encode("ascii", "backslashreplace").decode()


@cache
def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
