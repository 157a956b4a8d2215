"""SQL statements that PostgreSQL runs outside a transaction, and what a broken one leaves behind."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlparse
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from sqlparse.sql import Statement
from sqlparse.tokens import Comment

from migration_guard.connections import execute, rows

INDEX_OF_TABLE = """
    SELECT index.oid, index.oid::regclass::text, indisvalid
    FROM pg_class AS index JOIN pg_index ON indexrelid = index.oid
    WHERE indrelid = to_regclass(%s) AND index.relname = (parse_ident(%s))[1]
"""
EXISTS = "SELECT to_regclass(%s) IS NOT NULL"
BUILDERS = "SELECT pid FROM pg_stat_progress_create_index WHERE index_relid = %s AND pid <> pg_backend_pid()"
REINDEX_LEFTOVERS = r"""
    SELECT index.oid::regclass::text
    FROM pg_class AS index JOIN pg_index ON indexrelid = index.oid
    WHERE NOT indisvalid AND index.relname ~ '_cc(new|old)\d*$' AND index.relpersistence <> 't'
        AND index.relnamespace <> 'pg_toast'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = index.oid)
"""
PARTITION = """
    SELECT inhdetachpending FROM pg_inherits
    WHERE inhparent = to_regclass(%s) AND inhrelid = to_regclass(%s)
"""
# What two indexes with the same effect have in common, whatever they and their tables are called.
DEFINITION = """
    SELECT indisunique, indnullsnotdistinct, indnkeyatts, relam, reloptions, indclass::text, indcollation::text,
        indoption::text, pg_get_expr(indpred, indrelid),
        ARRAY(SELECT pg_get_indexdef(indexrelid, number, false) FROM generate_series(1, indnatts) AS number)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indexrelid = %s
"""
ENDS = {"COMMIT", "END", "ROLLBACK", "ABORT"}
# Where it may be that a statement ends a transaction: read by the parser then, which takes its time over a long text.
MAY_END = re.compile(
    r"(?:^|;|\*/)\s*(?:COMMIT|END|ABORT|ROLLBACK|PREPARE\s+TRANSACTION)\b(?!\s+TO\b)", re.IGNORECASE | re.MULTILINE
)
SHADOW = "pg_temp.migration_guard_shadow"
LAST_INDEX = f"SELECT indexrelid FROM pg_index WHERE indrelid = '{SHADOW}'::regclass"  # noqa: S608  # a constant


class IndexBeingBuilt(Exception):
    """Another session builds the index that the migration is to build."""


@dataclass(frozen=True)
class ConcurrentStatement:
    """One statement with CONCURRENTLY, and the pieces of it by which its work is found in the catalog."""

    # The keywords in upper case and the rest as it is written, without comments.
    words: tuple[str, ...]

    @classmethod
    def parse(cls, sql: str) -> "ConcurrentStatement | None":
        """The statement, where it is a single one with CONCURRENTLY; None for any other SQL."""
        if "CONCURRENTLY" not in sql.upper():
            return None
        statements = [words for statement in sqlparse.parse(sql) if (words := _words(statement))]
        return cls(tuple(statements[0])) if len(statements) == 1 and "CONCURRENTLY" in statements[0] else None

    @property
    def detaches(self) -> bool:
        return self.words[0] == "ALTER"

    def is_done(self, connection: BaseDatabaseWrapper, *, began: bool) -> bool:
        """Ask the catalog whether the statement's work is there already, and clear away what a broken try left.

        `began`: an earlier run of this migration began the statement, so that a finished work may be its own. Otherwise
        the work of somebody else is left for the server to refuse. An INVALID index is dropped in either case.
        """
        match self.words[0]:
            case "CREATE":
                return self._is_created(connection, began=began)
            case "DROP":
                name = self._after("CONCURRENTLY", "IF EXISTS")
                return began and _one(connection, EXISTS, [name]) == (False,)
            case "ALTER":
                return began and self._is_detached(connection)
            case _:
                for (leftover,) in rows(connection, REINDEX_LEFTOVERS):
                    execute(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {leftover}")
                return False

    def _after(self, *words: str, until: Sequence[str] = ()) -> str:
        """The text between the last of these words, in their order where they are there, and one of `until`."""
        start = 0
        for word in words:
            if word in self.words[start:]:
                start = self.words.index(word, start) + 1
        rest = self.words[start:]
        end = min((rest.index(word) for word in until if word in rest), default=len(rest))
        return "".join(rest[:end])

    @property
    def _table(self) -> str:
        return self._after("ON", "ONLY", until=["USING", "("])

    def _is_created(self, connection: BaseDatabaseWrapper, *, began: bool) -> bool:
        name = self._after("CONCURRENTLY", "IF NOT EXISTS", until=["ON"])
        found = _one(connection, INDEX_OF_TABLE, [self._table, name]) if name else None
        if found is None:
            return False
        oid, index, is_valid = found
        if is_valid:
            return began and self._defines(connection, oid)
        if builder := _one(connection, BUILDERS, [oid]):
            raise IndexBeingBuilt(f"The index {index} is being built by server process {builder[0]}.")
        execute(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
        return False

    def _defines(self, connection: BaseDatabaseWrapper, oid: int) -> bool:
        """Whether the index is what the statement builds: the server builds it once more, on an empty table."""
        on = self.words.index("ON")
        rest = self.words[on + 1 :]
        rest = rest[min(rest.index(word) for word in ("USING", "(") if word in rest) :]
        unique = "UNIQUE " if "UNIQUE" in self.words[:on] else ""
        try:
            with transaction.atomic(using=connection.alias):
                execute(connection, f"CREATE TEMPORARY TABLE {SHADOW} (LIKE {self._table})")
                execute(connection, f"CREATE {unique}INDEX ON {SHADOW} {' '.join(rest)}")
                (shadow,) = _one(connection, LAST_INDEX, []) or [None]
                same = _one(connection, DEFINITION, [shadow]) == _one(connection, DEFINITION, [oid])
                transaction.set_rollback(True, using=connection.alias)
                return same
        except DatabaseError:
            return False

    def _is_detached(self, connection: BaseDatabaseWrapper) -> bool:
        parent = self._after("TABLE", "IF EXISTS", "ONLY", until=["DETACH"])
        partition = self._after("PARTITION", until=["CONCURRENTLY"])
        found = _one(connection, PARTITION, [parent, partition])
        if found is not None and found[0]:
            execute(connection, f"ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE")
            return True
        return found is None


def validates(sql: str) -> bool:
    """Whether the statement only validates a constraint, under a lock that readers and writers do not meet."""
    if "VALIDATE" not in sql.upper():
        return False
    statements = [words for statement in sqlparse.parse(sql) if (words := _words(statement))]
    return len(statements) == 1 and statements[0][:2] == ["ALTER", "TABLE"] and "VALIDATE" in statements[0]


def until_end_of_transaction(sql: str) -> int:
    """How many statements it has, where one commits or rolls back more than what came after a savepoint; else 0."""
    if not MAY_END.search(sql):
        return 0
    statements = [words for statement in sqlparse.parse(sql) if (words := _words(statement))]
    is_ended = any(
        words[:2] == ["PREPARE", "TRANSACTION"] or (words[0] in ENDS and not {"TO", "PREPARED"} & {*words})
        for words in statements
    )
    return len(statements) if is_ended else 0


def _words(statement: Statement) -> list[str]:
    return [
        token.normalized if token.is_keyword else token.value
        for token in statement.flatten()  # type: ignore[no-untyped-call]
        if not token.is_whitespace and token.ttype not in Comment and token.value != ";"
    ]


def _one(connection: BaseDatabaseWrapper, query: str, parameters: list[Any]) -> tuple[Any, ...] | None:
    found = rows(connection, query, parameters)
    return found[0] if found else None
