"""Constraints: checked against every row, under a lock or beside the traffic."""

from migration_guard.review.actions import Action
from migration_guard.review.findings import Rule, Severity, judges
from migration_guard.review.scene import Scene

NULL_DEFAULT = "NULL"


@judges(
    Rule(
        "unique-built-under-lock",
        Severity.ERROR,
        "Build a unique index CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX; makemigrations writes it.",
        lock="ACCESS EXCLUSIVE",
        by_size=True,
    ),
    "UNIQUE_CONSTRAINT",
    "PRIMARY_KEY_CONSTRAINT",
    "ADD_COLUMN",
)
def unique_built_under_lock(action: Action, scene: Scene) -> str | None:
    if not action.node.has("UNIQUE_CONSTRAINT", "PRIMARY_KEY_CONSTRAINT"):
        return None
    if action.node.has("USING_INDEX_NAME") or scene.is_new(action.table):
        return None
    return f"{action.table} is neither read nor written while the index of this constraint is built."


@judges(
    Rule(
        "exclusion-constraint",
        Severity.ERROR,
        "There is no way in steps: add it while nobody works, or enforce the rule by a trigger until then.",
        lock="ACCESS EXCLUSIVE",
        by_size=True,
    ),
    "EXCLUDE_CONSTRAINT",
)
def exclusion_constraint(action: Action, scene: Scene) -> str | None:
    if scene.is_new(action.table):
        return None
    return f"{action.table} is neither read nor written while the index of this constraint is built."


@judges(
    Rule(
        "check-validated-under-lock",
        Severity.ERROR,
        "AddConstraintNotValid, and ValidateConstraint in the next migration; makemigrations writes both.",
        lock="ACCESS EXCLUSIVE",
        by_size=True,
    ),
    "CHECK_CONSTRAINT",
    "NOT_NULL_CONSTRAINT",
    "ADD_COLUMN",
)
def check_validated_under_lock(action: Action, scene: Scene) -> str | None:
    if action.kind == "ADD_COLUMN" and not action.node.has("CHECK_CONSTRAINT"):
        return None
    if action.node.has("NOT_VALID") or scene.is_new(action.table):
        return None
    return f"{action.table} is neither read nor written while all of its rows are checked."


@judges(
    Rule(
        "foreign-key-validated-under-lock",
        Severity.ERROR,
        "Add the constraint NOT VALID, and VALIDATE it in the next migration; makemigrations writes both.",
        lock="SHARE ROW EXCLUSIVE",
        by_size=True,
    ),
    "FOREIGN_KEY_CONSTRAINT",
    "ADD_COLUMN",
)
def foreign_key_validated_under_lock(action: Action, scene: Scene) -> str | None:
    if action.node.has("NOT_VALID") or scene.is_new(action.table):
        return None
    if action.kind == "ADD_COLUMN" and not (action.node.has("REFERENCES_CONSTRAINT") and _has_default(action)):
        return None
    constraint = action.node.first("FOREIGN_KEY_CONSTRAINT", "REFERENCES_CONSTRAINT")
    target = constraint.name("TABLE_NAME_REF") if constraint else ""
    return f"Neither {action.table} nor {target} is written while all rows of {action.table} are looked up in {target}."


def _has_default(action: Action) -> bool:
    default = action.node.first("DEFAULT_CONSTRAINT")
    return default is not None and not default.text.upper().endswith(NULL_DEFAULT)


@judges(
    Rule(
        "validate-with-add",
        Severity.ERROR,
        "VALIDATE in the next migration: it then blocks neither reads nor writes.",
        lock="ACCESS EXCLUSIVE",
        by_size=True,
    ),
    "VALIDATE_CONSTRAINT",
)
def validate_with_add(action: Action, scene: Scene) -> str | None:
    if not action.is_atomic or (action.table, action.constraint) not in scene.not_valid:
        return None
    return "The transaction that added the constraint still holds its lock while all rows are checked."


@judges(
    Rule(
        "set-not-null-scans",
        Severity.ERROR,
        "CHECK (... IS NOT NULL) NOT VALID, VALIDATE it, then SET NOT NULL believes it; makemigrations writes it.",
        lock="ACCESS EXCLUSIVE",
        by_size=True,
    ),
    "SET_NOT_NULL",
    "PRIMARY_KEY_CONSTRAINT",
)
def set_not_null_scans(action: Action, scene: Scene) -> str | None:
    """A primary key USING INDEX makes the columns of the index NOT NULL, as far as they are not."""
    columns = (
        scene.indexed.get(action.node.name("INDEX_REF"), ()) if action.kind != "SET_NOT_NULL" else (action.column,)
    )
    if scene.is_new(action.table) or not any(scene.may_be_null(action, column) for column in columns):
        return None
    return f"{action.table} is neither read nor written while all of its rows are searched for a null."


@judges(
    Rule(
        "domain-constraint",
        Severity.ERROR,
        "ADD CONSTRAINT ... NOT VALID, and VALIDATE CONSTRAINT in the next migration.",
        lock="SHARE",
    ),
    "ALTER_DOMAIN",
)
def domain_constraint(action: Action, scene: Scene) -> str | None:
    adds = action.node.first("ADD_CONSTRAINT")
    if adds is None or adds.has("NOT_VALID"):
        return None
    return "Every table with a column of this domain is scanned, and nobody writes to them meanwhile."


@judges(
    Rule(
        "attach-partition-scans",
        Severity.ERROR,
        "Give the table a validated CHECK with the partition's bounds first; drop it after.",
        lock="ACCESS EXCLUSIVE",
    ),
    "ATTACH_PARTITION",
)
def attach_partition_scans(action: Action, scene: Scene) -> str | None:
    partition = action.node.name("TABLE_NAME_REF")
    if scene.is_new(partition) or partition in scene.checked:
        return None
    return f"{partition} is neither read nor written while all of its rows are checked against the partition's bounds."


@judges(
    Rule(
        "detach-partition-not-concurrent",
        Severity.WARNING,
        "DETACH PARTITION ... CONCURRENTLY, in a migration with atomic = False.",
        lock="ACCESS EXCLUSIVE",
    ),
    "DETACH_PARTITION",
)
def detach_partition_not_concurrent(action: Action, scene: Scene) -> str | None:
    if action.node.has("DETACH_CONCURRENTLY"):
        return None
    return f"{action.table} with all of its partitions is neither read nor written until the transaction ends."
