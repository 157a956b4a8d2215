"""Which migrations a review is about, and the database that says more about them."""

from dataclasses import dataclass

from django.core.management.base import CommandError
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import AmbiguityError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from migration_guard.conf import GuardSettings
from migration_guard.connections import another_session, require_postgresql
from migration_guard.ledger import MigrationKey
from migration_guard.review.database import Database
from migration_guard.review.reviewing import plan_of

ANSWER_WITHIN_SECONDS = 3


@dataclass(frozen=True)
class Choice:
    """The migrations to review, and what is known of the database."""

    loader: MigrationLoader
    keys: list[MigrationKey]
    connection: BaseDatabaseWrapper
    database: Database | None
    note: str

    @classmethod
    def of(cls, app: str | None, name: str | None, alias: str, *, offline: bool) -> "Choice":
        """What the arguments name; without a name, what the database has not applied, or else everything.

        Raises CommandError for an app or migration that there is not.
        """
        connection = connections[alias]
        require_postgresql(connection)
        loader = MigrationLoader(None, ignore_no_migrations=True)
        database, note = (None, "") if offline else ask(connection)
        keys = _keys(loader, app, name)
        if name is None and app is None and database:
            keys = [key for key in keys if key not in database.applied]
        return cls(loader, keys, connection, database, note)


def _keys(loader: MigrationLoader, app: str | None, name: str | None) -> list[MigrationKey]:
    """In the order of the plan. Without an app, those of the guarded apps."""
    if app is None:
        guarded = GuardSettings.load().guarded_apps()
        wanted = {key for key in loader.graph.nodes if key[0] in guarded}
    elif app not in loader.migrated_apps:
        raise CommandError(
            f"There is no app {app} with migrations. There are: {', '.join(sorted(loader.migrated_apps))}.",
            returncode=2,
        )
    elif name is None:
        wanted = {key for key in loader.graph.nodes if key[0] == app}
    else:
        wanted = {_named(loader, app, name)}
    return [key for key in plan_of(loader, wanted) if key in wanted]


def _named(loader: MigrationLoader, app: str, name: str) -> MigrationKey:
    try:
        migration = loader.get_migration_by_prefix(app, name)
    except AmbiguityError:
        found = ", ".join(sorted(key[1] for key in loader.graph.nodes if key[0] == app and key[1].startswith(name)))
        raise CommandError(f"{app} has more than one migration {name}...: {found}.", returncode=2) from None
    except KeyError:
        last = max((key[1] for key in loader.graph.nodes if key[0] == app), default="none")
        raise CommandError(f"{app} has no migration {name}; its last is {last}.", returncode=2) from None
    return migration.app_label, migration.name


def ask(connection: BaseDatabaseWrapper) -> tuple[Database | None, str]:
    """What the database says; None with the reason where it does not answer, or has nothing to say."""
    session = another_session(connection, "review")
    session.settings_dict["OPTIONS"]["connect_timeout"] = ANSWER_WITHIN_SECONDS
    try:
        applied = set(MigrationRecorder(session).applied_migrations())
        if applied:
            return Database.ask(session, applied), ""
    except DatabaseError as error:
        reason = " ".join(str(error).split())
        return None, f"The database {connection.alias} does not answer, so that sizes are not known: {reason}"
    finally:
        session.close()
    return None, f"Nothing is applied in the database {connection.alias}: reviewed as without one."
