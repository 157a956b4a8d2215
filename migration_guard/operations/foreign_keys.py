"""A column in use that becomes a foreign key."""

from typing import Any

from django.db import connection as default_connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.operations.base import InSteps
from migration_guard.operations.editing import (
    build_field_index,
    has_constraint,
    is_partitioned,
    require_no_transaction,
)
from migration_guard.operations.validating import ValidateConstraintOfField

# The name that Django gives the constraint of a field.
SUFFIX = "_fk_%(to_table)s_%(to_column)s"
VALIDATE = "ALTER TABLE {table} VALIDATE CONSTRAINT {name}"
# The first release whose partitioned tables take a foreign key that is not validated.
NOT_VALID_ON_PARTITIONED = 180000


class NotAForeignKeyAlone(ValueError):
    """The change of the field needs more of the database than a constraint and an index."""


class AlterFieldForeignKeyNotValid(InSteps, AlterField):
    """AlterField that makes a foreign key of a column, with its index built concurrently and the constraint NOT VALID.

    New rows are checked from then on; ValidateForeignKey looks at the old ones, in a later migration. For a column of
    the same name and type only: see can_do. A partitioned table gets its index and, before PostgreSQL 18, its
    constraint as AlterField makes them. The way back is AlterField's, a statement at a time.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        require_no_transaction(schema_editor, self)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        old = from_state.apps.get_model(app_label, self.model_name)._meta.get_field(self.name)
        new = model._meta.get_field(self.name)
        require_can_do(old, new, schema_editor.connection)
        if not old.db_index and not old.unique:
            add_indexes(schema_editor, model, new)
        add_foreign_key(schema_editor, model, new)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        AlterField.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"Make field {self.name} on {self.model_name} a foreign key that is not validated yet"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name_lower}_{self.name_lower}_foreign_key"


class ValidateForeignKey(ValidateConstraintOfField):
    """Validate the constraint of a foreign key, under locks that readers and writers do not meet.

    Rows that lead nowhere fail it; it changes nothing then.
    """

    kind = "foreign key"

    def constraint_name(self, editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> str:
        return str(constraint_name(editor, model, field))


def can_do(old_field: Any, new_field: Any, connection: BaseDatabaseWrapper | None = None) -> bool:
    """Whether AlterFieldForeignKeyNotValid can make the one of the other; both are fields of models of a state."""
    return obstacle(old_field, new_field, connection) is None


def require_can_do(old: Any, new: Any, connection: BaseDatabaseWrapper) -> None:
    found = obstacle(old, new, connection)
    if found:
        raise NotAForeignKeyAlone(
            f"{new.model._meta.label}.{new.name} {found}, so that AlterFieldForeignKeyNotValid cannot make a foreign "
            "key of it. Change that in a migration before, or use migrations.AlterField."
        )


def obstacle(old: Any, new: Any, connection: BaseDatabaseWrapper | None = None) -> str | None:
    """Why not, as the end of a sentence about the field; None where nothing is in the way."""
    if not new.many_to_one and not new.one_to_one:
        return "is no foreign key"
    if not new.db_constraint:
        return "has db_constraint=False"
    if old.remote_field and (old.many_to_many or old.db_constraint):
        return "is a relation with a constraint already"
    if old.column != new.column:
        return f"renames its column {old.column} to {new.column} (db_column={old.column!r} keeps it)"
    return _change_of_column(old, new, connection or default_connection)


def _change_of_column(old: Any, new: Any, connection: BaseDatabaseWrapper) -> str | None:
    types = [field.db_type(connection) for field in (old, new)]
    collations = [field.db_parameters(connection).get("collation") for field in (old, new)]
    if types[0] != types[1] or collations[0] != collations[1]:
        return f"changes its type from {types[0]} to {types[1]}"
    if old.db_check(connection) != new.db_check(connection):
        return f"loses the check {old.db_check(connection)}"
    if old.primary_key or new.primary_key or old.unique != new.unique:
        return "changes its primary key or uniqueness"
    if old.db_index and not new.db_index:
        return "loses its index"
    if old.null != new.null:
        return f"becomes {'NULL' if new.null else 'NOT NULL'}"
    differs = old._db_default_expression != new._db_default_expression or old.db_comment != new.db_comment
    return "changes its db_default or db_comment" if differs else None


def add_indexes(editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> None:
    """Build the indexes that Django makes for the field."""
    any_editor: Any = editor
    partitioned = is_partitioned(editor, model._meta.db_table)
    for statement in any_editor._field_indexes_sql(model, field):
        build_field_index(editor, statement, partitioned=partitioned)


def add_foreign_key(editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> None:
    any_editor: Any = editor
    table = model._meta.db_table
    name = str(constraint_name(editor, model, field))
    if has_constraint(editor, table, name.strip('"')):
        return
    validated = any_editor.connection.pg_version < NOT_VALID_ON_PARTITIONED and is_partitioned(editor, table)
    statement = str(any_editor._create_fk_sql(model, field, SUFFIX))
    editor.execute(statement if validated else f"{statement} NOT VALID", params=None)


def constraint_name(editor: BaseDatabaseSchemaEditor, model: type[Model], field: Any) -> Any:
    """Django's name of the field's constraint, quoted."""
    any_editor: Any = editor
    return any_editor._fk_constraint_name(model, field, SUFFIX)
