from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import UserFactory
from trader.models import LoadedFixture
from trader.operations import groups
from trader.operations.groups import GROUPS, deliver_groups

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def permissions_of(name: str) -> set[str]:
    held = Permission.objects.filter(group__name=name).values_list("content_type__app_label", "codename")
    return {".".join(pair) for pair in held}


def take(name: str, codename: str) -> None:
    Group.objects.get(name=name).permissions.remove(Permission.objects.get(codename=codename))


def release_with(monkeypatch: pytest.MonkeyPatch, name: str, permission: str) -> None:
    """As if the next release named one more."""
    monkeypatch.setattr(groups, "GROUPS", GROUPS | {name: GROUPS.get(name, frozenset()) | {permission}})


def test_each_group_gets_what_the_code_says() -> None:
    delivered = deliver_groups(now=NOW)

    assert {name: permissions_of(name) for name in GROUPS} == GROUPS
    assert delivered == LoadedFixture.objects.count() == sum(len(each) + 1 for each in GROUPS.values())


def test_a_second_delivery_asks_once_and_writes_nothing() -> None:
    deliver_groups(now=NOW)

    with CaptureQueriesContext(connection) as queries:
        assert deliver_groups(now=NOW) == 0

    assert len(queries) == 1


def test_what_a_person_took_or_gave_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver_groups(now=NOW)
    take("trader", "add_order")
    Group.objects.get(name="viewer").permissions.add(Permission.objects.get(codename="add_venue"))
    release_with(monkeypatch, "trader", "trader.add_currency")

    assert deliver_groups(now=NOW) == 1

    assert permissions_of("trader") == GROUPS["trader"] - {"trader.add_order"} | {"trader.add_currency"}
    assert permissions_of("viewer") == GROUPS["viewer"] | {"trader.add_venue"}


def test_a_deleted_or_renamed_group_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver_groups(now=NOW)
    Group.objects.filter(name="viewer").delete()
    Group.objects.filter(name="trader").update(name="Desk")
    for name in ("viewer", "trader"):
        release_with(monkeypatch, name, "trader.add_currency")

    deliver_groups(now=NOW)

    assert {*Group.objects.values_list("name", flat=True)} == {"Desk", "operator"}
    assert permissions_of("Desk") == GROUPS["trader"]


def test_a_group_that_a_person_had_made_under_the_name_gets_nothing() -> None:
    Group.objects.create(name="operator")

    deliver_groups(now=NOW)
    deliver_groups(now=NOW)

    assert permissions_of("operator") == set()
    assert permissions_of("viewer") == GROUPS["viewer"]


def test_a_group_whose_row_is_deleted_is_delivered_again_as_a_whole() -> None:
    deliver_groups(now=NOW)
    Group.objects.filter(name="viewer").delete()
    LoadedFixture.objects.filter(model="auth.group", natural_key=["viewer"]).delete()

    assert deliver_groups(now=NOW) == 1

    assert permissions_of("viewer") == GROUPS["viewer"]


def test_a_group_of_a_later_release_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver_groups(now=NOW)
    release_with(monkeypatch, "auditor", "trader.view_posting")

    assert deliver_groups(now=NOW) == 2

    assert permissions_of("auditor") == {"trader.view_posting"}


def test_a_permission_that_is_not_there_yet_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    release_with(monkeypatch, "viewer", "trader.view_dream")
    deliver_groups(now=NOW)
    content_type = Permission.objects.get(codename="view_order").content_type
    Permission.objects.create(codename="view_dream", content_type=content_type, name="Can view dream")

    assert deliver_groups(now=NOW) == 1

    assert permissions_of("viewer") == GROUPS["viewer"] | {"trader.view_dream"}


def test_a_member_may_what_his_group_may() -> None:
    deliver_groups(now=NOW)
    user = UserFactory.create()
    user.groups.add(Group.objects.get(name="trader"))

    assert user.get_all_permissions() == GROUPS["trader"]
