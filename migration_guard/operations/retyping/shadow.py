"""A column of another type beside the one it is to replace, kept equal to it by a trigger."""

from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import names_digest
from django.db.models import Model

from migration_guard.operations.editing import compose, rows, run

LONGEST_NAME_BYTES = 63
ADD_COLUMN = "ALTER TABLE {table} ADD COLUMN {shadow} {type}"
DROP_COLUMN = "ALTER TABLE {table} DROP COLUMN IF EXISTS {shadow}"
# What a cast between texts and times depends on is that of the session that migrates, whoever writes the row.
CREATE_FUNCTION = """
    CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
    SET timezone FROM CURRENT SET datestyle FROM CURRENT SET intervalstyle FROM CURRENT
    AS $$BEGIN NEW.{shadow} := {new_value}; RETURN NEW; END$$
"""
CREATE_TRIGGER = """
    CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()
"""
DROP_TRIGGER = "DROP TRIGGER IF EXISTS {trigger} ON {table}"
DROP_FUNCTION = "DROP FUNCTION IF EXISTS {function}()"
REWRITE = "ALTER TABLE {table} ALTER COLUMN {shadow} TYPE {type} USING {value}"
DIFFERS = "SELECT FROM {table} WHERE {shadow} IS DISTINCT FROM {value} LIMIT 1"
# Each object that uses the column, but for the column's default, and for indexes and rules that the steps build again.
DEPENDENTS = """
    SELECT pg_describe_object(classid, objid, objsubid)
    FROM pg_depend
    JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
    LEFT JOIN pg_constraint ON classid = 'pg_constraint'::regclass AND pg_constraint.oid = objid
    LEFT JOIN pg_index ON classid = 'pg_class'::regclass AND indexrelid = objid
    WHERE refclassid = 'pg_class'::regclass AND attrelid = to_regclass(%(table)s) AND attname = %(column)s
        AND NOT (classid = 'pg_attrdef'::regclass AND attgenerated = ''
            AND objid = (SELECT oid FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))
        AND NOT (conrelid IS NOT DISTINCT FROM attrelid
            AND (contype IN ('c', 'n') OR contype = 'u' AND NOT condeferrable))
        AND indrelid IS DISTINCT FROM attrelid
    UNION ALL
    SELECT format('index %%s, %%s', indexrelid::regclass, CASE
        WHEN indisreplident THEN 'the replica identity'
        WHEN indisclustered THEN 'which the table is clustered on'
        WHEN reltablespace <> 0 THEN 'in a tablespace of its own'
        ELSE 'which is INVALID' END)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    JOIN pg_attribute ON attrelid = indrelid AND attname = %(column)s AND attnum = ANY (indkey)
    WHERE indrelid = to_regclass(%(table)s)
        AND (indisreplident OR indisclustered OR reltablespace <> 0 OR NOT indisvalid)
    UNION ALL
    SELECT format('trigger %%s, which filling the new column would fire', tgname) FROM pg_trigger
    WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal AND tgenabled <> 'D'
        AND tgtype & 16 <> 0 AND tgname <> %(trigger)s
    UNION ALL
    SELECT 'its partitions or heirs' FROM pg_class
    WHERE oid = to_regclass(%(table)s) AND (relkind <> 'r' OR relispartition OR relhassubclass)
    UNION ALL
    SELECT 'its row security, which hides rows from the user that migrates' FROM pg_class
    WHERE oid = to_regclass(%(table)s) AND row_security_active(oid)
    ORDER BY 1
"""


class ColumnInUse(CommandError):
    """Something uses the column that these steps would lose, or would set off."""


class NotFilled(CommandError):
    """The new column is not equal to the old one, whose values the swap would lose."""


@dataclass(frozen=True)
class Shadow:
    """The two columns of one field, by their names and types."""

    editor: BaseDatabaseSchemaEditor
    table: str
    column: str
    column_type: str
    # Whether Django's plain form casts explicitly.
    has_cast: bool

    @classmethod
    def of(cls, editor: BaseDatabaseSchemaEditor, model: type[Model], name: str, old: Any, new: Any) -> "Shadow":
        """`old` is a field of the model, `new` one of the same name, of any model or of none."""
        any_editor: Any = editor
        bound = new.clone()
        bound.set_attributes_from_name(name)
        bound.model = model
        parameters = bound.db_parameters(editor.connection)
        collation = any_editor._collate_sql(parameters.get("collation"))
        has_cast = bool(any_editor._using_sql(bound, old))
        return cls(editor, model._meta.db_table, old.column, f"{parameters['type']} {collation}".strip(), has_cast)

    @property
    def name(self) -> str:
        return other_name(self.column)

    @property
    def trigger(self) -> str:
        # Triggers fire in the order of their names: what others make of the value is to be copied too.
        return f"zz_retype_{self._digest}"

    @property
    def _digest(self) -> str:
        return names_digest(self.table, self.column, length=8)

    @property
    def parts(self) -> dict[str, str]:
        quote = self.editor.quote_name
        cast = f"::{self.column_type.partition(' COLLATE')[0]}" if self.has_cast else ""
        return {
            "table": quote(self.table),
            "column": quote(self.column),
            "shadow": quote(self.name),
            "type": self.column_type,
            "trigger": quote(self.trigger),
            "function": quote(f"retype_{self._digest}"),
            "value": f"{quote(self.column)}{cast}",
            "new_value": f"NEW.{quote(self.column)}{cast}",
        }

    def add(self) -> None:
        run(self.editor, ADD_COLUMN, **self.parts)

    def keep_equal(self) -> None:
        run(self.editor, CREATE_FUNCTION, **self.parts)
        run(self.editor, CREATE_TRIGGER, **self.parts)

    def fill_at_once(self) -> None:
        """Fill the column for all rows, by writing the table anew: no trigger fires."""
        run(self.editor, REWRITE, **self.parts)

    def let_go(self) -> None:
        run(self.editor, DROP_TRIGGER, **self.parts)
        run(self.editor, DROP_FUNCTION, **self.parts)

    def drop(self) -> None:
        self.let_go()
        run(self.editor, DROP_COLUMN, **self.parts)

    def refuse_other_users(self) -> None:
        """Raise ColumnInUse where the catalog knows of something that the steps cannot take along."""
        if self.editor.collect_sql:
            return
        names = {"table": self.editor.quote_name(self.table), "column": self.column, "trigger": self.trigger}
        with self.editor.connection.cursor() as cursor:
            cursor.execute(DEPENDENTS, names)
            found = [str(name) for (name,) in cursor.fetchall()]
        if found:
            raise ColumnInUse(
                f"The type of {self.table}.{self.column} cannot be changed in steps, because of {'; '.join(found)}. "
                "Nothing was changed. Take that away first, or write migrations.AlterField in the place of the four "
                "operations from AddShadowColumn to SwapShadowColumn.",
                returncode=2,
            )

    def require_filled(self) -> None:
        """Raise NotFilled where a row has another value, as one that was written while triggers were switched off."""
        if rows(self.editor, compose(DIFFERS, **self.parts).replace("%", "%%")):
            raise NotFilled(
                f"{self.table} has rows whose {self.name} is not their {self.column}: they were written past the "
                "trigger. Nothing was changed. Undo the migration with FillShadowColumn and apply it again.",
                returncode=2,
            )


def other_name(name: str, suffix: str = "_retyped") -> str:
    """The name that stands for this one until the swap, as long as PostgreSQL lets a name be."""
    if len(f"{name}{suffix}".encode()) <= LONGEST_NAME_BYTES:
        return f"{name}{suffix}"
    suffix = f"_{names_digest(name, length=8)}{suffix}"
    return name.encode()[: LONGEST_NAME_BYTES - len(suffix)].decode(errors="ignore") + suffix
