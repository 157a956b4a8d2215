"""Writing a value into every row of a table in use, a batch at a time."""

import time
from typing import Any

from migration_guard.operations.retyping.shadow import Shadow

BATCH_SECONDS = 0.02
FIRST_BATCH_ROWS = 500
LARGEST_BATCH_ROWS = 5_000
FIRST_BOUND = "SELECT {key} FROM {table} ORDER BY {key} OFFSET %s LIMIT 1"
NEXT_BOUND = "SELECT {key} FROM {table} WHERE {key} > %s ORDER BY {key} OFFSET %s LIMIT 1"
FILL = "UPDATE {table} SET {shadow} = {value} WHERE {range} AND {shadow} IS DISTINCT FROM {value}"


class Filling:
    """Makes the shadow equal to its column in the rows of before the trigger, from the first primary key to the last.

    Each batch is a statement that commits by itself and takes about BATCH_SECONDS, so that nobody waits longer for one
    of its rows. A new run asks all rows again and writes those that differ.
    """

    def __init__(self, shadow: Shadow, key: str) -> None:
        self.connection = shadow.editor.connection
        self.parts = {**shadow.parts, "key": shadow.editor.quote_name(key)}
        self.batch_rows = FIRST_BATCH_ROWS

    def run(self) -> None:
        last: Any = None
        while True:
            began = time.monotonic()
            bound = self._bound(last)
            self._fill(last, bound)
            if bound is None:
                return
            last = bound
            self._adapt(time.monotonic() - began)

    def _bound(self, last: Any) -> Any:
        """The last key of the next batch; None where the rest is smaller. New rows are the trigger's."""
        query, given = (FIRST_BOUND, []) if last is None else (NEXT_BOUND, [last])
        with self.connection.cursor() as cursor:
            cursor.execute(self._compose(query), [*given, self.batch_rows - 1])
            found = cursor.fetchone()
            return found[0] if found else None

    def _fill(self, last: Any, bound: Any) -> None:
        limits = [(f"{self.parts['key']} > %s", last), (f"{self.parts['key']} <= %s", bound)]
        given = [(text, value) for text, value in limits if value is not None]
        within = " AND ".join(text for text, _ in given) or "true"
        with self.connection.cursor() as cursor:
            cursor.execute(self._compose(FILL, range=within), [value for _, value in given])

    def _adapt(self, seconds: float) -> None:
        """At most twice and at least half as many rows as before, so that one odd batch does not decide."""
        factor = min(2.0, max(0.5, BATCH_SECONDS / max(seconds, 0.001)))
        self.batch_rows = min(LARGEST_BATCH_ROWS, max(1, int(self.batch_rows * factor)))

    def _compose(self, template: str, **more: str) -> str:
        return template.format(**{name: part.replace("%", "%%") for name, part in self.parts.items()}, **more)
