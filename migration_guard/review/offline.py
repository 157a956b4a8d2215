"""A connection that never connects, for the SQL that operations would send to PostgreSQL."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

# What is assumed of the server as long as none was asked.
ASSUMED_VERSION = 170000
# Whose functions give a default without asking anybody.
PURE_MODULES = {"builtins", "collections", "datetime", "decimal", "django", "uuid"}
# What Django ends the name of a constraint or an index with.
SUFFIXES = {"primary_key": "_pkey", "unique": "_uniq", "foreign_key": "_fk", "check": "_check", "index": ""}


class SilentCursor:
    """Takes every statement and finds no row; its connection remembers that it was asked for some."""

    rowcount = 0
    description = None

    def __init__(self, connection: "_OfflineConnection") -> None:
        self.connection = connection

    def execute(self, sql: object, params: object = None) -> None:
        """Do nothing."""

    executemany = callproc = execute

    def fetchone(self) -> None:
        self.connection.was_asked = True

    def fetchall(self) -> list[Any]:
        self.connection.was_asked = True
        return []

    fetchmany = fetchall

    def __iter__(self) -> Iterator[Any]:
        return iter([])

    def __enter__(self) -> "SilentCursor":
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""


def offline(connection: BaseDatabaseWrapper, version: int | None = None) -> BaseDatabaseWrapper:
    """A copy of the connection, of its own engine, that sends nothing; `version` as in server_version_num."""
    engine: Any = type(connection)
    editor = type("OfflineSchemaEditor", (_OfflineSchemaEditor, engine.SchemaEditorClass), {})
    attributes = {"SchemaEditorClass": editor, "pg_version": version or ASSUMED_VERSION}
    copy: Any = type("OfflineConnection", (_OfflineConnection, engine), attributes)(
        connection.settings_dict, connection.alias
    )
    copy.ops.compose_sql = lambda sql, params: sql % tuple(map(_quoted, params))
    return copy  # type: ignore[no-any-return]


class _OfflineConnection:
    was_asked = False

    def cursor(self, *arguments: object, **keywords: object) -> SilentCursor:
        return SilentCursor(self)

    chunked_cursor = cursor

    def connect(self) -> None:
        """Stay where one is."""

    ensure_connection = connect


class _OfflineSchemaEditor:
    """Names constraints as Django would have named them, where the real one asks the catalog."""

    def quote_value(self, value: Any) -> str:
        return _quoted(value)

    def effective_default(self, field: Any) -> Any:
        """A function of the project's own may ask the database for a default: its name stands for it."""
        default = field.default
        if callable(default) and str(getattr(default, "__module__", "")).split(".")[0] not in PURE_MODULES:
            return f"the value of {getattr(default, '__qualname__', default)}()"
        return super().effective_default(field)  # type: ignore[misc]

    def _constraint_names(
        self, model: Any, column_names: Sequence[str] | None = None, *flags: object, **kinds: Any
    ) -> list[str]:
        kind = next((kind for kind in SUFFIXES if kinds.get(kind)), "")
        suffix = SUFFIXES.get(kind, "")
        name: str = self._create_index_name(model._meta.db_table, column_names or [], suffix=suffix)  # type: ignore[attr-defined]
        return [] if name in (kinds.get("exclude") or ()) else [name]


def _quoted(value: Any) -> str:
    # Present with either psycopg, and of another shape in each.
    from django.db.backends.postgresql.psycopg_any import sql  # noqa: PLC0415

    if isinstance(value, str):
        value = value.replace("%", "%%")
    quoted: str = sql.quote(value)
    return quoted
