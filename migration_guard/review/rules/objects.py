"""Whatever is neither table nor index: views, functions, types, sequences, rights."""

from migration_guard.review.actions import Action
from migration_guard.review.findings import Rule, Severity, judges
from migration_guard.review.scene import Scene


@judges(
    Rule("drop-object", Severity.WARNING, "Drop it in a release after the last one that uses it."),
    "DROP_VIEW",
    "DROP_MATERIALIZED_VIEW",
    "DROP_FUNCTION",
    "DROP_PROCEDURE",
    "DROP_AGGREGATE",
    "DROP_TYPE",
    "DROP_DOMAIN",
    "DROP_SEQUENCE",
    "DROP_TRIGGER",
    "DROP_EXTENSION",
)
def drop_object(action: Action, scene: Scene) -> str | None:
    name = action.node.name("PATH_REF", "NAME_REF", "PATH", "NAME")
    if not action.work.is_plain_sql or name in scene.created:
        return None
    return f"The previous release may still use {name}."


@judges(
    Rule("rename-object", Severity.WARNING, "Create the new one beside it, and drop the old one in the next release."),
    "ALTER_VIEW",
    "ALTER_MATERIALIZED_VIEW",
    "ALTER_FUNCTION",
    "ALTER_PROCEDURE",
    "ALTER_TYPE",
    "ALTER_DOMAIN",
    "ALTER_SEQUENCE",
    "ALTER_SCHEMA",
)
def rename_object(action: Action, scene: Scene) -> str | None:
    renames = any("RENAME" in node.kind or node.kind == "SET_SCHEMA" for node in action.node.walk())
    name = action.node.name("PATH_REF", "NAME_REF")
    return (
        f"The previous release looks for {name} under its old name." if renames and name not in scene.created else None
    )


@judges(
    Rule("access-change", Severity.WARNING, "Try it as the role that serves, on a copy, before it is applied."),
    "REVOKE",
    "CREATE_POLICY",
    "ALTER_POLICY",
    "DROP_POLICY",
    "ENABLE_RLS",
    "DISABLE_RLS",
    "FORCE_RLS",
    "NO_FORCE_RLS",
    "ALTER_ROLE",
    "ALTER_USER",
    "ALTER_DATABASE",
    "ALTER_SYSTEM",
)
def access_change(action: Action, scene: Scene) -> str | None:
    return "The role that serves may see or do less from one moment to the next, or more than it should."
