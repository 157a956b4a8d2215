"""The copying is never in anybody's way: where a session of the source waits for it, it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import another_session, rows

LOOK_EVERY_SECONDS = 0.05
# Sessions that wait for a lock of the copying's.
WAITING = """
    SELECT waiting.pid, coalesce(waiting.application_name, ''), coalesce(left(waiting.query, 200), '(hidden)')
    FROM pg_stat_activity waiting
    WHERE waiting.wait_event_type = 'Lock' AND waiting.datname = current_database() AND EXISTS (
        SELECT FROM pg_stat_activity ours
        WHERE ours.application_name = %s AND ours.pid = ANY (pg_blocking_pids(waiting.pid))
    )
"""
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND usename = current_user"


class InTheWay(Exception):
    """A session of the source waited for the copying, which was ended for that."""


@contextmanager
def not_in_the_way(live: BaseDatabaseWrapper, purpose: str) -> Iterator[None]:
    """For the block, in which the source is read by sessions of that purpose. Raises InTheWay at its end."""
    watch = _Watch(live, purpose)
    watch.thread.start()
    try:
        yield
    except Exception as error:
        if watch.found:
            raise InTheWay(watch.found) from error
        raise
    finally:
        watch.stopped.set()
        watch.thread.join()


class _Watch:
    def __init__(self, live: BaseDatabaseWrapper, purpose: str) -> None:
        self.found = ""
        self.stopped = Event()
        self.thread = Thread(target=self._look, daemon=True)
        self._name = f"migration_guard {purpose}"
        self._session = another_session(live, "rehearsal watcher")

    def _look(self) -> None:
        try:
            while not self.stopped.wait(LOOK_EVERY_SECONDS):
                if waiting := rows(self._session, WAITING, [self._name]):
                    pid, application, query = waiting[0]
                    self.found = f"server process {pid} ({application or '-'}) waited for the copying with: {query}"
                    rows(self._session, END, [self._name])
        except DatabaseError:
            # Without this session nobody looks; the copying's own timeouts still hold.
            return
        finally:
            self._session.close()
