"""Putting the filled column in the place of the old one."""

from migration_guard.operations.editing import one, rows, run
from migration_guard.operations.retyping.shadow import Shadow
from migration_guard.operations.retyping.twins import DROP_CONSTRAINT, Twins

# What a column has besides its type, its indexes and its rules.
SETTINGS = """
    SELECT pg_get_expr(adbin, adrelid), quote_literal(col_description(attrelid, attnum))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = to_regclass(%s) AND attname = %s
"""
GRANTS = """
    SELECT (entry).privilege_type,
        CASE (entry).grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid((entry).grantee)) END,
        CASE WHEN (entry).is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM (
        SELECT aclexplode(attacl) AS entry FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s
    ) AS entries
"""
DROP_OLD = "ALTER TABLE {table} DROP COLUMN {column}"
RENAME = "ALTER TABLE {table} RENAME COLUMN {shadow} TO {column}"
SET_NOT_NULL = "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"
SET_DEFAULT = "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}"
SET_COMMENT = "COMMENT ON COLUMN {table}.{column} IS {comment}"
GRANT = "GRANT {privilege} ({column}) ON {table} TO {grantee}{option}"


def swap(shadow: Shadow) -> None:
    """Replace the column within the transaction. Raises TwinMissing; of the table's rows none is read."""
    editor, parts = shadow.editor, shadow.parts
    # Takes the table's lock, before what depends on it is read.
    shadow.let_go()
    twins = Twins(shadow)
    twins.require_all()
    settings = _settings(shadow)
    run(editor, DROP_OLD, **parts)
    run(editor, RENAME, **parts)
    if twins.is_not_null:
        # Proven by the check, so that the server need not look at the rows.
        run(editor, SET_NOT_NULL, **parts)
        run(editor, DROP_CONSTRAINT, table=parts["table"], name=editor.quote_name(twins.not_null_check))
    for template, more in settings:
        run(editor, template, **parts, **more)
    twins.take_the_names()


def _settings(shadow: Shadow) -> list[tuple[str, dict[str, str]]]:
    """The statements that give the new column the default, comment and grants of the old one."""
    names = shadow.editor.quote_name(shadow.table), shadow.column
    default, comment = one(shadow.editor, SETTINGS, *names) or (None, None)
    found = []
    if default is not None:
        found.append((SET_DEFAULT, {"default": default}))
    if comment is not None:
        found.append((SET_COMMENT, {"comment": comment}))
    for privilege, grantee, option in rows(shadow.editor, GRANTS, *names):
        found.append((GRANT, {"privilege": privilege, "grantee": grantee, "option": option}))
    return found
