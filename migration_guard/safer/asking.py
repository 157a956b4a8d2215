"""What `makemigrations` asks the database, and what it says when that does not answer."""

from django.core.management.base import CommandError
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

PARTITIONED = "SELECT relname FROM pg_class WHERE relkind = 'p' AND pg_table_is_visible(oid)"


class DatabaseSilent(CommandError):
    """The database that the history is checked against did not answer."""


class AskingLoader(MigrationLoader):
    """Where Django warns that it could not check the history, and goes on, this one stops."""

    def check_consistent_history(self, connection: BaseDatabaseWrapper) -> None:
        try:
            super().check_consistent_history(connection)
        except OperationalError as error:
            raise DatabaseSilent(
                f"The database {connection.alias!r} does not answer: {_first_line(error)}\nNothing was written. Start "
                "it, or write without asking it: makemigrations --offline. Then nothing is known of the migrations "
                "that are applied, nor which tables are partitioned.",
                returncode=2,
            ) from error


class SilentLoader(MigrationLoader):
    """Asks no database."""

    def check_consistent_history(self, connection: BaseDatabaseWrapper) -> None:
        """Nobody is asked."""


def partitioned_tables(connection: BaseDatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONED)
        return {name for (name,) in cursor.fetchall()}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
