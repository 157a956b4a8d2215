"""Tables: dropped, renamed, rewritten, locked."""

from migration_guard.review.actions import Action
from migration_guard.review.findings import Rule, Severity, judges
from migration_guard.review.scene import Scene


@judges(
    Rule(
        "drop-table",
        Severity.ERROR,
        "RetireModel takes it out of the state, DropRetiredModel drops it a release later; makemigrations writes both.",
        lock="ACCESS EXCLUSIVE",
    ),
    "DROP_TABLE",
)
def drop_table(action: Action, scene: Scene) -> str | None:
    if scene.is_new(action.table):
        return None
    return f"The previous release still reads and writes {action.table}. Its rows are gone."


@judges(
    Rule(
        "rename-table",
        Severity.ERROR,
        "RenameModelKeepingView leaves a view under the old name; makemigrations writes it. Or db_table.",
        lock="ACCESS EXCLUSIVE",
    ),
    "TABLE_RENAME_TO",
    "SET_SCHEMA",
)
def rename_table(action: Action, scene: Scene) -> str | None:
    if scene.is_new(action.table):
        return None
    return f'The previous release gets: relation "{action.table}" does not exist.'


@judges(
    Rule(
        "truncate",
        Severity.ERROR,
        "DELETE in batches keeps readers at work, and triggers too; take a copy before either.",
        lock="ACCESS EXCLUSIVE",
    ),
    "TRUNCATE",
)
def truncate(action: Action, scene: Scene) -> str | None:
    if scene.is_new(action.table):
        return None
    also = " and of every table that refers to it" if action.node.has("CASCADE") else ""
    return f"All rows of {action.table}{also} are gone at once, without the triggers for each row."


@judges(
    Rule("drop-cascade", Severity.ERROR, "Drop what depends on it by name, so that a reader sees what goes."),
    "DROP_TABLE",
    "DROP_COLUMN",
    "DROP_CONSTRAINT",
    "DROP_TYPE",
    "DROP_FUNCTION",
    "DROP_VIEW",
    "DROP_SCHEMA",
    "DROP_EXTENSION",
    "DROP_SEQUENCE",
    "DROP_INDEX",
    "DROP_DOMAIN",
    "DROP_MATERIALIZED_VIEW",
)
def drop_cascade(action: Action, scene: Scene) -> str | None:
    # Django writes CASCADE behind every column and table that it drops.
    if not action.node.has("CASCADE") or not action.work.is_plain_sql:
        return None
    return "CASCADE drops whatever depends on it: views, foreign keys, functions, unnamed here."


@judges(
    Rule("drop-database", Severity.ERROR, "Let a person do it, by hand, with a backup beside him."),
    "DROP_DATABASE",
    "DROP_SCHEMA",
)
def drop_database(action: Action, scene: Scene) -> str | None:
    return "Everything in it is gone, whatever it is."


@judges(
    Rule(
        "full-rewrite",
        Severity.ERROR,
        "pg_repack or a copy kept by triggers; plain VACUUM for reuse of space.",
        lock="ACCESS EXCLUSIVE",
        by_size=True,
    ),
    "VACUUM",
    "CLUSTER",
    "SET_TABLESPACE",
    "SET_LOGGED",
    "SET_UNLOGGED",
    "SET_ACCESS_METHOD",
)
def full_rewrite(action: Action, scene: Scene) -> str | None:
    is_plain_vacuum = (
        action.kind == "VACUUM" and not action.node.has("FULL_KW") and "FULL" not in action.node.text.upper()
    )
    if is_plain_vacuum or scene.is_new(action.table):
        return None
    return f"{action.table or 'The table'} is written anew, and neither read nor written meanwhile."


@judges(
    Rule(
        "refresh-not-concurrent",
        Severity.WARNING,
        "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view.",
        lock="ACCESS EXCLUSIVE",
    ),
    "REFRESH",
)
def refresh_not_concurrent(action: Action, scene: Scene) -> str | None:
    if action.node.has("CONCURRENTLY_KW"):
        return None
    return "Nobody reads the view until it is computed anew."


@judges(
    Rule("lock-table", Severity.WARNING, "Leave it to the statements, which take the least lock that they need."),
    "LOCK",
)
def lock_table(action: Action, scene: Scene) -> str | None:
    mode = action.node.first("LOCK_MODE_CLAUSE")
    if mode and mode.has("ACCESS_SHARE", "ROW_SHARE"):
        return None
    return f"{action.table} stays locked to the end of the transaction, whatever else that does."


@judges(
    Rule(
        "create-trigger",
        Severity.WARNING,
        "Keep its function short, and the migration with it alone.",
        lock="SHARE ROW EXCLUSIVE",
    ),
    "CREATE_TRIGGER",
)
def create_trigger(action: Action, scene: Scene) -> str | None:
    if scene.is_new(action.table):
        return None
    return f"Each later write to {action.table} runs it, those of the previous release too."


@judges(
    Rule(
        "disable-trigger",
        Severity.WARNING,
        "Let the change pass the triggers, or drop and create the one that is in the way.",
        lock="SHARE ROW EXCLUSIVE",
    ),
    "DISABLE_TRIGGER",
    "SET",
)
def disable_trigger(action: Action, scene: Scene) -> str | None:
    if action.kind == "SET" and "session_replication_role" not in action.node.text.lower():
        return None
    return "What the triggers keep true, foreign keys among it, is not kept meanwhile."


@judges(
    Rule("table-without-primary-key", Severity.INFO, "Give it one: logical replication and tools want it."),
    "CREATE_TABLE",
)
def table_without_primary_key(action: Action, scene: Scene) -> str | None:
    node = action.node
    if node.has("PRIMARY_KEY_CONSTRAINT", "PARTITION_OF", "LIKE_CLAUSE", "INHERITS") or node.has(
        "TEMP_KW", "TEMPORARY_KW"
    ):
        return None
    return f"No row of {action.table} can be told from another for certain."


@judges(
    Rule("create-extension", Severity.INFO, "Let whoever sets the server up create it; the migration finds it there."),
    "CREATE_EXTENSION",
    "ALTER_EXTENSION",
)
def create_extension(action: Action, scene: Scene) -> str | None:
    if action.node.has("IF_NOT_EXISTS") and not action.work.is_plain_sql:
        return None
    return "It needs rights that the role which migrates may not have, and files on the server."


@judges(
    Rule("enum-value-in-transaction", Severity.WARNING, "Use the value in the next migration."),
    "ALTER_TYPE",
)
def enum_value_in_transaction(action: Action, scene: Scene) -> str | None:
    if not action.node.has("ADD_VALUE") or not action.is_atomic:
        return None
    return "It cannot be used before this transaction is committed, and no reverse takes it away again."
