"""Which tables a migration will touch, for one that cannot be tried in a transaction that is rolled back."""

from collections.abc import Collection

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.state import ProjectState

from migration_guard.review.collecting import LeanState, collect
from migration_guard.review.offline import offline
from migration_guard.review.syntax import ParserMissing, parse


def predicted_tables(
    migration: Migration, state: ProjectState, connection: BaseDatabaseWrapper, known: Collection[str]
) -> set[str]:
    """Of the known tables those that its SQL names, and those of its app's models where it runs code.

    Without the parser, as in an image, they stand for all. `state` is the one before it.
    """
    models = {key: model.clone() for key, model in state.models.items()}
    lean = LeanState(models, real_apps=state.real_apps)
    works = collect(migration, lean, offline(connection))
    try:
        parsed = parse([script for work in works for script in work.scripts])
    except ParserMissing:
        parsed = None
    named = {name for statements in parsed or [] for each in statements for name in each.node.identifiers()}
    if parsed is None or any(work.code or work.unseen for work in works):
        own = [model for key, model in state.apps.all_models[migration.app_label].items() if key]
        named |= {model._meta.db_table for model in own}
    return named & set(known)
