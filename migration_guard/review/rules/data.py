"""Changes of rows."""

from migration_guard.review.actions import Action
from migration_guard.review.findings import Rule, Severity, judges
from migration_guard.review.scene import Scene


@judges(
    Rule(
        "one-update-of-everything",
        Severity.ERROR,
        "Change the rows in batches, each committed, in a migration with atomic = False.",
        lock="ROW EXCLUSIVE",
        by_size=True,
    ),
    "UPDATE",
    "DELETE",
)
def one_update_of_everything(action: Action, scene: Scene) -> str | None:
    if scene.is_new(action.table) or (action.work.is_plain_sql and action.node.child("WHERE_CLAUSE")):
        return None
    rows = "every row" if action.work.is_plain_sql else "every row without a value"
    return f"One statement changes {rows} of {action.table}: their writers wait until it is committed."


@judges(
    Rule(
        "data-with-schema-change",
        Severity.WARNING,
        "Part them: the schema in one migration, the rows in the next.",
        lock="ACCESS EXCLUSIVE",
    ),
    "UPDATE",
    "DELETE",
    "INSERT",
    "MERGE",
)
def data_with_schema_change(action: Action, scene: Scene) -> str | None:
    if not action.is_atomic or not action.work.is_plain_sql or action.table not in scene.changed:
        return None
    return f"The lock that the change of {action.table} took is held while its rows are changed."
