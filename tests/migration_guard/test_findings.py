"""What `review` finds: each id is documented, found where it is, and not found where it is not."""

from pathlib import Path

import pytest

from migration_guard.review.database import Database, Size
from migration_guard.review.findings import BLOCKS, RULES, Severity
from tests.migration_guard.findings.further import FURTHER
from tests.migration_guard.findings.reference import PAGE, Entry, entries
from tests.migration_guard.findings.trying import Example, findings, found_in

ENTRIES = entries()
DOCUMENTED = [example for entry in ENTRIES for example in entry.examples]
LINTERS = {
    "squawk": 78,
    "strong_migrations": 21,
    "online_migrations": 34,
    "eugene": 16,
    "django-migration-linter": 16,
    "django-safe-migrations": 47,
}


@pytest.mark.parametrize("example", [*DOCUMENTED, *FURTHER], ids=str)
def test_an_example_has_these_findings_and_no_others(example: Example, tmp_path: Path) -> None:
    assert found_in(example, tmp_path) == example.expected


def database(rows: int = 1_000_000, *, is_partitioned: bool = False, applied: bool = True) -> Database:
    """One that has shop_item with so many rows."""
    table = Size(rows, rows * 100, is_partitioned)
    return Database(170000, {"shop_item": table}, {("shop", "0001_initial")} if applied else set())


@pytest.mark.parametrize(("rows", "severity"), [(9_999, Severity.WARNING), (10_000, Severity.ERROR)])
def test_a_small_table_makes_it_less_severe(tmp_path: Path, rows: int, severity: Severity) -> None:
    index = Example("an index", "CREATE INDEX i ON shop_item (name);", is_sql=True)

    found = findings(index, tmp_path, database(rows))

    assert [finding.severity for finding in found] == [severity]


def test_a_partitioned_table_of_the_database_takes_no_concurrent_index(tmp_path: Path) -> None:
    index = Example("an index", "-- atomic = False\nCREATE INDEX CONCURRENTLY i ON shop_item (name);", is_sql=True)

    assert found_in(index, tmp_path, database(is_partitioned=True)) == {"concurrently-on-partitioned"}


def test_a_table_that_is_not_applied_yet_may_be_locked(tmp_path: Path) -> None:
    index = Example("an index", "CREATE INDEX i ON shop_item (name);", is_sql=True)

    assert found_in(index, tmp_path, database(applied=False)) == set()


def test_every_id_is_documented_and_no_other() -> None:
    assert sorted(entry.id for entry in ENTRIES) == sorted(RULES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_an_entry_says_what_the_rule_says(entry: Entry) -> None:
    rule = RULES[entry.id]

    assert (entry.severity, entry.lock, entry.by_size) == (str(rule.severity), rule.lock, rule.by_size)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_an_entry_shows_it_found_and_not_found(entry: Entry) -> None:
    assert entry.is_found
    assert entry.is_not_found


def test_the_locks_are_explained() -> None:
    rows = PAGE.content.section("Locks").table_rows

    explained = {row[0].strip("`") for row in rows}
    assert {rule.lock for rule in RULES.values() if rule.lock} <= explained <= {*BLOCKS, "lock"}


def test_every_rule_of_the_other_linters_has_its_place() -> None:
    rows = PAGE.content.section("Where the rules of other linters are").table_rows[1:]

    assert {tool: sum(row[0] == tool for row in rows) for tool in LINTERS} == LINTERS
    assert len({(row[0], row[1]) for row in rows}) == len(rows)


def test_the_table_of_linters_names_ids_that_there_are() -> None:
    rows = PAGE.content.section("Where the rules of other linters are").table_rows[1:]

    linked = {word.removeprefix("#") for row in rows for word in row[2].replace(")", "(").split("(") if word[:1] == "#"}
    assert linked - {entry.id for entry in ENTRIES} == set()
