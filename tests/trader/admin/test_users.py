"""Nobody gives a right that he does not have, and nobody gets at an account that has more than his."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tests.factories import UserFactory
from tests.trader.admin.forms import choices, done, refused, send
from tests.trader.admin.rows import staff, url
from tests.trader.admin.site import browser_of, nothing_written
from tests.trader.admin.test_pages import MOST_QUERIES, queries_of
from trader.models import User
from trader.operations.groups import GROUPS, deliver_groups

pytestmark = pytest.mark.django_db

PASSWORD = "a long password"
NEW_PASSWORD = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
OFF = {"is_active": ""}


@pytest.fixture(autouse=True)
def groups(settings: Settings) -> dict[str, Group]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    deliver_groups(now=timezone.now())
    return {name: Group.objects.get(name=name) for name in GROUPS}


@pytest.fixture
def appointed(groups: dict[str, Group]) -> User:
    """An operator who is no superuser."""
    return someone("operator")


@pytest.fixture
def browser(appointed: User) -> Client:
    return browser_of(appointed)


def someone(*groups: str, **fields: Any) -> User:
    user = UserFactory.create(is_staff=True, **fields)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


def page(user: User) -> str:
    return url(User, "change", user.pk)


def password_page(user: User) -> str:
    return f"/admin/trader/user/{user.pk}/password/"


def rights_of(user: User) -> tuple[Any, ...]:
    user = User.objects.get(pk=user.pk)
    names = {*user.groups.values_list("name", flat=True)}
    held = {*user.user_permissions.values_list("codename", flat=True)}
    return user.is_superuser, user.is_active, names, held, user.email, user.password


def test_an_operator_makes_a_viewer_who_can_log_in(browser: Client, groups: dict[str, Group]) -> None:
    made = done(browser, url(User, "add"), email="new@example.com", groups=[groups["viewer"].pk], **NEW_PASSWORD)

    user = User.objects.get(email="new@example.com")
    assert made == page(user)
    log_in = {"username": user.email, "password": PASSWORD, "next": "/admin/"}
    assert Client().post("/admin/login/", log_in)["Location"] == "/admin/"
    assert user.get_all_permissions() == GROUPS["viewer"]


def test_an_operator_makes_somebody_who_cannot_log_in_by_clearing_one_box(browser: Client) -> None:
    fields = {"email": "later@example.com", "is_staff": "", **NEW_PASSWORD}

    send(browser, url(User, "add"), **fields)

    assert not User.objects.get(email="later@example.com").is_staff


@pytest.mark.parametrize("forged", ["is_superuser", "user_permissions"])
@pytest.mark.parametrize("whose", ["another's", "their own"])
def test_a_forged_field_gives_nothing(browser: Client, appointed: User, forged: str, whose: str) -> None:
    user = appointed if whose == "their own" else someone("viewer")
    before = rights_of(user)
    value = "on" if forged == "is_superuser" else [permission("add_order").pk]

    done(browser, page(user), **{forged: value})

    assert rights_of(user) == before


def test_a_forged_field_of_a_new_user_gives_nothing(browser: Client) -> None:
    forged = {"is_superuser": "on", "user_permissions": [permission("add_order").pk]}

    done(browser, url(User, "add"), email="new@example.com", **NEW_PASSWORD, **forged)

    assert rights_of(User.objects.get(email="new@example.com"))[:4] == (False, True, set(), set())


@pytest.mark.parametrize("group", ["trader", "own"])
@pytest.mark.parametrize("where", ["add", "another's", "their own"])
def test_a_group_with_rights_that_the_operator_lacks_is_neither_offered_nor_given(
    browser: Client, appointed: User, group: str, where: str
) -> None:
    given = Group.objects.get_or_create(name=group)[0]
    given.permissions.add(permission("delete_loadedfixture"))
    user = appointed if where == "their own" else someone("viewer")
    path = url(User, "add") if where == "add" else page(user)
    new = {"email": "new@example.com", **NEW_PASSWORD} if where == "add" else {}

    assert str(given.pk) not in {str(value) for value in choices(browser, path, "groups")}
    assert "is not one of the available choices" in refused(browser, path, groups=[given.pk], **new)

    assert given not in user.groups.all()
    assert not User.objects.filter(email="new@example.com").exists()


def test_who_is_in_both_groups_appoints_traders(groups: dict[str, Group]) -> None:
    user = someone("viewer")

    done(browser_of(someone("operator", "trader")), page(user), groups=[groups["trader"].pk])

    assert rights_of(user)[2] == {"trader"}


def test_an_operator_sees_a_superuser_and_changes_nothing(browser: Client) -> None:
    superuser = someone(is_superuser=True)

    assert browser.get(page(superuser)).status_code == 200
    for path in (page(superuser), password_page(superuser)):
        with nothing_written():
            assert browser.post(path, {"email": "mine@example.com", **NEW_PASSWORD, **OFF}).status_code == 403
    with nothing_written():
        assert browser.get(password_page(superuser)).status_code == 403


@pytest.mark.parametrize("active", [True, False], ids=["active", "inactive"])
@pytest.mark.parametrize("how", ["group", "permission"])
def test_of_who_has_more_rights_an_operator_changes_only_whether_he_is_active(
    browser: Client, active: bool, how: str
) -> None:
    user = someone(*(["trader"] if how == "group" else []), is_active=active)
    if how == "permission":
        user.user_permissions.add(permission("add_order"))
    before = rights_of(user)
    forged = {"email": "mine@example.com", "groups": [], "user_permissions": [], "is_superuser": "on", "is_staff": ""}

    done(browser, page(user), **forged, is_active="" if active else "on")

    assert rights_of(user) == (before[0], not active, *before[2:])
    assert User.objects.get(pk=user.pk).is_staff
    for method in (browser.get, browser.post):
        with nothing_written():
            assert method(password_page(user), NEW_PASSWORD).status_code == 403


def test_an_operator_sets_the_password_of_a_viewer(browser: Client) -> None:
    user = someone("viewer")

    done(browser, password_page(user), **NEW_PASSWORD)

    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


@pytest.mark.parametrize("is_superuser", [False, True])
def test_the_page_of_who_has_more_rights_shows_no_hash_and_no_way_to_the_password(
    browser: Client, is_superuser: bool
) -> None:
    user = someone("trader", password="md5$salt$0123456789abcdef", is_superuser=is_superuser)

    shown = browser.get(page(user)).content.decode()

    assert "0123456789abcdef" not in shown
    assert "/password/" not in shown


@pytest.mark.parametrize("other", ["superuser", "trader"])
def test_who_may_delete_users_deletes_nobody_who_has_more_rights(appointed: User, other: str) -> None:
    appointed.user_permissions.add(permission("delete_user"))
    browser = browser_of(appointed)
    user = someone(is_superuser=True) if other == "superuser" else someone("trader")
    chosen = {"action": "delete_selected", "_selected_action": [str(user.pk)], "post": "yes"}

    with nothing_written():
        assert browser.post(url(User, "delete", user.pk), {"post": "yes"}).status_code == 403
        assert browser.post(url(User, "changelist"), chosen).status_code == 403

    viewer = someone("viewer")
    done(browser, url(User, "delete", viewer.pk), post="yes")
    assert not User.objects.filter(pk=viewer.pk).exists()


def test_a_group_that_may_more_is_neither_changed_nor_deleted(browser: Client, groups: dict[str, Group]) -> None:
    for path in (url(Group, "change", groups["trader"].pk), url(Group, "delete", groups["trader"].pk)):
        with nothing_written():
            assert browser.post(path, {"name": "mine", "permissions": [], "post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [groups["trader"].pk], "post": "yes"}
    with nothing_written():
        assert browser.post(url(Group, "changelist"), chosen).status_code == 403


@pytest.mark.parametrize("codename", ["add_order", "delete_loadedfixture", "delete_user"])
def test_a_group_gets_no_right_that_the_operator_lacks(
    browser: Client, groups: dict[str, Group], codename: str
) -> None:
    forged = {"permissions": [permission(codename).pk]}

    for path in (url(Group, "add"), url(Group, "change", groups["operator"].pk)):
        assert "is not one of the available choices" in refused(browser, path, name="mine", **forged)

    assert not Group.objects.filter(permissions__codename="delete_loadedfixture").exists()
    assert {*groups["operator"].permissions.values_list("codename", flat=True)} == {
        each.partition(".")[2] for each in GROUPS["operator"]
    }


def test_a_group_gets_what_the_operator_has(browser: Client) -> None:
    done(browser, url(Group, "add"), name="venues", permissions=[permission("add_venue").pk])

    assert Group.objects.get(name="venues").permissions.get().codename == "add_venue"


def test_a_superuser_gives_everything(operator_client: Client, groups: dict[str, Group]) -> None:
    user = someone()

    given = {"is_superuser": "on", "groups": [groups["trader"].pk], "user_permissions": [permission("add_venue").pk]}
    done(operator_client, page(user), **given)

    assert rights_of(user)[:4] == (True, True, {"trader"}, {"add_venue"})


def test_a_user_of_many_permissions_costs_as_few_queries_as_another() -> None:
    user = UserFactory.create()
    user.user_permissions.set(Permission.objects.all()[:30])
    client = staff("view_user")

    assert queries_of(client, url(User, "change", user.pk)) <= MOST_QUERIES
