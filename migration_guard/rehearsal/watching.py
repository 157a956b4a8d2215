"""The copying is never in anybody's way: where a session of the source waits for it, or it for one, it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import another_session, rows

LOOK_EVERY_SECONDS = 0.05
# Sessions that wait for a lock of the copying's. Of other roles pg_stat_activity may hide that; pg_locks does not.
WAITING = """
    SELECT waiting.pid, coalesce(nullif(application_name, ''), '-'), coalesce(left(query, 200), '(hidden)')
    FROM (SELECT DISTINCT pid FROM pg_locks WHERE NOT granted) waiting JOIN pg_stat_activity USING (pid)
    WHERE EXISTS (
        SELECT FROM pg_stat_activity ours
        WHERE ours.application_name = %s AND ours.pid = ANY (pg_blocking_pids(waiting.pid))
    )
"""
# Whom the copying has waited for longer than a moment.
BLOCKING = """
    SELECT coalesce(relation::regclass::text, locktype), blocker, coalesce(nullif(theirs.application_name, ''), '-'),
        coalesce(left(theirs.query, 200), '(hidden)')
    FROM pg_locks JOIN pg_stat_activity ours USING (pid) CROSS JOIN unnest(pg_blocking_pids(pid)) blocker
    LEFT JOIN pg_stat_activity theirs ON theirs.pid = blocker
    WHERE NOT granted AND ours.application_name = %s AND waitstart < clock_timestamp() - interval '1 second'
"""
END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = %s AND usename = session_user AND datname = current_database()
"""


class InTheWay(Exception):
    """A session of the source waited for the copying, or it for one, and the copying was ended for that."""


class Unwatched(Exception):
    """The session that looks whether the copying is in the way has ended."""


@contextmanager
def not_in_the_way(live: BaseDatabaseWrapper, purpose: str) -> Iterator[Callable[[], None]]:
    """For the block, in which the source is read by sessions of that purpose. Raises InTheWay at its end.

    Gives what the block has to call now and then, which raises Unwatched where nobody looks any more.
    """
    watch = _Watch(live, purpose)
    watch.thread.start()
    try:
        yield watch.require_sight
    except Exception as error:
        watch.stop()
        if watch.found:
            raise InTheWay(watch.found) from error
        raise
    finally:
        watch.stop()


class _Watch:
    def __init__(self, live: BaseDatabaseWrapper, purpose: str) -> None:
        self.found = ""
        self.thread = Thread(target=self._look, name="migration_guard copying watcher", daemon=True)
        self._stopped = Event()
        self._failed: Error | None = None
        self._name = f"migration_guard {purpose}"
        self._session = another_session(live, "rehearsal watcher")
        # An assumed role may see less of the sessions of the role that has logged in.
        self._session.settings_dict["OPTIONS"].pop("assume_role", None)
        # Without it nothing is begun.
        self._session.ensure_connection()

    def require_sight(self) -> None:
        if self._failed:
            raise Unwatched(str(self._failed)) from self._failed

    def stop(self) -> None:
        self._stopped.set()
        self.thread.join()

    def _look(self) -> None:
        try:
            while not self._stopped.wait(LOOK_EVERY_SECONDS):
                if found := self._waiting() or self._blocking():
                    self.found = self.found or found
                    rows(self._session, END, [self._name])
        except Error as error:
            self._failed = error
        finally:
            self._session.close()

    def _waiting(self) -> str:
        for pid, application, query in rows(self._session, WAITING, [self._name]):
            return f"server process {pid} ({application}) waited for the copying with: {query}"
        return ""

    def _blocking(self) -> str:
        for what, pid, application, query in rows(self._session, BLOCKING, [self._name]):
            return f"the copying waited for {what}, locked by server process {pid} ({application}) with: {query}"
        return ""
