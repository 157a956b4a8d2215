"""Every page of the admin, found by walking its URLs: one that is added later is found, too."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.factories import UserFactory
from tests.trader.admin.rows import NEW_ROW, numbers
from trader.operations.groups import GROUPS, deliver_groups

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
WRITES = re.compile(r'^(?:INSERT INTO|UPDATE|DELETE FROM) "(?!django_session")')
WRITING = ("add", "change", "delete")
ATTEMPT = {"user_agent": "A browser", "ip_address": "192.0.2.1", "http_accept": "*/*", "path_info": "/admin/login/"}

ROWS: dict[type[models.Model], Callable[[], models.Model]] = NEW_ROW | {
    Group: lambda: Group.objects.create(name=f"Group {next(numbers)}"),
    AccessAttempt: lambda: AccessAttempt.objects.create(
        **ATTEMPT, username=f"user{next(numbers)}@example.com", failures_since_start=1
    ),
    AccessLog: lambda: AccessLog.objects.create(**ATTEMPT, username=f"user{next(numbers)}@example.com"),
    TOTPDevice: lambda: TOTPDevice.objects.create(user=UserFactory.create(), name="App"),
}


@dataclass(frozen=True)
class Page:
    """A route such as `/admin/trader/order/<path:object_id>/replace/`, and whose model's it is."""

    route: str
    name: str
    model: type[models.Model] | None

    def path(self, values: Mapping[str, Any]) -> str:
        return PARAMETER.sub(lambda found: str(values[found[1]]), self.route)

    def permissions(self, verbs: Iterable[str]) -> set[str]:
        assert self.model
        return {f"{self.model._meta.app_label}.{verb}_{self.model._meta.model_name}" for verb in verbs}

    @property
    def writing_permissions(self) -> set[str]:
        """One of these is what it takes to write something by it, at least."""
        verb = self.name.rpartition("_")[2]
        return self.permissions([verb] if verb in WRITING else WRITING)

    @property
    def needs_permission(self) -> bool:
        """Whether a POST is a step, not a choice among rows or a look at them."""
        return self.name.rpartition("_")[2] not in {"changelist", "export", "history", "performance", ""}


def _walk(patterns: Iterable[URLPattern | URLResolver], route: str) -> Iterator[tuple[str, str]]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, f"{route}{each.pattern}")
        else:
            yield f"{route}{each.pattern}", each.name or ""


def _all_pages() -> Iterator[Page]:
    root = reverse("admin:index")
    models_by_prefix = {
        f"{root}{model._meta.app_label}/{model._meta.model_name}/": model for model in admin.site._registry
    }
    for route, name in _walk(admin.site.urls[0], root):
        model = next((model for prefix, model in models_by_prefix.items() if route.startswith(prefix)), None)
        yield Page(_without_regex(route), name, model)


def _without_regex(route: str) -> str:
    """Django's own two that are written as regular expressions: the page of an app, and whatever is left."""
    return re.sub(r"\(\?P<(\w+)>.*", r"<\1>", route.replace("^", "")) if "(?P<" in route else route


PAGES = [*_all_pages()]


def pages_of(model: type[models.Model] | None) -> list[Page]:
    return [page for page in PAGES if page.model is model]


def values_of(row: models.Model) -> dict[str, Any]:
    """What stands for the parameters of a page of the row."""
    return {"object_id": row.pk, "id": row.pk, "pk": row.pk}


# Of the pages that are no model's.
SITE_VALUES = {"app_label": "trader/", "url": "nothing-is-here"}


def forms_of(page: Page, row: models.Model) -> list[dict[str, Any]]:
    """As much of a form as deletes the row; of a list, one for each of its actions."""
    if not page.model or not page.name.endswith("changelist"):
        return [{"post": "yes"}]
    actions = ["delete_selected", *(admin.site._registry[page.model].actions or ())]
    return [{"post": "yes", "action": action, "_selected_action": [row.pk]} for action in actions]


def member(group: str) -> Client:
    """The browser of somebody in that group, as the project delivers it."""
    deliver_groups(now=timezone.now())
    user = UserFactory.create(is_staff=True)
    user.groups.set([Group.objects.get(name=group)])
    return browser_of(user)


def browser_of(user: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def may(group: str, permissions: Iterable[str]) -> bool:
    return not GROUPS[group].isdisjoint(permissions)


@contextmanager
def nothing_written() -> Iterator[None]:
    """Fails when a statement within writes to any table but that of the sessions."""
    with CaptureQueriesContext(connection) as queries:
        yield
    assert [query["sql"] for query in queries if WRITES.match(query["sql"])] == []
