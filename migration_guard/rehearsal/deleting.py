"""A row deleted as Django deletes it, with what goes with it, and without the signals that others listen to."""

from typing import Any

from django.db import models
from django.db.models.deletion import Collector
from django.db.models.sql import DeleteQuery, UpdateQuery

from migration_guard.rehearsal.attempts import RowIsGone

MOST_ROWS = 1000


class Following(Collector):
    """Collects what goes with rows; where it is `cautious`, unless that is too much to be deleted for a trial."""

    def __init__(self, using: str, *, cautious: bool) -> None:
        super().__init__(using)
        self._is_cautious = cautious

    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> Any:
        found = super().related_objects(related_model, related_fields, objs)
        if self._is_cautious and len(found.order_by().values_list("pk")[: MOST_ROWS + 1]) > MOST_ROWS:
            raise RowIsGone(f"more than {MOST_ROWS:,} rows of {related_model._meta.db_table} go with each row")
        return found

    def _has_signal_listeners(self, model: Any) -> bool:
        return False


def delete(instances: list[models.Model], alias: str, *, cautious: bool) -> None:
    """Delete rows of one model; raises RowIsGone where it is `cautious` and more goes with them than it is worth."""
    collector: Any = Following(alias, cautious=cautious)
    collector.collect(instances)
    collector.sort()
    for rows in collector.fast_deletes:
        rows._raw_delete(using=alias)
    for (field, value), collected in collector.field_updates.items():
        for each in collected:
            UpdateQuery(field.model).update_batch([instance.pk for instance in each], {field.name: value}, alias)
    for model, found in collector.data.items():
        DeleteQuery(model).delete_batch([instance.pk for instance in reversed(list(found))], alias)
