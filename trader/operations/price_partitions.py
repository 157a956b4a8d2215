"""The yearly partitions of price bars, by UTC: made in time, and given the bars that came before they were there."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import psycopg
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.sql import SQL, Composable, Identifier, Literal

from trader.models import PriceBar

# Of bars in the default partition, so many are counted and no more.
MOST_COUNTED = 10_000
# So long does anybody wait behind this for bars in the default partition. An autovacuum makes way after one second.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"
OWNED = "SELECT pg_has_role(relowner, 'USAGE'), current_user FROM pg_class WHERE oid = 'trader_pricebar'::regclass"
# The first and the last year of each partition; of the default one NULL, and no row where the table is not there. An
# expression without columns needs no table to be read, which would be waited for.
BOUNDS = """
    SELECT extract(year FROM bound[1]::timestamptz AT TIME ZONE 'UTC')::int,
        extract(year FROM bound[2]::timestamptz AT TIME ZONE 'UTC' - interval '1 microsecond')::int
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    LEFT JOIN LATERAL regexp_match(
        pg_get_expr(relpartbound, 0), $$FROM \\('(.*)'\\) TO \\('(.*)'\\)$$
    ) bound ON true
    WHERE inhparent = to_regclass('trader_pricebar')
"""
IN_DEFAULT = """
    SELECT extract(year FROM ts AT TIME ZONE 'UTC')::int, count(*)
    FROM (SELECT ts FROM trader_pricebar_default LIMIT %s) counted GROUP BY 1 ORDER BY 1
"""
YEARS_IN_DEFAULT = """
    SELECT DISTINCT extract(year FROM ts AT TIME ZONE 'UTC')::int FROM trader_pricebar_default
    WHERE instrument_id = coalesce(%s, instrument_id) ORDER BY 1
"""
# Writers of the default partition wait from here on, and who else makes partitions; readers do not.
LOCK_DEFAULT = "LOCK TABLE trader_pricebar_default IN SHARE ROW EXCLUSIVE MODE"
CREATE = SQL("CREATE TABLE {table} (LIKE trader_pricebar INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)")
MOVE = SQL("""
    WITH moved AS (DELETE FROM trader_pricebar_default WHERE ts >= {begins} AND ts < {ends} RETURNING {columns})
    INSERT INTO {table} ({columns}) SELECT {columns} FROM moved
""")
# CREATE TABLE ... PARTITION OF would keep everybody from all bars, and wait for everybody.
ATTACH = SQL("ALTER TABLE trader_pricebar ATTACH PARTITION {table} FOR VALUES FROM ({begins}) TO ({ends})")
GRANTS = """
    SELECT privilege_type, CASE WHEN grantee = 0 THEN 'public' ELSE grantee::regrole::text END
    FROM pg_class, aclexplode(relacl)
    WHERE pg_class.oid = 'trader_pricebar'::regclass AND grantee <> relowner
"""
GRANT = SQL("GRANT {right} ON {table} TO {role}")


class PartitionNotMade(Exception):
    """A partition can be made by this role, under its name, without anybody waiting for long."""


def due_years(*, now: datetime, until: int = 0) -> range:
    """This year, the next one, and those up to `until`."""
    this_year = now.astimezone(UTC).year
    return range(this_year, max(this_year + 1, until) + 1)


def missing_years(years: Iterable[int]) -> list[int]:
    """Those of the years whose bars have no partition but the default one; none before the table is made."""
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS)
        bounds = cursor.fetchall()
    spans = [(first, last) for first, last in bounds if first is not None]
    return [year for year in years if bounds and not any(first <= year <= last for first, last in spans)]


def years_in_default(instrument: int | None = None) -> list[int]:
    """The years of all bars in the default partition, or of the instrument's, which are read for it."""
    with connection.cursor() as cursor:
        cursor.execute(YEARS_IN_DEFAULT, [instrument])
        return [year for (year,) in cursor.fetchall()]


def counted_in_default() -> dict[int, int]:
    """Bars in the default partition by year, up to MOST_COUNTED of them in all."""
    with connection.cursor() as cursor:
        cursor.execute(IN_DEFAULT, [MOST_COUNTED])
        return dict(cursor.fetchall())


def make_partitions(years: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Make the partitions of the years that have none, a transaction each; gives each year and how many bars moved.

    Raises PartitionNotMade; the years before it are made.
    """
    for year in missing_years(years):
        try:
            moved = _make(year)
        except (OperationalError, ProgrammingError) as error:
            raise PartitionNotMade(_reason(error, year)) from error
        if moved is not None:
            yield year, moved


def partition_name(year: int) -> str:
    return f"trader_pricebar_{year}"


@transaction.atomic
def _make(year: int) -> int | None:
    """How many bars moved; None where another process has made it meanwhile."""
    begins, ends = (Literal(f"{each:04}-01-01 00:00+00") for each in (year, year + 1))
    table = Identifier(partition_name(year))
    columns = SQL(", ").join([Identifier(str(field.column)) for field in PriceBar._meta.local_concrete_fields])
    with connection.cursor() as cursor:
        _refuse_strangers(cursor)
        cursor.execute(LOCK_TIMEOUT)
        cursor.execute(LOCK_DEFAULT)
        if not missing_years([year]):
            return None
        _execute(cursor, CREATE.format(table=table))
        _execute(cursor, MOVE.format(table=table, begins=begins, ends=ends, columns=columns))
        moved: int = cursor.rowcount
        _grant(cursor, table)
        _execute(cursor, ATTACH.format(table=table, begins=begins, ends=ends))
    return moved


def _refuse_strangers(cursor: CursorWrapper) -> None:
    cursor.execute(OWNED)
    is_owner, role = cursor.fetchone()
    if not is_owner:
        raise PartitionNotMade(
            f"The role {role} does not own trader_pricebar, and only its owner can make partitions: run it with the "
            "role of POSTGRES_USER, without SERVING."
        )


def _grant(cursor: CursorWrapper, table: Identifier) -> None:
    """What others may do with the whole, when they name the part."""
    cursor.execute(GRANTS)
    for right, role in cursor.fetchall():
        _execute(cursor, GRANT.format(right=SQL(right), table=table, role=SQL(role)))


def _execute(cursor: CursorWrapper, statement: Composable) -> None:
    cursor.execute(statement.as_string(connection.connection))


def _reason(error: Exception, year: int) -> str:
    match error.__cause__:
        case psycopg.errors.LockNotAvailable() | psycopg.errors.DeadlockDetected():
            return (
                f"Bars are being read or written, and the partition of {year} was not waited for any longer. "
                "Nothing is half done: run it again."
            )
        case psycopg.errors.DuplicateTable():
            name = partition_name(year)
            return f"There is a table {name} that is no partition of trader_pricebar. Rename it, and run this again."
    return f"The partition of {year} was not made: {error}"
