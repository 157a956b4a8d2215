"""All examples beside those of docs/findings.md."""

from tests.migration_guard.findings.of_schema import COLUMNS, CONSTRAINTS, INDEXES, OBJECTS
from tests.migration_guard.findings.of_the_rest import GUARD, PYTHON, ROWS, SILENCES, SQL

FURTHER = [*INDEXES, *CONSTRAINTS, *COLUMNS, *OBJECTS, *ROWS, *SQL, *PYTHON, *SILENCES, *GUARD]
