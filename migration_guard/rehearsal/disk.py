"""Whether the disk of a server would hold a copy, asked of the server itself."""

import re
from contextlib import suppress

from django.core.management.base import CommandError
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import rows

# The working directory of a server process is the data directory, and databases are in the folder `base` of it.
ASK = "COPY migration_guard_df FROM PROGRAM 'df -Pk base'"
# Total, used and available, between two names that may hold spaces.
COLUMNS = re.compile(r"\s\d+\s+\d+\s+(\d+)\s+\d+%\s")
TABLE = "CREATE TEMPORARY TABLE migration_guard_df (line text) ON COMMIT DROP"
# As VACUUM and ANALYZE have seen the largest table: to measure it would wait for whoever has it locked.
SIZES = """
    SELECT pg_database_size(current_database()), coalesce(max(relpages), 0) * current_setting('block_size')::bigint
    FROM pg_class WHERE relkind IN ('r', 't', 'm')
"""
# What is written to the copy is written to the log, too, which grows that far before it is used again.
LOG = "SELECT pg_size_bytes(current_setting('max_wal_size'))"
# A database of text, numbers and two indexes was 7 times as large as its compressed archive; the rest is for what
# a migration writes anew.
OF_COMPRESSED_ARCHIVE = 10
OF_PLAIN_ARCHIVE = 3


class CouldNotCopy(CommandError):
    """There is no copy to rehearse on; nothing of it is left, and the source is as it was."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=2)


def require_space(
    live: BaseDatabaseWrapper | None,
    copy: BaseDatabaseWrapper,
    percent: float | None = None,
    *,
    size_bytes: int = 0,
    is_compressed: bool = True,
) -> list[str]:
    """Raise CouldNotCopy where there is too little; a note where this role may not ask.

    Needed is the size of the live database, or of a part of it, and twice its largest table: a migration may write it
    anew, and its rows are kept beside it. `size_bytes` is that of an archive instead. As much goes to the log: a server
    whose disk it fills stops, with all of its databases.
    """
    if live is None:
        needed = size_bytes * (OF_COMPRESSED_ARCHIVE if is_compressed else OF_PLAIN_ARCHIVE)
    else:
        ((database, largest),) = rows(live, SIZES)
        needed = int((database + 2 * largest) * (percent or 100) / 100)
    needed += min(needed, rows(copy, LOG)[0][0])
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
    columns = COLUMNS.search(lines[-1]) if lines else None
    return int(columns[1]) * 1024 if columns else None


def _mb(number: int) -> str:
    return f"{number / 1e6:,.0f} MB"
