"""Receipts: written by a rehearsal that passed, asked for by `migrate` where the settings say so."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.migration_guard.operating import succeed
from tests.migration_guard.stranger import ADD_COLUMN, Stranger

endurance = pytest.mark.endurance

REQUIRED = "MIGRATION_GUARD = {'REQUIRE_RECEIPTS': True}"
ADD_ANOTHER = ADD_COLUMN.replace("'v'", "'w'")
REASONS = "SELECT name, reason FROM migration_guard_run WHERE app = 'shop' AND action = 'apply' ORDER BY id"


@pytest.fixture
def shop(shop: Stranger) -> Stranger:
    """The shop with its first migration applied, two more in its code, and receipts asked for."""
    shop.configure(REQUIRED)
    succeed(shop, "migrate")
    shop.operations("0002_v", ADD_COLUMN)
    shop.operations("0003_w", ADD_ANOTHER)
    return shop


def path_of(shop: Stranger, name: str) -> Path:
    return shop.path / f"shop/migrations/receipts/{name}.json"


def receipt(shop: Stranger, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path_of(shop, name).read_text())
    return found


def rewrite(shop: Stranger, name: str, **values: Any) -> None:
    path_of(shop, name).write_text(json.dumps(receipt(shop, name) | values))


def refused(shop: Stranger) -> str:
    command = shop.manage("migrate")
    assert command.returncode == 2, command.stdout
    assert "Nothing was changed." in command.stdout
    assert "python manage.py rehearse" in command.stdout
    assert shop.applied() == ["0001_initial"]
    return command.stdout


@endurance
def test_empty_database_needs_none(shop: Stranger) -> None:
    # The fixture has migrated one with this setting.
    assert shop.applied() == ["0001_initial"]


def test_nothing_is_applied_without_one(shop: Stranger) -> None:
    told = refused(shop)

    assert "shop.0002_v has no receipt (shop/migrations/receipts/0002_v.json)" in told
    assert "shop.0003_w has no receipt" in told


def test_rehearsed_migrations_are_applied(shop: Stranger) -> None:
    told = succeed(shop, "rehearse")

    assert "Receipt written: " in told
    assert receipt(shop, "0002_v")["migration"] == "shop.0002_v"
    assert receipt(shop, "0002_v")["locks"] == {"shop_item": "ACCESS EXCLUSIVE"}
    assert (
        receipt(shop, "0002_v")["tables"]["shop_item"]["after"]
        == receipt(shop, "0003_w")["tables"]["shop_item"]["before"]
    )
    succeed(shop, "migrate")
    assert shop.applied() == ["0001_initial", "0002_v", "0003_w"]


@endurance
def test_second_rehearsal_leaves_them_as_they_are(shop: Stranger) -> None:
    succeed(shop, "rehearse")
    before = path_of(shop, "0002_v").read_text(), path_of(shop, "0003_w").read_text()

    told = succeed(shop, "rehearse", "--write-receipts")

    assert "Receipt written: " not in told
    assert (path_of(shop, "0002_v").read_text(), path_of(shop, "0003_w").read_text()) == before


@endurance
def test_edited_migration_needs_another(shop: Stranger) -> None:
    succeed(shop, "rehearse")
    shop.operations("0002_v", ADD_COLUMN.replace("IntegerField", "BigIntegerField"))

    assert "shop.0002_v was edited since it was rehearsed." in refused(shop)

    assert succeed(shop, "rehearse").count("Receipt written: ") == 2
    succeed(shop, "migrate")


@endurance
def test_other_schema_needs_another(shop: Stranger) -> None:
    succeed(shop, "rehearse")
    shop.sql("CREATE INDEX by_hand ON shop_item (name)")

    told = refused(shop)

    assert "shop.0002_v was rehearsed on another schema of shop_item than this database has" in told
    assert "0003_w" not in told


@endurance
def test_neighbouring_version_is_told(shop: Stranger) -> None:
    succeed(shop, "rehearse")
    (major,) = receipt(shop, "0002_v")["passed_on"]
    rewrite(shop, "0002_v", passed_on={str(int(major) - 1): "live"})

    told = succeed(shop, "migrate")

    assert f"shop.0002_v was rehearsed on PostgreSQL {int(major) - 1}; this is {major}." in told


@endurance
def test_far_version_is_refused_until_it_is_added(shop: Stranger) -> None:
    succeed(shop, "rehearse")
    (major,) = receipt(shop, "0002_v")["passed_on"]
    rewrite(shop, "0002_v", passed_on={"12": "live"})
    assert f"shop.0002_v was rehearsed on PostgreSQL 12, and this is {major}." in refused(shop)

    assert "Receipt written: " not in succeed(shop, "rehearse")
    assert succeed(shop, "rehearse", "--write-receipts").count("Receipt written: ") == 1

    assert receipt(shop, "0002_v")["passed_on"] == {"12": "live", major: "live"}
    succeed(shop, "migrate")


@endurance
def test_going_without_is_recorded(shop: Stranger) -> None:
    command = shop.manage("migrate", "--without-receipt")
    assert (command.returncode, command.stdout) == (
        2,
        "CommandError: --without-receipt needs --reason: who reads the ledger wants to know why.\n",
    )

    succeed(shop, "migrate", "--without-receipt", "--reason", "the market is closed")

    assert shop.sql(REASONS)[1:] == [("0002_v", "the market is closed"), ("0003_w", "the market is closed")]


@endurance
def test_file_that_is_none_is_refused(shop: Stranger) -> None:
    succeed(shop, "rehearse")
    path_of(shop, "0002_v").write_text('{"migration": 1')

    assert "shop.0002_v: its receipt cannot be read." in refused(shop)

    assert "0002_v.json" in succeed(shop, "rehearse")
    succeed(shop, "migrate")


@endurance
def test_failed_rehearsal_writes_none(shop: Stranger) -> None:
    shop.operations("0003_w", "migrations.RunSQL('SELECT 1 / 0')")

    command = shop.manage("rehearse")

    assert command.returncode == 1
    assert path_of(shop, "0002_v").exists()
    assert not path_of(shop, "0003_w").exists()


@endurance
def test_way_back_and_plan_need_none(shop: Stranger) -> None:
    succeed(shop, "migrate", "--plan")
    succeed(shop, "migrate", "shop", "zero")
    assert shop.applied() == []


def test_without_the_setting_none_is_asked_for(shop: Stranger) -> None:
    shop.configure("MIGRATION_GUARD = {}")

    succeed(shop, "migrate")


@endurance
def test_check_finds_what_is_missing_or_stale(shop: Stranger) -> None:
    missing = shop.manage("rehearse", "--check-receipts")
    assert missing.returncode == 1
    assert "shop.0002_v has no receipt." in missing.stdout
    assert not path_of(shop, "0002_v").exists()
    succeed(shop, "rehearse")
    succeed(shop, "rehearse", "--check-receipts")
    rewrite(shop, "0003_w", fingerprint="1:another")

    stale = shop.manage("rehearse", "--check-receipts")

    assert stale.returncode == 1
    assert "shop.0003_w has a stale receipt" in stale.stdout


@endurance
def test_schema_only_earns_none(shop: Stranger) -> None:
    succeed(shop, "rehearse", "--schema-only")

    assert not path_of(shop, "0002_v").exists()


@pytest.mark.parametrize("option", ["--write-receipts", "--check-receipts"])
def test_schema_only_with_receipts_is_refused(shop: Stranger, option: str) -> None:
    command = shop.manage("rehearse", "--schema-only", option)

    assert command.returncode == 2
    assert "--schema-only shows nothing of the rows, and earns no receipt" in command.stdout
