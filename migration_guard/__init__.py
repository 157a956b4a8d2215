"""Migrations that are reviewed, applied one at a time, undone and remembered, for Django on PostgreSQL."""

from migration_guard.connections import UnfitSession
from migration_guard.turns import turn

__all__ = ["UnfitSession", "turn"]
