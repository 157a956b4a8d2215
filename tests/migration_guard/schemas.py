"""The schema of a project's database in a form that compares: by name, without the order of columns."""

from collections.abc import Iterable

from tests.migration_guard.stranger import Stranger

COLUMNS = """
    SELECT 'column', relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text,
        attgenerated::text, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
"""
CONSTRAINTS = """
    SELECT 'constraint', relname, conname, contype::text, convalidated, pg_get_constraintdef(pg_constraint.oid)
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE relnamespace = 'public'::regnamespace AND contype <> 'n'
"""
INDEXES = """
    SELECT 'index', indrelid::regclass::text, relname, indisvalid, indisready, indimmediate,
        pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace
"""
OTHERS = """
    SELECT 'relation', relname, relkind::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
    UNION ALL
    SELECT 'trigger', tgrelid::regclass::text, tgname::text FROM pg_trigger WHERE NOT tgisinternal
"""
# The tables of the frameworks, which are of no migration.
OWN = ("django_", "migration_guard_")

Schema = set[tuple[object, ...]]


def schema_of(project: Stranger) -> Schema:
    """Columns, constraints with their validity, indexes, relations and triggers, each as a row that tells all of it."""
    rows = (row for query in (COLUMNS, CONSTRAINTS, INDEXES, OTHERS) for row in project.sql(query))
    return {row for row in rows if not str(row[1]).startswith(OWN)}


def difference(one: Iterable[tuple[object, ...]], other: Iterable[tuple[object, ...]]) -> list[str]:
    """What only one of two schemas has, for the message of a failed test."""
    first, second = set(one), set(other)
    return sorted([f"- {row}" for row in first - second] + [f"+ {row}" for row in second - first])
