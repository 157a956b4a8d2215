"""Delivering the project's own rows, once each: what a person changed, renamed or deleted since stays so."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core import serializers
from django.core.exceptions import ObjectDoesNotExist
from django.core.serializers.base import DeserializationError, DeserializedObject
from django.db import transaction

from trader.models import LoadedFixture

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FixtureRow:
    """One entry of a fixture file, known by its model's label and its natural key."""

    model: str
    natural_key: tuple[str, ...]
    entry: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.model} {', '.join(self.natural_key)}"


def deliver_fixtures(*, folders: Sequence[Path], now: datetime) -> int:
    """Insert the rows that were never delivered to this database, in one transaction; return how many.

    Files are read folder by folder, in the order of their names. A row that somebody made already under the same key
    is left as it is and counts as delivered. One whose reference is gone is logged, and tried again next time.
    """
    rows = [row for folder in folders for path in sorted(folder.glob("*.json")) for row in _read(path)]
    delivered = {(model, tuple(key)) for model, key in LoadedFixture.objects.values_list("model", "natural_key")}
    new = [row for row in rows if (row.model, row.natural_key) not in delivered]
    if not new:
        return 0
    with transaction.atomic():
        known = [row for row in new if _insert(row)]
        LoadedFixture.objects.bulk_create(
            LoadedFixture(model=row.model, natural_key=list(row.natural_key), loaded_at=now) for row in known
        )
    return len(known)


def _read(path: Path) -> list[FixtureRow]:
    return [
        FixtureRow(entry["model"], _natural_key(entry), entry) for entry in json.loads(path.read_text(encoding="utf-8"))
    ]


def _natural_key(entry: dict[str, Any]) -> tuple[str, ...]:
    """The natural key as it stands in the file, with the keys of references flattened into it."""
    names = apps.get_model(entry["model"])._default_manager.natural_key_fields
    values = [entry["fields"][name] for name in names]
    return tuple(part for value in values for part in (value if isinstance(value, list) else [value]))


def _insert(row: FixtureRow) -> bool:
    """Whether the row is in the table now; it is not when something that it refers to is missing."""
    try:
        deserialized: DeserializedObject = next(iter(serializers.deserialize("python", [row.entry])))
    except DeserializationError as error:
        if not isinstance(error.__context__, ObjectDoesNotExist):
            raise
        log.warning("fixture skipped: %s refers to something that is not there: %s", row, row.entry["fields"])
        return False
    if deserialized.object.pk is None:
        deserialized.save()
    return True
