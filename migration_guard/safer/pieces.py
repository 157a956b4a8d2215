"""The pieces that an operation becomes, and what is known when it is taken apart."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from django.db.migrations.operations.base import Operation
from django.db.migrations.serializer import serializer_factory
from django.db.migrations.state import ProjectState
from django.db.models import Model

from migration_guard.operations.columns import field_of


class Place(Enum):
    """Where a piece goes: how it stands to the transaction of the pieces before it."""

    WITH_OTHERS = auto()
    # A migration of its own, in a transaction or in none.
    ALONE = auto()
    OUTSIDE = auto()
    # One migration at the end, with all that only looks at rows.
    AT_THE_END = auto()


@dataclass(frozen=True)
class Piece:
    """Operations that belong into one file; `what`, or else what they are about, names it where it is not the first."""

    operations: Sequence[Operation]
    place: Place
    what: str = ""
    comment: str = ""
    serves_previous_release: bool | None = None

    @classmethod
    def plain(cls, operation: Operation) -> "Piece":
        return cls([operation], Place.WITH_OTHERS)

    @classmethod
    def outside(cls, operation: Operation, what: str) -> "Piece":
        return cls([operation], Place.OUTSIDE, what)

    @classmethod
    def validation(cls, operation: Operation) -> "Piece":
        return cls([operation], Place.AT_THE_END, "validate")


@dataclass
class Tables:
    """What is known of the tables: those without a row, by app and model, and the partitioned ones, by name."""

    new: set[tuple[str, str]] = field(default_factory=set)
    partitioned: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Scene:
    """The moment before an operation of the autodetector's: the state, the tables, and the operations after it."""

    app_label: str
    before: ProjectState
    tables: Tables
    following: Sequence[Operation] = ()

    def after(self, operation: Operation) -> ProjectState:
        state = self.before.clone()
        operation.state_forwards(self.app_label, state)
        return state

    def model(self, name: str) -> type[Model]:
        return self.before.apps.get_model(self.app_label, name)

    def model_after(self, operation: Operation, name: str) -> type[Model]:
        return self.after(operation).apps.get_model(self.app_label, name)

    def field(self, model_name: str, name: str) -> Any:
        return field_of(self.model(model_name), name)

    def is_in_use(self, model_name: str) -> bool:
        """Whether the model has a table that may have rows."""
        options = self.model(model_name)._meta
        return options.managed and not options.proxy and (self.app_label, model_name.lower()) not in self.tables.new

    def is_partitioned(self, model_name: str) -> bool:
        return self.model(model_name)._meta.db_table in self.tables.partitioned


def written(value: object) -> str:
    """As a migration file would have it; equal for equal fields, which do not compare."""
    text, _ = serializer_factory(value).serialize()
    return str(text)
