"""The rules, by what they are about. To import this package is to declare them all."""

from migration_guard.review.rules import columns, constraints, data, indexes, objects, operations, scripts, tables

__all__ = ["columns", "constraints", "data", "indexes", "objects", "operations", "scripts", "tables"]
