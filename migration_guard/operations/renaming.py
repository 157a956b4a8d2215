"""Renaming a model while the release that knows its old name is at work."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RenameModel
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.operations.editing import rows, run

CREATE_VIEW = "CREATE VIEW {view} WITH (security_invoker = true) AS SELECT {columns} FROM {table}"
DROP_VIEW = "DROP VIEW IF EXISTS {view}"
COLUMNS = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
GRANTS = """
    WITH acl AS (
        SELECT NULL::name AS attname, aclexplode(relacl) AS entry, relowner FROM pg_class
        WHERE oid = to_regclass(%(table)s)
        UNION ALL
        SELECT attname, aclexplode(attacl), relowner FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped
    )
    SELECT attname, (entry).privilege_type,
        CASE (entry).grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid((entry).grantee)) END,
        CASE WHEN (entry).is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM acl WHERE (entry).grantee <> relowner
"""
GRANT = "GRANT {privilege}{columns} ON {view} TO {grantee}{option}"
OWNER = """
    SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class
    WHERE oid = to_regclass(%s) AND pg_get_userbyid(relowner) <> current_user
"""
SET_OWNER = "ALTER VIEW {view} OWNER TO {owner}"


@dataclass(frozen=True)
class RenamedTable:
    """A table under its old and its new name, and its columns: those of the old model, each with its new name."""

    old: str
    new: str
    columns: tuple[tuple[str, str], ...]

    @property
    def has_new_name(self) -> bool:
        return self.old != self.new

    def new_column(self, old: str) -> str:
        return dict(self.columns).get(old, old)


class RenameModelKeepingView(RenameModel):
    """RenameModel, and a view under each table's old name, with the columns' old names, in the same transaction.

    The previous release reads and writes through the views as before: INSERT with RETURNING and ON CONFLICT, UPDATE,
    DELETE, SELECT FOR UPDATE. They run with the rights of who asks (grants and row security of the table hold). Only
    TRUNCATE, COPY FROM and LOCK TABLE of the old name fail. DropOldNameView ends it.

    Where no table's name changes, this is RenameModel. A table that keeps its name while a column of it is renamed, the
    many-to-many table of another model or of a model with a db_table, has no old name to put a view under: see
    tables_without_view. As long as the views are there, PostgreSQL refuses to drop a column of the tables or to change
    its type.
    """

    def contraction(self, state: ProjectState) -> "DropOldNameView":
        return DropOldNameView(self.old_name, self.new_name)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        new_model = to_state.apps.get_model(app_label, self.new_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, new_model):
            return
        # While the views' names are still the tables'.
        views = [
            OldNameView.of(schema_editor, table, there_as=table.old)
            for table in renamed_tables(from_state.apps.get_model(app_label, self.old_name), new_model)
        ]
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        for view in views:
            view.create(schema_editor)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        new_model = from_state.apps.get_model(app_label, self.new_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, new_model):
            return
        old_model = to_state.apps.get_model(app_label, self.old_name)
        for table in renamed_tables(old_model, new_model):
            run(schema_editor, DROP_VIEW, view=schema_editor.quote_name(table.old))
        # RenameModel's way back calls the way there, which is another one here.
        plain = RenameModel(self.old_name, self.new_name)
        plain.database_backwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"Rename model {self.old_name} to {self.new_name}, with a view under the old name"

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        if isinstance(operation, DropOldNameView) and operation.names == (self.old_name, self.new_name):
            return [RenameModel(self.old_name, self.new_name)]
        # Not into one renaming with a later one: the views belong to this one.
        return not operation.references_model(self.new_name, app_label)


class DropOldNameView(Operation):
    """The step after RenameModelKeepingView, for when no release asks for the old name any more.

    To undo it brings the views back. It comes before the model gets another name or goes away.
    """

    category = OperationCategory.REMOVAL

    def __init__(self, old_name: str, new_name: str) -> None:
        self.old_name = old_name
        self.new_name = new_name

    @property
    def names(self) -> tuple[str, str]:
        return self.old_name, self.new_name

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return type(self).__qualname__, [], {"old_name": self.old_name, "new_name": self.new_name}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The view is in no state."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for table in self._tables(app_label, schema_editor, to_state):
            run(schema_editor, DROP_VIEW, view=schema_editor.quote_name(table.old))

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for table in self._tables(app_label, schema_editor, to_state):
            OldNameView.of(schema_editor, table, there_as=table.new).create(schema_editor)

    def _tables(self, app_label: str, editor: BaseDatabaseSchemaEditor, state: ProjectState) -> Iterator[RenamedTable]:
        new_model = state.apps.get_model(app_label, self.new_name)
        if self.allow_migrate_model(editor.connection.alias, new_model):
            before = state.clone()
            before.rename_model(app_label, self.new_name, self.old_name)
            yield from renamed_tables(before.apps.get_model(app_label, self.old_name), new_model)

    def references_model(self, name: str, app_label: str) -> bool:
        return name.lower() in {self.old_name.lower(), self.new_name.lower()}

    def describe(self) -> str:
        return f"Drop the view under the old name of model {self.new_name}, {self.old_name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"drop_old_name_{self.old_name.lower()}"


@dataclass(frozen=True)
class OldNameView:
    """The view under a table's old name, with what it takes over from the table: columns, owner and grants."""

    table: RenamedTable
    columns: tuple[str, ...]
    owner: str | None
    grants: tuple[tuple[str | None, str, str, str], ...]

    @classmethod
    def of(cls, editor: BaseDatabaseSchemaEditor, table: RenamedTable, *, there_as: str) -> "OldNameView":
        """Read from the catalog, where the table has its old or its new name by now."""
        name = editor.quote_name(there_as)
        old_names = {new: old for old, new in table.columns} if there_as == table.new else {}
        # Columns that no model knows, as one that a later migration is to drop, serve the previous release as well.
        columns = [old_names.get(column, column) for (column,) in rows(editor, COLUMNS, name)]
        with editor.connection.cursor() as cursor:
            cursor.execute(GRANTS, {"table": name})
            grants = [(column and old_names.get(column, column), *rest) for column, *rest in cursor.fetchall()]
        owner = rows(editor, OWNER, name)
        # Collected SQL may be about a table that is not there yet.
        known = [old for old, _ in table.columns]
        return cls(table, tuple(columns or known), owner[0][0] if owner else None, tuple(grants))

    def create(self, editor: BaseDatabaseSchemaEditor) -> None:
        quote = editor.quote_name
        view = quote(self.table.old)
        columns = ", ".join(self._column(editor, column) for column in self.columns)
        run(editor, CREATE_VIEW, view=view, columns=columns, table=quote(self.table.new))
        for column, privilege, grantee, option in self.grants:
            listed = f" ({quote(column)})" if column else ""
            run(editor, GRANT, privilege=privilege, columns=listed, view=view, grantee=grantee, option=option)
        if self.owner:
            run(editor, SET_OWNER, view=view, owner=self.owner)

    def _column(self, editor: BaseDatabaseSchemaEditor, old: str) -> str:
        new = self.table.new_column(old)
        quote = editor.quote_name
        return quote(old) if new == old else f"{quote(new)} AS {quote(old)}"


def renamed_tables(old_model: type[Model], new_model: type[Model]) -> list[RenamedTable]:
    """The tables that get another name with the model: its own, and those of its many-to-many fields."""
    return [table for table in _touched_tables(old_model, new_model) if table.has_new_name]


def tables_without_view(old_model: type[Model], new_model: type[Model]) -> list[str]:
    """The tables whose columns are renamed under the previous release, which no view can keep for it."""
    return [
        table.old
        for table in _touched_tables(old_model, new_model)
        if not table.has_new_name and any(old != new for old, new in table.columns)
    ]


def _touched_tables(old_model: type[Model], new_model: type[Model]) -> Iterator[RenamedTable]:
    yield _renamed(old_model, new_model)
    for old_field in _many_to_many(old_model):
        owner = new_model if old_field.model is old_model else _same_model(old_field.model, new_model)
        new_field: Any = owner._meta.get_field(old_field.name)
        yield _renamed(old_field.remote_field.through, new_field.remote_field.through)


def _many_to_many(model: type[Model]) -> Iterator[Any]:
    """The fields with a table of Django's own making, of the model itself and of others that lead to it."""
    own = list(model._meta.local_many_to_many)
    others = [relation.field for relation in model._meta.related_objects if relation.many_to_many]
    # A field that leads to its own model is in both.
    fields: list[Any] = list(dict.fromkeys([*own, *others]))
    for field in fields:
        if field.remote_field.through._meta.auto_created and field.remote_field.through._meta.managed:
            yield field


def _same_model(model: type[Model], other: type[Model]) -> type[Model]:
    """The model in the state of the other one."""
    return other._meta.apps.get_model(model._meta.app_label, model._meta.model_name)


def _renamed(old_model: type[Model], new_model: type[Model]) -> RenamedTable:
    """Fields that are in both are in the same order: renaming a model moves none."""
    fields = zip(old_model._meta.local_concrete_fields, new_model._meta.local_concrete_fields, strict=True)
    columns = tuple((str(old.column), str(new.column)) for old, new in fields)
    return RenamedTable(old_model._meta.db_table, new_model._meta.db_table, columns)
