"""A wrong MIGRATION_GUARD setting is found by `check`, by its id, before anything is done."""

import django
import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

WRONG = [
    ("['shop']", "guard.E001"),
    ("None", "guard.E001"),
    ("{'LOCK_TIMEOUTS': 1}", "guard.E002"),
    ("{'DOCTOR': 'shop.check'}", "guard.E011"),
    ("{'DOCTOR': ['shop.nothing_like_that']}", "guard.E011"),
    ("{'RESTORE_POINTS': ''}", "guard.E012"),
    ("{'RESTORE_POINTS': 1}", "guard.E012"),
    ("{'RESTORE_POINTS_KEPT': 0}", "guard.E013"),
    ("{'RESTORE_POINTS_DAYS': '90'}", "guard.E013"),
    ("{1: 2}", "guard.E002"),
    ("{'LOCK_TIMEOUT': '1s'}", "guard.E003"),
    ("{'LOCK_TIMEOUT': 0}", "guard.E003"),
    ("{'LOCK_TIMEOUT': None}", "guard.E003"),
    ("{'LOCK_TIMEOUT': True}", "guard.E003"),
    ("{'LOCK_TIMEOUT': float('nan')}", "guard.E003"),
    ("{'LOCK_BUDGET': -1}", "guard.E003"),
    ("{'LOCK_BUDGET': 86_401}", "guard.E003"),
    ("{'APPS': ['shopp']}", "guard.E004"),
    ("{'APPS': 'shop'}", "guard.E004"),
    ("{'APPS': [['shop']]}", "guard.E004"),
    ("{'DIRECT_DATABASE': 'direct'}", "guard.E005"),
    ("{'DIRECT_DATABASE': ['default']}", "guard.E005"),
    ("{'RELEASE': 7}", "guard.E006"),
    ("{'RELEASE': None}", "guard.E006"),
    ("{'STALL_FAILS': 'long'}", "guard.E003"),
    ("{'STALL_ROWS': 0.5}", "guard.E008"),
    ("{'STALL_ROWS': -1}", "guard.E008"),
    ("{'REQUIRE_RECEIPTS': 1}", "guard.E009"),
    ("{'CLIENT_PROGRAMS': None}", "guard.E010"),
]
RIGHT = [
    "{}",
    "{'APPS': [], 'LOCK_TIMEOUT': 0.001, 'LOCK_BUDGET': 86_400}",
    "{'APPS': ('shop',), 'LOCK_TIMEOUT': 2, 'LOCK_BUDGET': 1.5, 'DIRECT_DATABASE': 'default', 'RELEASE': 'v1'}",
    "{'APPS': None, 'DIRECT_DATABASE': None, 'RELEASE': ''}",
]


@pytest.mark.parametrize(("value", "identity"), WRONG, ids=[value for value, _ in WRONG])
def test_wrong_setting_is_found(shop: Stranger, value: str, identity: str) -> None:
    shop.configure(f"MIGRATION_GUARD = {value}")

    checked = shop.manage("check")

    assert checked.returncode == 1
    assert f"({identity})" in checked.stdout
    assert checked.stdout.count("(guard.") == 1
    assert "HINT: " in checked.stdout


@pytest.mark.parametrize("value", RIGHT)
def test_right_setting_is_left_alone(shop: Stranger, value: str) -> None:
    shop.configure(f"MIGRATION_GUARD = {value}")

    checked = shop.manage("check")

    assert (checked.returncode, checked.stdout) == (0, "System check identified no issues (0 silenced).\n")


def test_setting_may_be_left_out(shop: Stranger) -> None:
    checked = shop.manage("check")

    assert (checked.returncode, checked.stdout) == (0, "System check identified no issues (0 silenced).\n")


def test_each_wrong_key_is_found(shop: Stranger) -> None:
    shop.configure("MIGRATION_GUARD = {'A': 1, 'B': 2, 'LOCK_TIMEOUT': 0, 'LOCK_BUDGET': 0}")

    checked = shop.manage("check")

    assert checked.stdout.count("(guard.E002)") == 2
    assert checked.stdout.count("(guard.E003)") == 2


def test_app_whose_migrate_would_run_instead_is_found(shop: Stranger) -> None:
    shop.configure("INSTALLED_APPS = ['shop', 'migration_guard']")
    shop.write("shop/management/commands/migrate.py", "from django.core.management.commands.migrate import Command\n")

    checked = shop.manage("check")

    assert checked.returncode == 1
    assert "(guard.E007)" in checked.stdout
    assert 'List "migration_guard" before "shop" in INSTALLED_APPS.' in checked.stdout


def test_app_that_is_listed_behind_the_guard_is_left_alone(shop: Stranger) -> None:
    shop.write("shop/management/commands/migrate.py", "from django.core.management.commands.migrate import Command\n")

    assert shop.manage("check").returncode == 0


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        ("['shop']", "guard.E001"),
        ("{'LOCK_TIMEOUTS': 1}", "guard.E002"),
        ("{'LOCK_TIMEOUT': '1s'}", "guard.E003"),
        ("{'APPS': ['shopp']}", "guard.E004"),
        ("{'DIRECT_DATABASE': 'direct'}", "guard.E005"),
        ("{'RELEASE': 7}", "guard.E006"),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "rollback", "history"])
def test_no_command_works_with_a_wrong_setting(shop: Stranger, command: str, value: str, identity: str) -> None:
    shop.manage("migrate")
    shop.operations("0002_v", "migrations.AddField('Item', 'v', models.IntegerField(null=True))")
    shop.configure(f"MIGRATION_GUARD = {value}")

    refused = shop.manage(command, *(["--yes"] if command == "rollback" else []))

    assert refused.returncode != 0
    assert f"({identity})" in refused.stdout
    assert "Traceback" not in refused.stdout
    assert shop.applied() == ["0001_initial"]


def test_older_django_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django, "VERSION", (5, 1, 15, "final", 0))

    with pytest.raises(ImproperlyConfigured, match=r"needs Django 5\.2 or later, and this is 5\.1\.15\. Install"):
        apps.get_app_config("migration_guard").ready()
