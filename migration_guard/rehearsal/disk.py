"""Whether the disk of a server would hold a copy, asked of the server itself."""

from contextlib import suppress

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import rows
from migration_guard.rehearsal.programs import CouldNotCopy

# The working directory of a server process is the data directory.
ASK = "COPY migration_guard_df FROM PROGRAM 'df -Pk .'"
TABLE = "CREATE TEMPORARY TABLE migration_guard_df (line text) ON COMMIT DROP"
SIZES = """
    SELECT pg_database_size(current_database()), coalesce(max(pg_total_relation_size(oid)), 0)
    FROM pg_class WHERE relkind IN ('r', 'm')
"""
# An archive is compressed, and has no indexes.
OF_ARCHIVE = 6


def require_space(
    live: BaseDatabaseWrapper | None,
    copy: BaseDatabaseWrapper,
    percent: float | None = None,
    *,
    size_bytes: int = 0,
) -> list[str]:
    """Raise CouldNotCopy where there is too little; a note where this role may not ask.

    Needed is the size of the live database, or of a part of it, and twice its largest table: a migration may write it
    anew, and its rows are kept beside it. `size_bytes` is that of an archive instead.
    """
    if live is None:
        needed = size_bytes * OF_ARCHIVE
    else:
        ((database, largest),) = rows(live, SIZES)
        needed = int((database + 2 * largest) * (percent or 100) / 100)
    free = free_bytes(copy)
    if free is None:
        return [f"How much space is free on the server is not known to this role; the copy may need {_mb(needed)}."]
    if free < needed:
        raise CouldNotCopy(
            f"The server has {_mb(free)} of free space, and a rehearsal may need {_mb(needed)}. Nothing was copied. "
            "Rehearse on less (--sample PERCENT, --schema-only) or on another server (--database ALIAS)."
        )
    return []


def free_bytes(connection: BaseDatabaseWrapper) -> int | None:
    """Of the data directory's disk; None where the role may not ask, or the server's system has no `df`."""
    connection.ensure_connection()
    session = connection.connection
    with suppress(DatabaseError), connection.wrap_database_errors, session.transaction():
        session.execute(TABLE)
        session.execute(ASK)
        return parse_df([line for (line,) in session.execute("TABLE migration_guard_df").fetchall()])
    return None


def parse_df(lines: list[str]) -> int | None:
    """The column `Available` of what `df -Pk` prints, in bytes."""
    words = lines[-1].split() if lines else []
    return int(words[3]) * 1024 if len(words) >= 6 and words[3].isdigit() else None


def _mb(number: int) -> str:
    return f"{number / 1e6:,.0f} MB"
