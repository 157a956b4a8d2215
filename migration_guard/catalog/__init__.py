"""The schema of a database, read from PostgreSQL's catalog in a form that compares, and how two of them differ."""

from migration_guard.catalog.comparing import Difference, differences
from migration_guard.catalog.objects import Catalog, CatalogObject, read

__all__ = ["Catalog", "CatalogObject", "Difference", "differences", "read"]
