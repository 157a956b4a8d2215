"""What a rehearsal has found reads the same on a terminal, in JSON and on a page, and none of them can be tricked."""

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.utils import translation
from pytest_django import Settings

from migration_guard.rehearsal import page
from migration_guard.rehearsal.page import as_html
from migration_guard.rehearsal.reports import as_json, as_text
from migration_guard.rehearsal.results import Finding, Lock, Rehearsal, Source, Stall, Verdict
from migration_guard.rehearsal.timeline import timeline
from migration_guard.review.findings import Severity
from migration_guard.units import duration, size
from tests.migration_guard.rehearsals import (
    HOSTILE,
    ORDERS,
    bad,
    broken_off,
    crowded,
    good,
    history,
    hostile,
    rehearsal,
    sample,
)

VOID = {"meta", "link", "br", "img", "input", "hr"}
ALL = {
    "good": rehearsal(good()),
    "bad": rehearsal(good(), bad(), verdict=Verdict.FAILED),
    "broken off": broken_off(),
    "sample": sample(),
    "nothing pending": rehearsal(),
    "hostile": hostile(),
    "history": history(300),
    "crowded": rehearsal(crowded(statements=500, tables=40)),
}

of_each = pytest.mark.parametrize("whole", ALL.values(), ids=ALL)


class Document(HTMLParser):
    """A page as its tags and texts; complains of one that is not closed in its turn."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, name: str) -> list[str]:
        return [value or "" for _, attributes in self.tags for key, value in attributes.items() if key == name]

    def classes(self, tag: str) -> list[str]:
        return [attributes.get("class") or "" for name, attributes in self.tags if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.texts.append(data)


def line_of(text: str, start: str) -> str:
    return next(line.strip() for line in text.splitlines() if line.strip().startswith(start))


@of_each
def test_json_holds_everything_by_its_names(whole: Rehearsal) -> None:
    report = json.loads(as_json(whole))

    assert {"verdict", "source", "migrations", "findings", "error"} <= report.keys()
    assert [each["name"] for each in report["migrations"]] == [each.name for each in whole.migrations]
    for migration in report["migrations"]:
        for statement in migration["statements"]:
            assert {"sql", "ms", "locks", "rewritten", "wal_bytes", "documented"} <= statement.keys()


def test_json_of_a_bad_migration() -> None:
    (migration,) = json.loads(as_json(rehearsal(bad())))["migrations"]

    assert migration["verdict"] == "failed"
    assert migration["statements"][1]["locks"] == [{"relation": ORDERS, "mode": "ACCESS EXCLUSIVE"}]
    assert migration["stall_ms"][ORDERS]["read"] == 2050
    assert migration["losses"][1] == {"table": "trader_label", "column": None, "rows": None}
    assert migration["findings"][0].keys() == {"id", "severity", "message", "hint"}
    assert migration["findings"][0]["severity"] == "error"


def test_text_of_a_good_migration() -> None:
    text = as_text(rehearsal(good()))

    lines = text.splitlines()
    assert lines[0] == "PASSED. Rehearsed on a copy of the database trading (1.2 GB, PostgreSQL 15.4)."
    assert line_of(text, "trader.0007") == "trader.0007_order_stop_price  passed, 15 ms, WAL 2.1 kB"
    assert "415 of 415 probes passed" in text
    assert line_of(text, "way back").split() == ["way", "back", "lossless"]
    assert lines[-1].startswith("1 migration: 1 passed; rehearsed in 41.2 s on PostgreSQL 18, copied in 12.3 s.")
    assert len(lines) < 12


def test_text_of_a_bad_migration() -> None:
    text = as_text(rehearsal(good(), bad(), verdict=Verdict.FAILED))

    assert text.startswith("FAILED.")
    assert "trader_order: ACCESS EXCLUSIVE, blocks reads and writes, held for 2.05 s" in text
    assert "trader_account: SHARE ROW EXCLUSIVE, blocks writes, held for 1.21 s" in text
    assert "trader_order (1,000,000 rows): readers 2.05 s, writers 2.05 s; 3.2 ms with no migration beside them" in text
    assert "trader_order (230 MB before, 444 MB after)" in text
    assert "412 of 415 probes passed, 1 failed, 2 not probed" in text
    assert "loses trader_order.note in 81,204 rows, an unknown number of rows of trader_label" in text
    assert text.count("Take what needs the time out of the transaction") == 1
    assert "sent 1,204 times" in text
    assert "Longest stall: 2.05 s, writers of trader_order in trader.0008_order_token." in text


def test_locks_on_new_tables_are_told_apart() -> None:
    text = as_text(rehearsal(bad()))

    assert "trader_label: the locks on what is new block nobody" in text
    assert "trader_label: ACCESS EXCLUSIVE" not in text
    assert "trader_currency: ACCESS SHARE" not in text


def test_lock_that_lets_readers_and_writers_through_is_told_too() -> None:
    migration = good()
    (statement,) = migration.statements
    statement.locks, statement.documented = [Lock(ORDERS, "SHARE UPDATE EXCLUSIVE")], True

    lock = line_of(as_text(rehearsal(migration)), "lock")

    assert "SHARE UPDATE EXCLUSIVE, blocks neither reads nor writes, held for 9.3 ms; as PostgreSQL documents" in lock


def test_wait_on_a_sample_is_told_for_all_rows() -> None:
    text, document = as_text(sample()), Document(as_html(sample()))

    assert "1 % of the rows of the database trading" in text
    assert "trader_order (10,000 of 1,000,000 rows)" in text
    for told in (text, document.text):
        assert "about 1.8 s on all rows" in told
        assert "in proportion to those of its table" in told
        assert "Longest stall: 24 ms, about 1.9 s on all rows, writers of trader_order" in told


def test_waits_without_rows_are_not_stretched() -> None:
    migration = good()
    migration.stall_ms = {ORDERS: Stall(3, 3, 2, 1, 1, rows=0, rows_in_source=1_000_000)}

    assert "on all rows" not in as_text(rehearsal(migration))


def test_what_broke_off_is_told_with_what_was_measured_before() -> None:
    text, document = as_text(broken_off()), Document(as_html(broken_off()))

    for told in (text, document.text):
        assert "It broke off" in told
        assert 'column "v" of relation "shop_item" already exists' in told
        assert "trader.0007_order_stop_price" in told
        assert "not compared" in told
    assert "failed" in document.classes("rect")


def test_nothing_pending_is_said() -> None:
    text = as_text(rehearsal())

    assert text.splitlines()[-1].startswith("No migration was pending; rehearsed in")
    assert "No migration was pending." in Document(as_html(rehearsal())).text


def test_rehearsal_that_broke_off_before_the_first_migration() -> None:
    whole = Rehearsal(Source("schema", "trading", "18.1"), verdict=Verdict.COULD_NOT_RUN, error="No space left")

    assert as_text(whole).startswith("COULD NOT RUN. Rehearsed on the tables of trading without their rows")
    assert "No migration was rehearsed" in as_text(whole)
    assert "No space left" in Document(as_html(whole)).text


def test_what_was_not_seen_is_said() -> None:
    migration = good()
    migration.unseen = ["COPY shop_item\n (name) FROM STDIN"]
    migration.statements[0].documented = True

    text = as_text(rehearsal(migration))

    assert "went past Django's cursors: 1 statement." in text
    assert "trader.0007_order_stop_price: COPY shop_item (name) FROM STDIN" in text
    assert "The locks of 1 statement are as PostgreSQL documents them" in text
    assert "COPY shop_item" in Document(as_html(rehearsal(migration))).text


def test_blocking_lock_that_nobody_was_beside_is_said() -> None:
    migration = good()
    migration.stall_ms = {}

    assert line_of(as_text(rehearsal(migration)), "not measured").endswith("stalls of trader_order")


def test_previous_releases_failures_are_told_without_a_finding_too() -> None:
    migration = bad()
    migration.findings = []

    for told in (as_text(rehearsal(migration)), Document(as_html(rehearsal(migration))).text):
        assert "cannot insert trader.Order: NotNullViolation" in told
        assert "append-only" not in told


def test_long_history_is_short() -> None:
    text = as_text(history(300))

    assert len(text.splitlines()) < 50
    assert "trader.0008_order_token  failed" in text
    assert "299 more migrations passed without a finding; the slowest, shop.0299_step, took 299 ms." in text
    assert "300 migrations: 1 failed, 299 passed" in text


def test_page_of_a_long_history_has_all_migrations_and_the_telling_ones_in_full() -> None:
    source = as_html(history(300))

    document = Document(source)
    assert len(source) < 400_000
    assert sum(tag == "article" for tag, _ in document.tags) == page.MOST_MIGRATIONS
    assert all(f"shop.{number:04}_step" in source for number in range(300) if number != 150)
    assert "260 more migrations" in document.text
    assert "trader.0008_order_token" in document.text


def test_five_hundred_statements_stay_readable() -> None:
    whole = rehearsal(crowded(statements=500, tables=40))

    text, source = as_text(whole), as_html(whole)

    assert len(text.splitlines()) < 25
    assert "and 496 more statements: see --json" in text
    assert "and 35 more: see --json" in text
    assert "485 more statements each of them is in the JSON" in Document(source).text
    assert "33 more tables: not drawn" in Document(source).text
    assert len(source) < 120_000


def test_many_alike_findings_are_cut() -> None:
    migration = good()
    migration.findings = [Finding("stall", Severity.WARNING, f"number {each} waited", "hint") for each in range(400)]

    assert "and 395 more like it: see --json" in as_text(rehearsal(migration))
    assert "and 390 more in the JSON" in Document(as_html(rehearsal(migration))).text


@of_each
def test_page_is_well_formed_and_loads_nothing(whole: Rehearsal) -> None:
    source = as_html(whole)

    document = Document(source)
    assert source.isascii()
    assert {"script", "link", "img", "iframe", "style"} & {tag for tag, _ in document.tags} == {"style"}
    assert not re.search(r"https?:|url\(|@import|@font-face", source)
    assert not [name for _, attributes in document.tags for name in attributes if name.startswith("on")]
    anchors = {link.removeprefix("#") for link in document.attributes("href")}
    assert anchors <= {*document.attributes("id")}
    assert len(document.attributes("id")) == len({*document.attributes("id")})
    headings = [int(tag[1]) for tag, _ in document.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))


def test_hostile_texts_stay_texts() -> None:
    text, source = as_text(hostile()), as_html(hostile())

    shown = HOSTILE.replace("\x1b", "\ufffd").replace("\u202e", "\ufffd")
    assert Document(source).text.count(shown) > 10
    assert "<script" not in source
    assert text.replace("\n", "").isprintable()
    assert json.loads(as_json(hostile()))["error"] == HOSTILE


def test_page_is_the_same_in_every_language(settings: Settings) -> None:
    expected = as_html(ALL["bad"])
    settings.USE_THOUSAND_SEPARATOR = True
    settings.TEMPLATES = []

    with translation.override("de"):
        assert as_html(ALL["bad"]) == expected


def test_time_line_shows_which_lock_made_whom_wait() -> None:
    drawn = timeline(bad())

    order, account, currency = drawn.tables
    lock, readers, writers = order
    assert (lock.label, lock.detail) == (ORDERS, "ACCESS EXCLUSIVE: blocks reads and writes")
    # The weakest lock first, so that a stronger one covers it.
    assert [bar.kind for bar in lock.bars] == ["lock-none", "lock-writes", "lock-all"]
    for waits in (readers, writers):
        assert [bar.kind for bar in waits.bars] == ["shadow", "wait"]
        left, right = waits.bars[0], waits.bars[1]
        assert float(right.x.rstrip("%")) == pytest.approx(float(left.x.rstrip("%")), abs=0.2)
    assert [bar.kind for bar in account[1].bars] == []
    assert [bar.kind for bar in account[2].bars] == ["shadow", "wait"]
    assert [row.detail for row in currency] == ["ACCESS SHARE: blocks nobody"]


def test_tables_whose_users_were_measured_are_drawn_first() -> None:
    drawn = timeline(crowded(statements=500, tables=40))

    assert [rows[0].label for rows in drawn.tables][:2] == [ORDERS, "t0"]
    assert (drawn.statements[-1].label, drawn.statements[-1].value) == ("485 more statements", "2.86 s")


def test_bars_stay_within_their_axis() -> None:
    for migration in (good(), bad(), crowded(statements=500, tables=3)):
        drawn = timeline(migration)

        rows = [*drawn.statements, *(row for table in drawn.tables for row in table)]
        for bar in (bar for row in rows for bar in row.bars):
            left, width = float(bar.x.rstrip("%")), float(bar.width.rstrip("%"))
            assert left >= 0
            assert left + width <= 100.01


def test_axis_has_few_round_ticks() -> None:
    assert [tick.label for tick in timeline(bad()).ticks] == ["0", "1 s", "2 s"]
    for seconds in (0.0, 0.0004, 0.003, 0.7, 12, 400, 90_000):
        migration = good()
        migration.statements, migration.stall_ms, migration.seconds = [], {}, seconds

        assert 2 <= len(timeline(migration).ticks) <= 5


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (0.04, "0.0 ms"),
        (9.94, "9.9 ms"),
        (9.96, "10 ms"),
        (340.4, "340 ms"),
        (999.6, "1 s"),
        (1200, "1.2 s"),
        (59_940, "59.9 s"),
        (59_980, "1 min 0 s"),
        (125_000, "2 min 5 s"),
        (4_800_000, "1 h 20 min"),
    ],
)
def test_durations(milliseconds: float, told: str) -> None:
    assert duration(milliseconds) == told


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 bytes"), (999, "999 bytes"), (8192, "8.0 kB"), (12_582_912, "12 MB"), (1_300_000_000, "1.2 GB")],
)
def test_sizes(number: int, told: str) -> None:
    assert size(number) == told


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_from_their_background(scheme: int) -> None:
    css = (Path(page.__file__).parent / "templates" / "style.css").read_text()
    roots = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", roots[scheme]))

    for name in ("text", "quiet", "link", "passed", "warned", "failed", "could-not-run"):
        assert contrast(colours[name], colours["back"]) >= 4.5, name
    assert contrast(colours["text"], colours["raised"]) >= 4.5
    for name in ("statement", "rewriting", "wait", "lock-all", "lock-writes", "lock-none"):
        assert contrast(colours[name], colours["back"]) >= 3, name


def contrast(one: str, other: str) -> float:
    """By WCAG 2.1."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
