"""Indexes: built beside the writers, or in front of them."""

from migration_guard.review.actions import Action
from migration_guard.review.findings import Rule, Severity, judges
from migration_guard.review.scene import Scene

IDENTIFIER_BYTES = 63
WIDE_INDEX_COLUMNS = 3


@judges(
    Rule(
        "index-not-concurrent",
        Severity.ERROR,
        "AddIndexConcurrently, in a migration of its own with atomic = False; makemigrations writes it.",
        lock="SHARE",
        by_size=True,
    ),
    "CREATE_INDEX",
)
def index_not_concurrent(action: Action, scene: Scene) -> str | None:
    # ON ONLY is for a partitioned table, which has no rows of its own.
    if action.node.has("CONCURRENTLY_KW", "ONLY_KW") or scene.is_new(action.table):
        return None
    return f"Nobody writes to {action.table} while this index is built."


@judges(
    Rule(
        "drop-index-not-concurrent",
        Severity.WARNING,
        "RemoveIndexConcurrently, in a migration of its own with atomic = False; makemigrations writes it.",
        lock="ACCESS EXCLUSIVE",
    ),
    "DROP_INDEX",
)
def drop_index_not_concurrent(action: Action, scene: Scene) -> str | None:
    is_held = action.is_atomic and action.work.table in scene.locked
    if action.node.has("CONCURRENTLY_KW") or is_held:
        return None
    return "The index goes at once, but the lock on its table must be got first, and everybody queues behind it."


@judges(
    Rule(
        "reindex-not-concurrent",
        Severity.ERROR,
        "REINDEX ... CONCURRENTLY, in a migration with atomic = False.",
        lock="SHARE",
    ),
    "REINDEX",
)
def reindex_not_concurrent(action: Action, scene: Scene) -> str | None:
    if action.node.has("CONCURRENTLY_KW"):
        return None
    return "Nobody writes to the table while its index is built again, nor reads through that index."


@judges(
    Rule(
        "concurrently-in-transaction",
        Severity.ERROR,
        "Put atomic = False on the migration, and nothing else into it.",
    ),
    "CREATE_INDEX",
    "DROP_INDEX",
    "REINDEX",
    "DETACH_PARTITION",
)
def concurrently_in_transaction(action: Action, scene: Scene) -> str | None:
    if not action.node.has("CONCURRENTLY_KW") or not action.is_atomic:
        return None
    return "PostgreSQL refuses CONCURRENTLY in a transaction, and this migration is one."


@judges(
    Rule(
        "concurrently-on-partitioned",
        Severity.ERROR,
        "Create the index ON ONLY the parent, then CONCURRENTLY on each partition, and ATTACH those to it.",
    ),
    "CREATE_INDEX",
)
def concurrently_on_partitioned(action: Action, scene: Scene) -> str | None:
    if not action.node.has("CONCURRENTLY_KW") or not scene.is_partitioned(action.table):
        return None
    return f"{action.table} is partitioned: PostgreSQL builds no index on such a table concurrently."


@judges(
    Rule(
        "if-not-exists-hides-invalid",
        Severity.WARNING,
        "Leave IF NOT EXISTS out: migrate looks for the index itself, by definition and validity.",
    ),
    "CREATE_INDEX",
)
def if_not_exists_hides_invalid(action: Action, scene: Scene) -> str | None:
    if not (action.node.has("CONCURRENTLY_KW") and action.node.has("IF_NOT_EXISTS")):
        return None
    return "A build that broke off leaves an INVALID index of that name, and IF NOT EXISTS is content with it."


@judges(
    Rule("index-dropped-first", Severity.WARNING, "Build the new one first, and drop the old one when it is there."),
    "CREATE_INDEX",
)
def index_dropped_first(action: Action, scene: Scene) -> str | None:
    if action.is_atomic or scene.is_new(action.table) or not scene.lost_indexes & {action.table, ""}:
        return None
    # No query knows a column yet that the same migration adds.
    if all((action.table, column) in scene.new_columns for column in action.indexed):
        return None
    return f"Queries on {action.table} have neither the old index, which is dropped above, nor this one meanwhile."


@judges(
    Rule("wide-index", Severity.INFO, "Lead with the column that filters most; two narrow indexes can be combined."),
    "CREATE_INDEX",
)
def wide_index(action: Action, scene: Scene) -> str | None:
    count = len(action.indexed)
    if action.node.has("UNIQUE_KW") or count <= WIDE_INDEX_COLUMNS:
        return None
    return f"An index of {count} columns is seldom used beyond the first ones, and every write keeps it up."


@judges(
    Rule("identifier-too-long", Severity.WARNING, "Choose a name of 63 bytes or fewer."),
    "CREATE_INDEX",
    "CREATE_TABLE",
    "ADD_COLUMN",
    "CHECK_CONSTRAINT",
    "UNIQUE_CONSTRAINT",
    "FOREIGN_KEY_CONSTRAINT",
    "EXCLUDE_CONSTRAINT",
    "CREATE_TRIGGER",
    "CREATE_FUNCTION",
    "TABLE_RENAME_TO",
    "RENAME_COLUMN",
)
def identifier_too_long(action: Action, scene: Scene) -> str | None:
    names = {name for leaf in action.node.all("IDENT") for name in leaf.identifiers()}
    too_long = sorted(name for name in names if len(name.encode()) > IDENTIFIER_BYTES)
    return f"PostgreSQL cuts {', '.join(too_long)} to 63 bytes." if too_long else None
