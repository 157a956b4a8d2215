"""SQL that is no SQL, or that says less than it does."""

from migration_guard.review.actions import Action
from migration_guard.review.findings import Rule, Severity, judges
from migration_guard.review.scene import Scene
from migration_guard.review.syntax import SYNTAX_ERROR


@judges(Rule("syntax-error", Severity.ERROR, "Try the statement on a scratch database."), SYNTAX_ERROR)
def syntax_error(action: Action, scene: Scene) -> str | None:
    return f"PostgreSQL would not read this: {'; '.join(dict.fromkeys(action.statement.errors))}."


@judges(
    Rule("psql-meta-command", Severity.ERROR, "Write what it stands for in SQL; COPY FROM STDIN as INSERT."),
    "PSQL_COMMAND",
)
def psql_meta_command(action: Action, scene: Scene) -> str | None:
    return "psql knows this command, the server does not."


@judges(
    Rule("transaction-control", Severity.ERROR, "Leave it out: migrate opens and commits the transaction."),
    "BEGIN",
    "COMMIT_TRANSACTION",
    "ROLLBACK_TRANSACTION",
    "SAVEPOINT_CREATE",
    "RELEASE_SAVEPOINT",
    "ROLLBACK_TO_SAVEPOINT",
    "PREPARE_TRANSACTION",
)
def transaction_control(action: Action, scene: Scene) -> str | None:
    return "It ends or nests the transaction in which the migration and its record are one."


@judges(
    Rule("dynamic-sql", Severity.WARNING, "Write the statements out where that can be done."),
    "DO",
)
def dynamic_sql(action: Action, scene: Scene) -> str | None:
    return "What a block of code does is seen when it runs: its statements and locks were not reviewed."


@judges(
    Rule("trigger-before-column", Severity.ERROR, "Add the column first, then the trigger that needs it."),
    "ADD_COLUMN",
)
def trigger_before_column(action: Action, scene: Scene) -> str | None:
    for table, body in scene.triggers:
        if table == action.table and action.column in body:
            return f"A trigger on {table} names {action.column} already: every write fails until the column is there."
    return None
