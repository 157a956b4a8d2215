"""What a database says about the tables that migrations change."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

SMALL_ROWS = 10_000
TABLES = """
    SELECT CASE WHEN nspname = 'public' THEN relname ELSE nspname || '.' || relname END, relkind, reltuples,
        pg_total_relation_size(pg_class.oid)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


@dataclass(frozen=True)
class Size:
    """What the statistics of a database say about a table; without ANALYZE they know no number of rows."""

    rows: int | None
    size_bytes: int
    is_partitioned: bool

    def __str__(self) -> str:
        return f"about {self.rows:,} rows, {self.size_bytes / 2**20:,.0f} MB"

    @property
    def is_small(self) -> bool:
        return self.rows is not None and self.rows < SMALL_ROWS


@dataclass
class Database:
    """A database that was asked, once: its server's version, its tables, and which migrations it has."""

    version: int
    tables: dict[str, Size]
    applied: set[tuple[str, str]]

    @classmethod
    def ask(cls, connection: BaseDatabaseWrapper, applied: set[tuple[str, str]]) -> "Database":
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            ((version,),) = cursor.fetchall()
            cursor.execute(TABLES)
            tables = {
                name: Size(int(rows) if rows >= 0 else None, size, kind == "p")
                for name, kind, rows, size in cursor.fetchall()
            }
        return cls(int(version), tables, applied)
