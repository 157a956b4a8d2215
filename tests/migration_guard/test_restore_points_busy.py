"""While the application works on: nothing that was written before it was destroyed is missing from what is kept."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest

from tests.migration_guard.restoring import CREATE_BOX, DROP_V, fill, held, leftovers, points, restore, succeed, sums
from tests.migration_guard.stranger import Stranger

pytestmark = pytest.mark.endurance

PACE_SECONDS = 1 / 200
SHOUT = "UPDATE shop_item SET name = upper(name)"
WRITES = (
    "INSERT INTO shop_item (id, name, v) VALUES ({new}, 'new', {value})",
    "UPDATE shop_item SET v = {value} WHERE id = {old}",
    "UPDATE shop_item SET v = NULL WHERE id = {old}",
    "DELETE FROM shop_item WHERE id = {old}",
)


@dataclass
class Application:
    """Writes two hundred rows a second, and remembers what the server has acknowledged."""

    project: Stranger
    values: dict[int, int | None] = field(default_factory=dict)
    refused: list[psycopg.Error] = field(default_factory=list)
    written: int = 0

    @contextmanager
    def at_work(self, statements: tuple[str, ...] = WRITES) -> Iterator[None]:
        stopped = threading.Event()
        worker = threading.Thread(target=self._work, args=(stopped, statements))
        worker.start()
        try:
            yield
        finally:
            stopped.set()
            worker.join()

    def _work(self, stopped: threading.Event, statements: tuple[str, ...]) -> None:
        with self.project.connect() as connection:
            connection.autocommit = True
            while not stopped.wait(PACE_SECONDS):
                number = self.written
                ids = {"old": 1 + number * 7 % 50_000, "new": 1_000_000 + number, "value": number}
                statement = statements[number % len(statements)].format(**ids)
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    self.refused.append(error)
                    if isinstance(error, psycopg.errors.UndefinedColumn):
                        return
                else:
                    self._note(statement, **ids)
                    self.written += 1

    def _note(self, statement: str, old: int, new: int, value: int) -> None:
        if statement.startswith("INSERT"):
            self.values[new] = value
        elif statement.startswith("DELETE"):
            self.values.pop(old, None)
        elif old in self.values:
            self.values[old] = None if "NULL" in statement else value


def values(project: Stranger) -> dict[int, int | None]:
    with project.connect() as connection:
        return dict(connection.execute("SELECT id, v FROM shop_item").fetchall())


@pytest.mark.parametrize("isolation", ["READ_COMMITTED", "REPEATABLE_READ"])
def test_no_value_that_was_written_before_the_drop_is_missing(shop: Stranger, isolation: str) -> None:
    shop.configure(
        "from psycopg import IsolationLevel\n"
        f"DATABASES['default']['OPTIONS']['isolation_level'] = IsolationLevel.{isolation}"
    )
    fill(shop, 50_000)
    shop.operations("0003_drop", "migrations.RunSQL('SELECT pg_sleep(0.3)')", DROP_V)
    application = Application(shop, values(shop))
    with application.at_work():
        time.sleep(0.5)
        succeed(shop, "migrate")

    assert [type(error) for error in application.refused] == [psycopg.errors.UndefinedColumn]
    assert application.written > 100
    renaming = Application(shop)
    with renaming.at_work(("UPDATE shop_item SET name = 'since' WHERE id = {old}",)):
        restore(shop)
    assert renaming.refused == []
    assert values(shop) == application.values


def test_no_row_that_was_written_before_the_table_went_is_missing(shop: Stranger) -> None:
    fill(shop, 50_000)
    shop.operations("0003_drop", "migrations.RunSQL('SELECT pg_sleep(0.3)')", "migrations.DeleteModel('Item')")
    application = Application(shop, values(shop))
    with application.at_work():
        time.sleep(0.5)
        succeed(shop, "migrate")

    restore(shop)
    assert values(shop) == application.values


def test_rows_of_others_that_refer_to_nothing_stay(shop: Stranger) -> None:
    fill(shop, 10)
    shop.operations("0003_box", CREATE_BOX)
    succeed(shop, "migrate")
    shop.sql("INSERT INTO shop_box (item_id, label) SELECT id, id FROM shop_item")
    before = sums(shop, "shop_item")
    shop.operations("0004_drop", "migrations.RunSQL('DROP TABLE shop_item CASCADE')")
    succeed(shop, "migrate")
    shop.sql("INSERT INTO shop_box (item_id, label) VALUES (77, 'nothing')")

    said = restore(shop)

    assert "A foreign key of shop_box is NOT VALID until its rows are mended" in said
    assert "(77)" in said
    assert sums(shop, "shop_item") == before
    assert shop.sql("SELECT count(*) FROM shop_box") == [(11,)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        shop.sql("INSERT INTO shop_box (item_id, label) VALUES (78, 'refused')")


def test_what_fails_leaves_no_point_and_what_waits_for_locks_a_right_one(shop: Stranger) -> None:
    fill(shop, 2_000)
    before = sums(shop, "shop_item")
    shop.sql("ALTER TABLE shop_item ADD CONSTRAINT one UNIQUE (name) DEFERRABLE INITIALLY DEFERRED")
    # The second one at COMMIT, when the point has its name.
    for end in ("SELECT 1/0", "UPDATE shop_item SET name = 1"):
        shop.operations("0003_destroy", DROP_V, f"migrations.RunSQL('{end}')")

        assert shop.manage("migrate").returncode == 1

        assert sums(shop, "shop_item") == before
        assert (points(shop), leftovers(shop)) == ([], [])
        assert shop.applied()[-1] == "0002_v"

    shop.operations("0003_destroy", f"migrations.RunSQL('{SHOUT}')", DROP_V)
    application = Application(shop, values(shop))
    with shop.connect() as other, application.at_work(WRITES[:3]):
        other.autocommit = False
        other.execute("LOCK TABLE shop_item IN ROW EXCLUSIVE MODE")
        threading.Timer(4, other.rollback).start()
        said = succeed(shop, "migrate")
    assert "Try 1 given up" in said
    restore(shop)
    assert values(shop) == application.values
    assert shop.sql("SELECT count(*) FROM shop_item WHERE name LIKE 'ITEM%'") == [(0,)]


IS_COPYING = """
    SELECT FROM pg_stat_activity
    WHERE application_name ~ 'restore point' AND query ~ '^COPY' AND datname = current_database()
"""


def test_row_that_another_session_takes_out_meanwhile_stays_gone(shop: Stranger) -> None:
    """Taken out when the copy has it, and before that is compared with the table."""
    fill(shop, 50_000)
    shop.operations(
        "0003_change",
        f"migrations.RunSQL('{SHOUT} WHERE id < 40000')",
        "migrations.RunSQL('DELETE FROM shop_item WHERE id < 10')",
    )
    taken_out = threading.Event()

    def commit_when_copied(other: psycopg.Connection) -> None:
        with shop.connect() as watching:
            while not watching.execute(IS_COPYING).rowcount:
                time.sleep(0.001)
        other.commit()
        taken_out.set()

    with shop.connect() as other:
        other.autocommit = False
        other.execute("DELETE FROM shop_item WHERE id = 45000")
        worker = threading.Thread(target=commit_when_copied, args=(other,))
        worker.start()
        succeed(shop, "migrate")
        assert taken_out.is_set()
        worker.join()

    assert held(shop) == [("rows", "shop_item", "", 39_999)]
    restore(shop)
    assert shop.sql("SELECT count(*), count(*) FILTER (WHERE id = 45000) FROM shop_item") == [(49_999, 0)]


def test_million_rows_that_are_changed(shop: Stranger) -> None:
    fill(shop, 1_000_000)
    before = sums(shop, "shop_item")
    path = shop.operations(
        "0003_change",
        "migrations.RunSQL('UPDATE shop_item SET name = upper(name) WHERE id % 2 = 0')",
        "migrations.RunPython(change)",
    )
    change = (
        "def change(apps, editor):\n    apps.get_model('shop', 'Item').objects.filter(name__contains='m').update(v=-1)"
    )
    path.write_text(path.read_text().replace("class Migration", f"{change}\n\nclass Migration"))

    succeed(shop, "migrate")

    assert held(shop) == [("rows", "shop_item", "", 1_000_000)]
    restore(shop)
    assert sums(shop, "shop_item") == before
