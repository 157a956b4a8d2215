"""The rows that others refer to: a sample is whole when none of them is missing."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

KEYS_AT_ONCE = 5_000
INDEX = "migration_guard_closing"
# Those that a partition has from its parent are the parent's; a period refers to rows that no equality finds.
FOREIGN_KEYS = """
    SELECT {names} FROM pg_constraint
    JOIN pg_class child ON child.oid = conrelid JOIN pg_namespace child_schema ON child_schema.oid = child.relnamespace
    JOIN pg_class parent ON parent.oid = confrelid
    JOIN pg_namespace parent_schema ON parent_schema.oid = parent.relnamespace
    WHERE contype = 'f' AND conparentid = 0 AND coalesce(to_jsonb(pg_constraint) ->> 'conperiod', 'false') = 'false'
    ORDER BY pg_constraint.oid
"""
KEY = """
    array(SELECT {what} FROM unnest({numbers}) WITH ORDINALITY key (number, place)
        JOIN pg_attribute ON attrelid = {table} AND attnum = number ORDER BY place)
"""
WRITABLE = """
    array(SELECT attname::text FROM pg_attribute
        WHERE attrelid = confrelid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum)
"""
ROOT = "coalesce(pg_partition_root({table}), {table})::oid"
NAMES = ", ".join(
    (
        "child_schema.nspname, child.relname, parent_schema.nspname, parent.relname",
        KEY.format(what="attname::text", numbers="conkey", table="conrelid"),
        KEY.format(what="attname::text", numbers="confkey", table="confrelid"),
        KEY.format(what="format_type(atttypid, atttypmod)", numbers="confkey", table="confrelid"),
        WRITABLE,
        ROOT.format(table="conrelid"),
        ROOT.format(table="confrelid"),
    )
)
# It makes way for the ones that the constraints bring.
CREATE_INDEX = SQL("CREATE INDEX {index} ON {table} ({columns})")
DROP_INDEX = SQL("DROP INDEX {index}")
# Keys that are referred to and are not there: of all rows of the child, or of those that a key has brought.
MISSING = SQL("""
    SELECT DISTINCT {values} FROM {child} child {brought}
    WHERE {not_null} AND NOT EXISTS (SELECT FROM {parent} parent WHERE {equal})
""")
BROUGHT = SQL("JOIN (SELECT DISTINCT * FROM unnest({arrays})) brought ({columns}) USING ({columns})")
STILL_MISSING = SQL("""
    SELECT {values} FROM unnest({arrays}) child ({columns})
    WHERE NOT EXISTS (SELECT FROM {parent} parent WHERE {equal})
""")
BY_KEY = SQL("SELECT {columns} FROM {parent} JOIN unnest({arrays}) wanted ({key}) USING ({key})")

Key = tuple[str, ...]
Send = Callable[[Composable, Iterable[str], Composable], None]


class ForeignKey(NamedTuple):
    """Columns of a child and the ones of its parent that they refer to, whose types are `types`."""

    child_schema: str
    child: str
    parent_schema: str
    parent: str
    child_columns: list[str]
    parent_columns: list[str]
    types: list[str]
    writable: list[str]
    # Of which each is a partition, or itself.
    child_root: int
    parent_root: int

    @property
    def parent_sql(self) -> Composable:
        return Identifier(self.parent_schema, self.parent)

    def arrays(self, keys: list[Key]) -> Composable:
        columns = zip(zip(*keys, strict=True), self.types, strict=True)
        return _listed(SQL("{}::text[]::{}[]").format(Literal(list(values)), SQL(type_)) for values, type_ in columns)

    def equal(self, child_columns: list[str]) -> Composable:
        pairs = zip(self.parent_columns, child_columns, strict=True)
        return SQL(" AND ").join(
            SQL("{} = {}").format(Identifier("parent", theirs), Identifier("child", own)) for theirs, own in pairs
        )


def take_missing_parents(live: Connection[Any], copy: Connection[Any], send: Send) -> None:
    """Fetch from the source by `send` what rows of the copy refer to, until all is there that is in the source."""
    keys = [ForeignKey(*row) for row in live.execute(FOREIGN_KEYS.format(names=NAMES)).fetchall()]
    with copy.transaction():
        indexes = _make_indexes(copy, keys)
        copy.execute("ANALYZE")
        for key in keys:
            with copy.cursor("missing") as missing:
                missing.execute(_missing(key))
                while found := missing.fetchmany(KEYS_AT_ONCE):
                    _take(copy, keys, key, found, send)
        for index in indexes:
            copy.execute(DROP_INDEX.format(index=index))


def _take(copy: Connection[Any], keys: list[ForeignKey], first: ForeignKey, found: list[Key], send: Send) -> None:
    """Fetch these parents, and what they refer to in their turn."""
    todo = deque([(first, found)])
    while todo:
        key, wanted = todo.popleft()
        # Another key may have brought some meanwhile; what the source does not have either is asked for once.
        wanted = copy.execute(_still_missing(key, wanted)).fetchall()
        if not wanted:
            continue
        send(key.parent_sql, key.writable, _by_key(key, wanted))
        for onward in (onward for onward in keys if onward.child_root == key.parent_root):
            missing = copy.execute(_missing(onward, key, wanted))
            while batch := missing.fetchmany(KEYS_AT_ONCE):
                todo.append((onward, batch))


def _make_indexes(copy: Connection[Any], keys: list[ForeignKey]) -> list[Composable]:
    wanted = {(key.parent_schema, key.parent, *key.parent_columns) for key in keys}
    made: list[Composable] = []
    for number, (schema, table, *columns) in enumerate(sorted(wanted)):
        name = f"{INDEX}_{number}"
        create = CREATE_INDEX.format(
            index=Identifier(name), table=Identifier(schema, table), columns=_listed(map(Identifier, columns))
        )
        copy.execute(create)
        made.append(Identifier(schema, name))
    return made


def _missing(key: ForeignKey, bringing: ForeignKey | None = None, brought: list[Key] | None = None) -> Composed:
    columns = [Identifier("child", column) for column in key.child_columns]
    joined: Composable = SQL("")
    if bringing and brought:
        theirs = _listed(map(Identifier, bringing.parent_columns))
        joined = BROUGHT.format(arrays=bringing.arrays(brought), columns=theirs)
    return MISSING.format(
        values=_listed(
            SQL("{}::{}::text").format(column, SQL(type_)) for column, type_ in zip(columns, key.types, strict=True)
        ),
        child=Identifier(key.child_schema, key.child),
        brought=joined,
        not_null=SQL(" AND ").join(SQL("{} IS NOT NULL").format(column) for column in columns),
        parent=key.parent_sql,
        equal=key.equal(key.child_columns),
    )


def _still_missing(key: ForeignKey, wanted: list[Key]) -> Composed:
    return STILL_MISSING.format(
        values=_listed(SQL("{}::text").format(Identifier("child", column)) for column in key.parent_columns),
        arrays=key.arrays(wanted),
        columns=_listed(map(Identifier, key.parent_columns)),
        parent=key.parent_sql,
        equal=key.equal(key.parent_columns),
    )


def _by_key(key: ForeignKey, wanted: list[Key]) -> Composed:
    return BY_KEY.format(
        columns=_listed(map(Identifier, key.writable)),
        parent=key.parent_sql,
        arrays=key.arrays(wanted),
        key=_listed(map(Identifier, key.parent_columns)),
    )


def _listed(parts: Iterable[Composable]) -> Composable:
    return SQL(", ").join(parts)
