"""`/livez` and `/readyz`: what an orchestrator asks, before any other middleware, without a login or a host name.

A stranger may ask too, so the answers hold no version and no name; the log has the details.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse

READY_WITHIN_SECONDS = 2.0
APPLIED_MIGRATIONS = "SELECT app, name FROM django_migrations"

log = logging.getLogger(__name__)


class HealthMiddleware:
    """Answers the two paths itself and passes everything else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.readiness = Readiness()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == "/livez":
            return JsonResponse({"status": "alive"})
        if request.path_info == "/readyz":
            return _answer(self.readiness.obstacle())
        return self.get_response(request)


class Readiness:
    """Whether this process can serve: the database answers and has every migration that the process started with.

    What it expects is read from the files once. A migration that is written later belongs to the next start, and one
    that only the database knows came from a newer release.
    """

    def __init__(self) -> None:
        self.expected = frozenset(MigrationLoader(connection=None).graph.nodes)
        # One thread: a database that hangs can hold up this one, never a worker's.
        self.prober = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readyz")

    def obstacle(self) -> str | None:
        """Why this process is not ready, within two seconds; None when it is."""
        probe = self.prober.submit(applied_migrations)
        try:
            applied = probe.result(timeout=READY_WITHIN_SECONDS)
        except Exception as error:
            probe.cancel()
            log.warning("readyz: the database does not answer: %r", error)
            return "the database does not answer"
        missing = self.expected - applied
        if missing:
            log.warning("readyz: not applied: %s", ", ".join(sorted(f"{app}.{name}" for app, name in missing)))
            return "the schema is older than this process needs"
        return None


def _answer(obstacle: str | None) -> HttpResponse:
    if obstacle is None:
        return JsonResponse({"status": "ready"})
    response = JsonResponse({"status": "unavailable", "reason": obstacle}, status=503)
    # What Django looks at before it logs a 5xx: `Readiness` has said already what is wrong.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def applied_migrations() -> frozenset[tuple[str, str]]:
    """The (app, name) pairs that the database records; the connection goes back at once."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(APPLIED_MIGRATIONS)
            return frozenset(cursor.fetchall())
    finally:
        connection.close()
