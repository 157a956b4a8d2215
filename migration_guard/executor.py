"""Django's executor, with each migration recorded in the transaction that applies it and remembered in the ledger."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterModelManagers,
    AlterModelOptions,
    CreateModel,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from migration_guard.applied import Say
from migration_guard.console import GuardedCommand
from migration_guard.ledger import MigrationKey
from migration_guard.patience import LockNotObtained, Patience
from migration_guard.restoring.points import NoRestorePoint
from migration_guard.restoring.taking import Taker, Unkept
from migration_guard.runs import Action, Run, RunLedger
from migration_guard.survey import unrecorded_squashes
from migration_guard.turns import turn

if TYPE_CHECKING:
    from migration_guard.stepwise import Stepwise

# What only adds takes nothing away.
ADDING = {AddConstraint, AddField, AddIndex, AlterModelManagers, AlterModelOptions, CreateModel}
SCHEMA_OPERATIONS = {"django.db.migrations.operations.models", "django.db.migrations.operations.fields"}

Plan = list[tuple[Migration, bool]]


class GuardedExecutor(MigrationExecutor):
    """Applies and undoes migrations one by one, each exactly once where PostgreSQL allows it.

    An atomic migration is one transaction with its deferred SQL, its row in django_migrations and its row in the
    ledger. A non-atomic one is a transaction for each operation, with its progress in the ledger; a step that
    PostgreSQL refuses in a transaction is announced before it begins, and the catalog is asked about it after a broken
    run. Such a migration is recorded as applied exactly while all of its operations are in the database.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        progress_callback: Callable[..., None] | None,
        *,
        ledger: RunLedger,
        patience: Patience,
    ) -> None:
        super().__init__(connection, progress_callback)
        self.ledger = ledger
        self.patience = patience
        # Asked before a plan is carried out, with what it applies: may refuse. The reason is for the ledger's rows.
        self.check: Callable[[list[Migration]], None] = lambda pending: None
        self.reason = ""
        # Takes restore points, where some are to be taken.
        self.taker: Taker | None = None
        # Each migration that is to be applied, with the row of the one after it; and that row, once it is written.
        self._following: dict[Migration, Run] = {}
        self._announced: Run | None = None
        self.partial = {key: run for key, run in ledger.partial().items() if key not in self.loader.applied_migrations}

    @classmethod
    @contextmanager
    def in_turn(cls, connection: BaseDatabaseWrapper, command: GuardedCommand) -> Iterator["GuardedExecutor"]:
        """Wait for the turn and hold it; then what a killed run has left is known for what it is."""
        with turn(connection, say=command.say) as session:
            ledger = RunLedger(session)
            ledger.settle()
            patience = Patience.of(session, say=command.say)
            yield cls(session, command.migration_progress_callback, ledger=ledger, patience=patience)

    def migration_plan(self, targets: Any, clean_start: bool = False) -> Plan:  # noqa: FBT001, FBT002  # Django's
        """As Django's; what is partly applied counts as applied on the way back, and as pending on the way forward."""
        applied = self.loader.applied_migrations
        if not clean_start and targets and all(name is None or (app, name) in applied for app, name in targets):
            on_disk = self.loader.disk_migrations or {}
            applied |= {key: on_disk[key] for key in self.partial.keys() & on_disk.keys()}
        return super().migration_plan(targets, clean_start=clean_start)

    def migrate(
        self,
        targets: Any,
        plan: Sequence[tuple[Migration, bool]] | None = None,
        state: ProjectState | None = None,
        fake: bool = False,  # noqa: FBT001, FBT002  # Django's
        fake_initial: bool = False,  # noqa: FBT001, FBT002  # Django's
    ) -> ProjectState:
        self._following = {}
        if plan and not fake:
            self.check([migration for migration, backwards in plan if not backwards])
        if plan and not fake and not fake_initial:
            full_plan = self.migration_plan(self.loader.graph.leaf_nodes(), clean_start=True)
            pending = {migration for migration, backwards in plan if not backwards}
            self._following = self._rows_to_announce([migration for migration, _ in full_plan if migration in pending])
        after: ProjectState = super().migrate(targets, plan, state, fake, fake_initial)
        return after

    def apply_migration(
        self,
        state: ProjectState,
        migration: Migration,
        fake: bool = False,  # noqa: FBT001, FBT002  # Django's
        fake_initial: bool = False,  # noqa: FBT001, FBT002  # Django's
    ) -> ProjectState:
        self._tell("apply_start", migration, fake)
        if fake_initial and not fake:
            fake, state = self.detect_soft_applied(state, migration)
        if fake:
            with transaction.atomic(using=self.connection.alias):
                self.ledger.note(Run.of(migration, Action.FAKE_APPLY, record_id=self._record(migration)))
        elif migration.atomic and key_of(migration) not in self.partial:
            state = self._apply_at_once(state, migration)
        else:
            state = self._stepwise(migration).apply(state)
        self.loader.applied_migrations[key_of(migration)] = migration
        self._tell("apply_success", migration, fake)
        return state

    def unapply_migration(self, state: ProjectState, migration: Migration, fake: bool = False) -> ProjectState:  # noqa: FBT001, FBT002
        self._tell("unapply_start", migration, fake)
        if fake:
            with transaction.atomic(using=self.connection.alias):
                self.unrecord(migration)
                self.ledger.note(Run.of(migration, Action.FAKE_UNDO))
        elif migration.atomic and key_of(migration) not in self.partial:
            state = self._unapply_at_once(state, migration)
        else:
            state = self._stepwise(migration).unapply(state)
        self._tell("unapply_success", migration, fake)
        return state

    def check_replacements(self) -> None:
        """As Django's, and in the ledger too, with what the squash stands for."""
        for migration in unrecorded_squashes(self.loader):
            with transaction.atomic(using=self.connection.alias):
                record_id = self._insert_record(migration.app_label, migration.name)
                self.ledger.note(Run.of(migration, Action.REPLACE, record_id=record_id))

    def note_pruned(self, keys: Iterable[MigrationKey]) -> None:
        for key in sorted(keys):
            self.ledger.note(Run.without_code(key, Action.PRUNE))

    def _apply_at_once(self, state: ProjectState, migration: Migration) -> ProjectState:
        states = chain([state], self._states_before_another_try())
        following = self._following.get(migration)

        def work() -> ProjectState:
            with self.connection.schema_editor(atomic=True) as editor:
                kept.begin()
                after = migration.apply(next(states), editor)
                run_deferred(editor)
                kept.finish()
                self.finish_applying(run, migration, following)
            return after

        with self.running(migration, Action.APPLY) as run:
            kept = self.keeping(run, migration.operations)
            after = kept.until_kept(lambda: self.patience.transaction(work, f"{migration}"))
        self._announced = following
        return after

    def _rows_to_announce(self, migrations: Sequence[Migration]) -> dict[Migration, Run]:
        """The row of the next migration, to begin with the end of each: that saves a transaction for each.

        Made before the first begins: fingerprints taken one after the other cost a third of those taken between
        migrations, when the parser is in no cache of the processor any more.
        """
        return {
            migration: Run.of(following, Action.APPLY, reason=self.reason)
            for migration, following in pairwise(migrations)
            if following.atomic and not following.replaces and key_of(following) not in self.partial
        }

    def applied_state(self) -> ProjectState:
        """The state that the applied migrations make."""
        state: ProjectState = self._create_project_state(with_applied_migrations=True)  # type: ignore[attr-defined]
        return state

    def _states_before_another_try(self) -> Iterator[ProjectState]:
        """A migration changes the state that it is given, so that another try needs it made again."""
        while True:
            yield self.applied_state()

    def _unapply_at_once(self, state: ProjectState, migration: Migration) -> ProjectState:
        def work() -> ProjectState:
            with self.connection.schema_editor(atomic=True) as editor:
                kept.begin()
                after = migration.unapply(state, editor)
                run_deferred(editor)
                kept.finish()
                self.finish_undoing(run, migration)
            return after

        with self.running(migration, Action.UNDO, position=len(migration.operations)) as run:
            kept = self.keeping(run, migration.operations)
            return kept.until_kept(lambda: self.patience.transaction(work, f"Undoing {migration}"))

    def take_restore_points(self, *, everything: bool, say: Say) -> None:
        """Keep what is destroyed from now on, and before that, where `everything` is wanted, the whole database."""
        self.taker = Taker.wanted(self.connection, say)
        if everything:
            if self.taker is None:
                raise NoRestorePoint.because("MIGRATION_GUARD['RESTORE_POINTS'] is None")
            self.taker.keep_database()

    def keeping(self, run: Run, operations: Sequence[Operation]) -> Unkept:
        """What keeps, beside one transaction of the run that has these operations, the data that it destroys."""
        only_adds = run.action == Action.APPLY and all(type(operation) in ADDING for operation in operations)
        return self.taker.beside(run) if self.taker and not only_adds else Unkept()

    def _stepwise(self, migration: Migration) -> "Stepwise":
        # Few migrations need what it imports, which takes longer than all the rest of the guard.
        from migration_guard.stepwise import Stepwise  # noqa: PLC0415

        return Stepwise(self, migration)

    @contextmanager
    def running(self, migration: Migration, action: Action, **progress: Any) -> Iterator[Run]:
        """A row of the ledger around the work: begun before it, and told how it ended where it fails."""
        announced, self._announced = self._announced, None
        if announced and announced.pk and announced.key == key_of(migration):
            run = announced
        else:
            record_id = self._record_id(migration, action)
            run = self.ledger.begin(Run.of(migration, action, reason=self.reason, record_id=record_id, **progress))
        try:
            with self.patience.bounding():
                yield run
        except BaseException as error:
            self._note_patience(run)
            self.ledger.fail(run, error)
            if run.is_partial:
                _tell_position(error, run)
            raise

    def _record_id(self, migration: Migration, action: Action) -> int | None:
        """The row of django_migrations that an undoing begins with."""
        if action == Action.APPLY:
            return None
        rows = self.recorder.migration_qs.filter(app=migration.app_label, name=migration.name)
        return rows.values_list("id", flat=True).first()

    def finish_applying(self, run: Run, migration: Migration, following: Run | None = None) -> None:
        self._note_patience(run)
        if migration.replaces:
            self._record(migration)
            self.ledger.finish(run)
        else:
            # Changes of models and fields release no lock; code and SQL may.
            has_turn = all(type(operation).__module__ in SCHEMA_OPERATIONS for operation in migration.operations)
            self.ledger.finish_applying(run, following, has_turn=has_turn)

    def finish_undoing(self, run: Run, migration: Migration) -> None:
        self._note_patience(run)
        self.unrecord(migration)
        self.ledger.finish(run)

    def unrecord(self, migration: Migration) -> None:
        for app, name in [*migration.replaces, key_of(migration)]:
            self.recorder.record_unapplied(app, name)

    def _note_patience(self, run: Run) -> None:
        run.retries, run.longest_lock_wait = self.patience.retries, self.patience.longest_wait

    def _record(self, migration: Migration) -> int | None:
        """Record it as applied, as Django does: a squash by the migrations that it replaces."""
        if not migration.replaces:
            return self._insert_record(migration.app_label, migration.name)
        for key in migration.replaces:
            self.ledger.note(Run.without_code(key, Action.REPLACE, record_id=self._insert_record(*key)))
        return None

    def _insert_record(self, app: str, name: str) -> int:
        row = self.recorder.migration_qs.create(app=app, name=name)
        return int(row.pk)

    def _tell(self, action: str, migration: Migration, fake: bool) -> None:  # noqa: FBT001  # as Django calls it
        if self.progress_callback:
            self.progress_callback(action, migration, fake)


def key_of(migration: Migration) -> tuple[str, str]:
    return migration.app_label, migration.name


def run_deferred(editor: BaseDatabaseSchemaEditor) -> None:
    """What the editor would run as it closes, after the caller's last word: foreign keys, indexes of new columns."""
    while editor.deferred_sql:
        editor.execute(editor.deferred_sql.pop(0), None)


def _tell_position(error: BaseException, run: Run) -> None:
    told = (
        f"{run.app}.{run.name} is not atomic: {run.position} of its {run.operations} operations are in the database. "
        "Once the cause is mended, migrate goes on from there; rollback undoes them."
    )
    if isinstance(error, LockNotObtained):
        error.args = (f"{error}\n{told}",)
    else:
        error.add_note(told)
