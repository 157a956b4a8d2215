"""What `doctor` says of the partitions of price bars."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, ProgrammingError
from django.utils import timezone

from migration_guard.doctor import Diagnosis, command, ok, problem, unknown
from migration_guard.doctor.session import looking
from migration_guard.units import listed
from trader.operations.price_partitions import MOST_COUNTED, counted_in_default, missing_years

SUBJECT = "partitions"
# Each start of the backend makes next year's; so long before it is needed, one that is missing is told.
NOTICE = timedelta(days=60)


def check_partitions(alias: str) -> Iterator[Diagnosis]:
    """Bars in the default partition, and a partition that will soon be missing; of the book's database alone."""
    if alias != DEFAULT_DB_ALIAS:
        return
    try:
        with looking(alias):
            found = list(examine(now=timezone.now()))
    except OperationalError as error:
        found = [unknown(SUBJECT, f"not looked at: {' '.join(str(error).split())}")]
    except ProgrammingError as error:
        if not isinstance(error.__cause__, psycopg.errors.UndefinedTable):
            raise
        # It is not made yet, as the line of the migrations tells.
        found = []
    yield from found


def examine(*, now: datetime) -> Iterator[Diagnosis]:
    mend = command("price_partitions")
    needed = sorted({now.astimezone(UTC).year, (now + NOTICE).astimezone(UTC).year})
    waiting, missing = counted_in_default(), missing_years(needed)
    if waiting:
        yield problem(SUBJECT, _told(waiting), mend)
    if missing:
        yield problem(SUBJECT, f"trader_pricebar has none for {listed(map(str, missing))}", mend)
    if not waiting and not missing:
        yield ok(SUBJECT, f"trader_pricebar has those that are needed, up to {needed[-1]}")


def _told(waiting: Mapping[int, int]) -> str:
    count, years = sum(waiting.values()), listed(map(str, waiting))
    more = " and more" if count >= MOST_COUNTED else ""
    return f"in the default partition of trader_pricebar lie bars of {years}: {count:,}{more}"
